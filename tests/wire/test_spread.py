import json
import re

import pytest

from llm_intercept.wire import spread

KEY = "sk-proj-0123456789abcdefghij"


def find(text: bytes) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer(rb"sk-[A-Za-z0-9-]{16,}", text)]


def chunk(text: str, member: str = "content") -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {member: text}}]}).encode() + b"\n\n"


def said(body: bytes, member: str = "content") -> str:
    events = [json.loads(line[6:]) for line in body.splitlines() if line]
    return "".join(event["choices"][0]["delta"].get(member, "") for event in events)


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_a_key_in_pieces_is_taken_out(size: int) -> None:
    text = f'the "key" is {KEY}, is it not?'
    body = b"".join(chunk(text[at : at + size]) for at in range(0, len(text), size))
    assert said(spread.without(body, find)) == 'the "key" is [redacted], is it not?'


def test_pieces_of_other_members_between_them_are_no_matter() -> None:
    body = b"".join([chunk("hm", "reasoning") + chunk(KEY[at : at + 5]) for at in range(0, len(KEY), 5)])
    clean = spread.without(body, find)
    assert said(clean) == "[redacted]"
    assert said(clean, "reasoning") == "hm" * 6


def test_everything_else_stays() -> None:
    body = chunk("no key") + b": a comment\n\nnot even JSON {" + chunk("at all")
    assert spread.without(body, find) == body
    assert spread.without(b"", find) == b""
