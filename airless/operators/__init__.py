"""Operators: what runs when a message, a file or a request comes."""

from airless.core.outcome import Again, Dead, Done
from airless.operators.delay import DelayOperator
from airless.operators.errors import ErrorOperator
from airless.operators.event import BatchOperator, EventOperator
from airless.operators.file import FileOperator
from airless.operators.http import HttpOperator, HttpRequest, HttpResponse
from airless.operators.operator import Operator
from airless.operators.redirect import RedirectOperator
from airless.operators.runner import OperatorRunner

BaseEventOperator = EventOperator
BaseFileOperator = FileOperator
BaseHttpOperator = HttpOperator

__all__ = [
    "Again",
    "BaseEventOperator",
    "BaseFileOperator",
    "BaseHttpOperator",
    "BatchOperator",
    "Dead",
    "DelayOperator",
    "Done",
    "ErrorOperator",
    "EventOperator",
    "FileOperator",
    "HttpOperator",
    "HttpRequest",
    "HttpResponse",
    "Operator",
    "OperatorRunner",
    "RedirectOperator",
]
