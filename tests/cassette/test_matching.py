import json
from typing import Any

import pytest

from llm_intercept.cassette.format import Answer, Recorded, Request
from llm_intercept.cassette.matching import Deck, Mismatch, ignored, normal

BODY = {"model": "gpt-5", "messages": [{"id": "1", "content": "hello"}, {"id": "2", "content": "you"}]}


def request(body: Any = None, path: str = "/v1/chat/completions", **more: Any) -> Request:
    data = body if isinstance(body, bytes) else json.dumps(BODY if body is None else body).encode()
    return Request(method="POST", host="api.openai.com", path=path, body=data, **more)


def recorded(number: int, of: Request, **more: Any) -> Recorded:
    return Recorded(
        number=number, at=0, provider="openai", request=of, **{"answer": Answer(status=200), **more}
    )


def found(deck: Deck, of: Request, *, inference: bool = True) -> int | str:
    answer = deck.play(of, inference=inference)
    return answer.number if isinstance(answer, Recorded) else str(answer)


def test_calls_are_found_in_whatever_order_they_come() -> None:
    calls = [recorded(n, request({"n": n})) for n in (1, 2, 3)]
    deck = Deck(calls)
    assert [found(deck, request({"n": n})) for n in (3, 1, 2)] == [3, 1, 2]
    assert deck.left == []


def test_equal_calls_come_in_their_order() -> None:
    deck = Deck([recorded(1, request()), recorded(2, request())])
    assert [found(deck, request()), found(deck, request())] == [1, 2]
    assert "2 times, and it was made once more" in str(found(deck, request()))


def test_layout_does_not_matter_and_values_do() -> None:
    deck = Deck([recorded(1, request(b'{"a": 1, "b": [1.5]}'))])
    assert isinstance(deck.play(request(b'{"a":1,"b":["1.5"]}')), Mismatch)
    assert found(deck, request(b'{"b":[1.5],"a":1}')) == 1


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("user", {**BODY, "user": "x"}),
        ("messages.*.id", {**BODY, "messages": [{"id": "8", "content": "hello"}, {"content": "you"}]}),
        ("messages[*].id", {**BODY, "messages": [{"content": "hello"}, {"content": "you"}]}),
        ("messages.1.id", {**BODY, "messages": [BODY["messages"][0], {"id": "x", "content": "you"}]}),
        ("*", {"something": "else"}),
    ],
)
def test_ignored_fields(field: str, body: Any) -> None:
    assert isinstance(Deck([recorded(1, request())]).play(request(body)), Mismatch)
    assert found(Deck([recorded(1, request())], [ignored(field)]), request(body)) == 1


def test_forms_are_compared_without_their_marker() -> None:
    def form(marker: str) -> Request:
        kind = (("Content-Type", f"multipart/form-data; boundary={marker}"),)
        return request(f"--{marker}\r\nx\r\n--{marker}--".encode(), headers=kind)

    assert normal(form("aa"), ()) == normal(form("zz"), ())
    assert normal(form("aa"), ()) != normal(request(b"--bb\r\ny\r\n--bb--"), ())


def test_what_is_no_inference_is_found_by_its_path() -> None:
    deck = Deck([recorded(1, request({"t": 1}, "/log"), inference=False)])
    assert [found(deck, request({"t": n}, "/log"), inference=False) for n in (1, 2, 3)] == [1, 1, 1]
    assert deck.left == []
    assert isinstance(deck.play(request({}, "/other"), inference=False), Mismatch)


def test_the_nearest_call_is_compared() -> None:
    far, near = {"model": "x", "input": "quite different"}, {**BODY, "temperature": 1}
    deck = Deck([recorded(1, request(far)), recorded(2, request(near))])
    said = found(deck, request({**BODY, "temperature": 2}))
    assert "nearest to it is its call 2" in str(said)
    assert '-  "temperature": 1' in str(said)
    assert '+  "temperature": 2' in str(said)
    assert "quite different" not in str(said)


def test_another_path_is_told_what_there_is() -> None:
    said = str(found(Deck([recorded(1, request()), recorded(2, request())]), request(path="/v1/embeddings")))
    assert "no call POST api.openai.com/v1/embeddings" in said
    assert "2 x POST api.openai.com/v1/chat/completions" in said
    assert "It is empty" in str(found(Deck([]), request()))


def test_a_call_without_an_answer_says_why() -> None:
    deck = Deck([recorded(1, request(), answer=None, note="it ended without an answer")])
    assert "cannot be replayed: it ended without an answer" in str(found(deck, request()))
