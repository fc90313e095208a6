"""The headers that every refusal has, whatever its body looks like."""

import math

import orjson

from llm_intercept.errors import Refusal, Reply

REQUEST_ID = "x-llm-intercept-request-id"


def json_reply(
    refusal: Refusal, request_id: str, body: object, *extra: tuple[str, str], status: int | None = None
) -> Reply:
    headers = [("content-type", "application/json"), (REQUEST_ID, request_id), *extra, *refusal.headers]
    if refusal.retry_after is not None:
        headers.append(("retry-after", str(max(1, math.ceil(refusal.retry_after)))))
    data = orjson.dumps(body)
    headers.append(("content-length", str(len(data))))
    return Reply(status or refusal.status, tuple(headers), data)
