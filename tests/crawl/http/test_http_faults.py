"""What aiohttp says of a broken answer, in our terms: by either of its parsers, and if it says nothing."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import http_parser
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from airless.crawl.errors import ConnectError, ProtocolError, TruncatedBody
from airless.crawl.http.dialling import Dial
from airless.crawl.http.faults import unanswered

WHAT = "GET http://a.test/"
PARSERS = {"chosen": http_parser.HttpResponseParser, "python": http_parser.HttpResponseParserPy}


def as_aiohttp_tells_it(source: Exception, *, knows: bool = True) -> aiohttp.ClientResponseError:
    """The error of a request whose answer's parser raised `source`, wrapped twice on its way.

    It has the words of the errors that aiohttp `knows`, and none of others.
    """
    message = source.message if knows and isinstance(source, HttpProcessingError) else ""
    told = HttpProcessingError(code=400, message=message)
    told.__cause__ = source
    asked = aiohttp.RequestInfo(URL("http://a.test/"), "GET", CIMultiDictProxy(CIMultiDict()))
    error = aiohttp.ClientResponseError(asked, (), status=400, message=message)
    error.__cause__ = told
    return error


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nxx", TruncatedBody),
        (b"HTTP/1.1 200 OK\r\nX-\0chunk: 1\r\n\r\n", ProtocolError),
    ],
    ids=["chunk", "field"],
)
async def test_a_body_that_breaks_with_its_head_is_told_from_a_head_that_breaks(
    parser: str, data: bytes, kind: type[Exception], knows: bool
) -> None:
    loop = asyncio.get_running_loop()
    parsing = PARSERS[parser](BaseProtocol(loop), loop, 65_536)
    with pytest.raises(HttpProcessingError) as raised:
        parsing.feed_data(data)
    assert type(unanswered(WHAT, as_aiohttp_tells_it(raised.value, knows=knows))) is kind


def test_an_error_without_a_word_is_not_held_against_the_page() -> None:
    error = unanswered(WHAT, as_aiohttp_tells_it(RuntimeError("of the parser's own")))
    assert type(error) is ConnectError
    assert error.retryable
    assert "of the parser's own" in str(error)


@pytest.mark.parametrize("first", ["lost", "reads"])
async def test_a_reader_is_told_of_a_lost_connection_in_either_order(first: str) -> None:
    loop = asyncio.get_running_loop()
    body = aiohttp.StreamReader(BaseProtocol(loop), 65_536, loop=loop)
    body.feed_data(b"hello")
    dial = Dial()
    if first == "lost":
        dial.lost()
        dial.reads(body)
    else:
        dial.reads(body)
        dial.lost()
    with pytest.raises(aiohttp.ClientPayloadError, match="ended within the body"):
        await body.read()


async def test_a_body_that_was_whole_stays_so_when_the_connection_is_lost() -> None:
    loop = asyncio.get_running_loop()
    body = aiohttp.StreamReader(BaseProtocol(loop), 65_536, loop=loop)
    body.feed_data(b"hello")
    body.feed_eof()
    dial = Dial()
    dial.lost()
    dial.reads(body)
    assert await body.read() == b"hello"
