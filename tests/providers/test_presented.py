import base64

import pytest

from llm_intercept.policy.tokens import new_token
from llm_intercept.providers.base import Headers, Outgoing
from llm_intercept.providers.presented import Presented, presented, remove, remove_strays

TOKEN = new_token(bytes(range(32)))
BASIC = "Basic " + base64.b64encode(f"{TOKEN}:".encode()).decode()

SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIDLLI/20261120/us-east-1/bedrock/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "a" * 64
)


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, "", []),
        ({"authorization": "Bearer lli_1"}, "", [("authorization", "lli_1")]),
        ({"authorization": "bearer  lli_1 "}, "", [("authorization", "lli_1")]),
        ({"authorization": "Bearer "}, "", []),
        ({"authorization": "Basic bGxp"}, "", []),
        ({"authorization": BASIC}, "", [("basic", TOKEN)]),
        ({"x-api-key": "lli_1"}, "", [("x-api-key", "lli_1")]),
        ({"api-key": "lli_1"}, "", [("api-key", "lli_1")]),
        ({"x-goog-api-key": " lli_1 "}, "", [("x-goog-api-key", "lli_1")]),
        ({}, "alt=sse&key=lli_1", [("query:key", "lli_1")]),
        ({}, "key=a%2Bb", [("query:key", "a+b")]),
        ({}, "monkey=lli_1&key=", []),
        ({"authorization": SIGNED}, "", [("sigv4", "AKIDLLI")]),
        ({"authorization": SIGNED, "x-amz-security-token": "t"}, "",
         [("sigv4", "AKIDLLI"), ("x-amz-security-token", "t")]),
        ({"authorization": "Bearer a", "x-api-key": "b"}, "key=c",
         [("authorization", "a"), ("x-api-key", "b"), ("query:key", "c")]),
        ({"sec-websocket-protocol": "realtime, openai-insecure-api-key.lli_1, openai-beta.realtime-v1"}, "",
         [("sec-websocket-protocol", "lli_1")]),
        ({"proxy-authorization": "Bearer lli_1"}, "", []),
    ],
)  # fmt: skip
def test_presented(headers: dict[str, str], query: str, expected: list[tuple[str, str]]) -> None:
    assert presented(headers, query) == [Presented(where, value) for where, value in expected]


def test_a_credential_is_not_shown() -> None:
    assert "geheim" not in repr(Presented("authorization", "geheim"))


@pytest.mark.parametrize(
    ("path", "headers", "left", "target"),
    [
        ("/x", [("A", "1"), ("authorization", "Bearer lli"), ("B", "2")], [("A", "1"), ("B", "2")], "/x"),
        ("/x", [("X-API-Key", "lli")], [], "/x"),
        ("/x", [("Authorization", BASIC), ("B", "2")], [("B", "2")], "/x"),
        ("/x", [("X-API-Key", "lli"), ("x-api-key", "lli")], [], "/x"),
        ("/x?key=lli", [], [], "/x"),
        ("/x?a=%20&key=lli&b=+", [], [], "/x?a=%20&b=+"),
        ("/x?", [("Api-Key", "lli")], [], "/x?"),
        ("/x", [("Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.lli")],
         [("Sec-WebSocket-Protocol", "realtime")], "/x"),
        ("/x", [("Sec-WebSocket-Protocol", "openai-insecure-api-key.lli")], [], "/x"),
        ("/x", [("Authorization", SIGNED), ("X-Amz-Date", "d"), ("amz-sdk-request", "1")],
         [("amz-sdk-request", "1")], "/x"),
    ],
)  # fmt: skip
def test_remove(path: str, headers: Headers, left: Headers, target: str) -> None:
    request = Outgoing("POST", "https", "h", 443, path, list(headers), None)
    lower = {name.lower(): value for name, value in headers}
    remove(request, *presented(lower, path.partition("?")[2]))
    assert request.headers == left
    assert request.path == target


def test_what_was_replaced_meanwhile_stays() -> None:
    request = Outgoing("POST", "https", "h", 443, "/x?key=real", [("authorization", "Bearer real")], None)
    remove(
        request,
        Presented("authorization", "lli"),
        Presented("sigv4", "AKIDLLI"),
        Presented("query:key", "lli"),
    )
    assert request.headers == [("authorization", "Bearer real")]
    assert request.path == "/x?key=real"


@pytest.mark.parametrize(
    ("headers", "left", "names"),
    [
        ([("A", "1"), ("Cookie", "a=b")], [("A", "1"), ("Cookie", "a=b")], []),
        ([("Authorization", f"Bearer {TOKEN}")], [("Authorization", f"Bearer {TOKEN}")], []),
        ([("authorization", f"bearer  {TOKEN} ")], [("authorization", f"bearer  {TOKEN} ")], []),
        ([("X-Auth", f"is {TOKEN}, is it?"), ("B", "2")], [("B", "2")], ["x-auth"]),
        ([("X-Auth", "lli_short")], [("X-Auth", "lli_short")], []),
        ([("Cookie", f"a=b; t={TOKEN}; c=d")], [("Cookie", "a=b; c=d")], ["cookie"]),
        ([("cookie", f"t={TOKEN}"), ("cookie", "c=d")], [("cookie", "c=d")], ["cookie"]),
        ([("x-api-key", TOKEN), ("X-Api-Key", "sk-other")], [("X-Api-Key", "sk-other")], ["x-api-key"]),
        ([("Authorization", TOKEN)], [], ["authorization"]),
        ([("Sec-WebSocket-Protocol", f"realtime, openai-insecure-api-key.{TOKEN}, key.{TOKEN}")],
         [("Sec-WebSocket-Protocol", "realtime")], ["sec-websocket-protocol"]),
    ],
)  # fmt: skip
def test_tokens_in_other_places_are_taken_out(headers: Headers, left: Headers, names: list[str]) -> None:
    """Before the key is placed; what stands where it belongs stays for `remove`."""
    request = Outgoing("POST", "https", "h", 443, "/x", list(headers), None)
    found = presented({name.lower(): value for name, value in headers})
    assert remove_strays(request, [one for one in found if one.value.startswith("lli_")]) == names
    assert request.headers == left
