"""HTTP requests as Lambda gets them, and answers as it takes them.

Payload 2.0 comes from Function URLs and HTTP APIs, 1.0 from REST APIs ("Working with AWS Lambda proxy integrations
for HTTP APIs", Amazon API Gateway Developer Guide); load balancers send much the same as 1.0.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from airless.core.errors import ConfigError
from airless.operators.http import HttpRequest, HttpResponse


def request_of(event: Mapping[str, Any]) -> HttpRequest:
    """The request in an event of either payload. Raises ConfigError where it has no method."""
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    if _is_v2(event):
        http = event["requestContext"]["http"]
        method, path = http["method"], event.get("rawPath") or http.get("path") or "/"
        query = dict(parse_qsl(event.get("rawQueryString") or "", keep_blank_values=True))
        if cookies := event.get("cookies"):
            headers["cookie"] = "; ".join(cookies)
    elif isinstance(event.get("httpMethod"), str):
        method, path = event["httpMethod"], event.get("path") or "/"
        for name, values in (event.get("multiValueHeaders") or {}).items():
            headers[name.lower()] = ("; " if name.lower() == "cookie" else ", ").join(values)
        query = dict(event.get("queryStringParameters") or {})
        query |= {
            name: values[-1] for name, values in (event.get("multiValueQueryStringParameters") or {}).items()
        }
    else:
        raise ConfigError(
            "an event has a requestContext, but no method: requests of Function URLs and of API Gateway's HTTP and "
            "REST APIs are taken, WebSocket APIs are not"
        )
    body = event.get("body") or ""
    return HttpRequest(
        method=method,
        path=path,
        query=query,
        headers=headers,
        body=base64.b64decode(body) if event.get("isBase64Encoded") else body.encode(),
    )


def response_of(event: Mapping[str, Any], response: HttpResponse) -> dict[str, Any]:
    """An answer in the shape that the sender of `event` takes; a body that is no text travels as base64."""
    headers = dict(response.headers)
    answer: dict[str, Any] = {"statusCode": response.status, "headers": headers}
    if _is_v2(event) and (cookie := headers.pop("set-cookie", None)) is not None:
        answer["cookies"] = [cookie]
    try:
        body, encoded = response.body.decode(), False
    except UnicodeDecodeError:
        body, encoded = base64.b64encode(response.body).decode(), True
    return {**answer, "body": body, "isBase64Encoded": encoded}


def _is_v2(event: Mapping[str, Any]) -> bool:
    return isinstance((event.get("requestContext") or {}).get("http"), Mapping)
