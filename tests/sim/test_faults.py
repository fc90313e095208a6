"""What scenarios do to calls, seen by a plain HTTP client, by our own readers and by the SDKs' exceptions."""

import contextlib
import http.client
import json
import socket
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import orjson
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from llm_intercept.sim.running import Running
from llm_intercept.wire.tap import Tap

HELLO = [{"role": "user", "content": "one two three four"}]
CHAT = {"model": "gpt-5", "messages": HELLO, "stream": True}
BEDROCK = {"messages": [{"role": "user", "content": [{"text": "one two three four"}]}]}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "one two three four"}]}]}
STREAMS = {
    "openai_chat": ("/v1/chat/completions", CHAT),
    "openai_responses": ("/v1/responses", {"model": "gpt-5", "input": "one two three four", "stream": True}),
    "openai_completions": ("/v1/completions", {"model": "gpt-5", "prompt": "one two three", "stream": True}),
    "anthropic": ("/v1/messages", {**CHAT, "model": "claude-x", "max_tokens": 100}),
    "gemini": ("/v1beta/models/gemini-3:streamGenerateContent?alt=sse", GEMINI),
    "gemini array": ("/v1beta/models/gemini-3:streamGenerateContent", GEMINI),
    "bedrock_converse": ("/model/anthropic.claude-x/converse-stream", BEDROCK),
    "bedrock_invoke": (
        "/model/anthropic.claude-x/invoke-with-response-stream",
        {"messages": HELLO, "max_tokens": 100, "anthropic_version": "bedrock-2023-05-31"},
    ),
    "ollama": ("/api/chat", {"model": "llama", "messages": HELLO}),
    "cohere": ("/v2/chat", {**CHAT, "model": "command-a"}),
}


class Client:
    """Sends each call on a connection of its own."""

    def __init__(self, sim: Running) -> None:
        self.sim = sim

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(self.sim.host, self.sim.port, timeout=20)
        try:
            data = body if isinstance(body, str) or body is None else json.dumps(body)
            connection.request(method, path, data, {"content-type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def chat(self, **headers: str) -> tuple[int, Any, bytes]:
        return self.send("POST", "/v1/chat/completions", {**CHAT, "stream": False}, **headers)

    def rules(self, *rules: dict[str, Any], **more: Any) -> None:
        status, _, body = self.send("PUT", "/__sim/scenario", {"rules": rules, **more})
        assert status == 200, body


@pytest.fixture
def client(sim: Running) -> Client:
    return Client(sim)


def read(name: str, body: bytes, headers: Any) -> Tap:
    """The answer as the proxy would read it."""
    tap = Tap(name.partition(" ")[0], "chat", headers["content-type"])
    tap.feed(body, 1.0)
    tap.close()
    return tap


def test_a_scenario_can_be_replaced_read_and_cleared(client: Client) -> None:
    client.rules({"then": "error", "status": 503, "first": 1})
    assert [client.chat()[0] for _ in range(2)] == [503, 200]
    shown = json.loads(client.send("GET", "/__sim/scenario")[2])
    assert shown["calls"] == 2
    assert shown["rules"] == [
        {"rule": 1, "matched": 2, "applied": 1, "then": "error", "status": 503, "first": 1}
    ]
    assert client.send("DELETE", "/__sim/scenario")[0] == 204
    assert json.loads(client.send("GET", "/__sim/scenario")[2])["rules"] == []


def test_a_wrong_scenario_is_refused_and_the_old_one_stays(client: Client) -> None:
    client.rules({"then": "error", "status": 503})
    status, _, body = client.send("PUT", "/__sim/scenario", {"rules": [{"then": "explode"}]})
    assert (status, "rules[1].then" in json.loads(body)["error"]) == (400, True)
    assert client.chat()[0] == 503


def test_a_file_is_read_at_the_start(start_sim: Callable[..., Running], tmp_path: Any) -> None:
    (tmp_path / "chaos.toml").write_text('[[rules]]\nname = "no"\nthen = "error"\nstatus = 418\n')
    sim = start_sim(scenario=str(tmp_path / "chaos.toml"))
    assert Client(sim).chat()[0] == 418
    assert sim.simulator.recorder.requests[-1].rule == "no"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer sk-0001"}, 401),
        ({"x-api-key": "sk-0001"}, 401),
        ({"api-key": "sk-0001"}, 401),
        ({"x-goog-api-key": "sk-0001"}, 401),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=AKIA0001/20260101/us-east-1/bedrock/x"}, 401),
        ({"authorization": "Bearer sk-0002"}, 200),
        ({}, 200),
    ],
)
def test_a_key_is_told_by_its_last_characters(client: Client, headers: dict[str, str], status: int) -> None:
    client.rules({"key": "worn out", "then": "error", "status": 401}, keys={"worn out": "0001"})
    assert client.chat(**headers)[0] == status


def test_the_model_of_path_body_and_form(client: Client) -> None:
    client.rules({"model": "whisper*", "then": "error", "status": 409})
    form = (
        '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n'
    )
    kind = {"content-type": "multipart/form-data; boundary=b"}
    assert client.send("POST", "/v1/audio/transcriptions", form, **kind)[0] == 409
    assert client.send("POST", "/v1beta/models/whisper-x:generateContent", GEMINI)[0] == 409
    assert client.send("POST", "/v1/embeddings", {"model": "whisper-1", "input": "a"})[0] == 409
    assert client.chat()[0] == 200


@pytest.mark.parametrize("dialect", [name for name in STREAMS if name != "gemini array"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 425, 429, 500, 502, 503, 504, 529])
def test_errors_have_the_status_and_the_shape(client: Client, dialect: str, status: int) -> None:
    client.rules({"then": "error", "status": status, "message": "no such luck"})
    path, body = STREAMS[dialect]
    got, headers, data = client.send("POST", path, body)
    assert got == status
    tap = Tap(dialect, "chat", headers["content-type"], status=got, headers=headers)
    tap.feed(data, 1.0)
    tap.close()
    assert tap.reading.error_message == "no such luck"


def test_when_to_come_back(client: Client) -> None:
    times = {"retry_after": 2.5, "retry_after_ms": 2500, "rate_limit_reset": 30}
    client.rules({"then": "error", "status": 429, **times, "headers": {"x-odd": "1"}})
    _, headers, _ = client.chat()
    assert (headers["retry-after"], headers["retry-after-ms"], headers["x-odd"]) == ("2.5", "2500", "1")
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"] == "30s"
    _, headers, _ = client.send("POST", *STREAMS["anthropic"])
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")


def test_headers_of_an_answer_replace_the_simulators_own(client: Client) -> None:
    name = "anthropic-ratelimit-requests-remaining"
    client.rules({"then": "answer", "headers": {name: "3"}})
    _, headers, _ = client.send("POST", *STREAMS["anthropic"])
    assert headers.get_all(name) == ["3"]


@pytest.mark.parametrize("then", ["refuse", "reset"])
def test_connections_that_end_without_a_byte(client: Client, then: str) -> None:
    client.rules({"then": then})
    expected = ConnectionResetError if then == "reset" else http.client.RemoteDisconnected
    with pytest.raises(expected) as error:
        client.chat()
    assert type(error.value) is expected


@pytest.mark.parametrize("dialect", STREAMS)
@pytest.mark.parametrize("after", [0, 2])
def test_an_error_event_inside_a_stream(client: Client, dialect: str, after: int) -> None:
    client.rules({"then": "stream_error", "after_events": after, "message": "it broke"})
    status, headers, body = client.send("POST", *STREAMS[dialect])
    assert status == 200
    tap = read(dialect, body, headers)
    assert tap.reading.error_message == "it broke"


def test_without_a_stream_it_is_a_plain_error(client: Client) -> None:
    client.rules({"then": "stream_error", "status": 503})
    assert client.chat()[0] == 503
    assert client.send("POST", "/v1/embeddings", {"model": "e", "input": "a"})[0] == 503


@pytest.mark.parametrize("dialect", STREAMS)
def test_garbled_events_do_not_stop_a_stream(client: Client, dialect: str) -> None:
    client.rules({"then": "garble", "after_events": 1})
    _, headers, garbled = client.send("POST", *STREAMS[dialect])
    client.rules({"then": "answer"})
    _, _, whole = client.send("POST", *STREAMS[dialect])
    assert garbled != whole
    assert b"\xef\xbf\xbd{" in garbled or dialect.startswith("bedrock")
    read(dialect, garbled, headers)


def test_garbled_json(client: Client) -> None:
    client.rules({"then": "garble"})
    status, _, body = client.chat()
    assert status == 200
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)


@pytest.mark.parametrize("dialect", STREAMS)
@pytest.mark.parametrize("place", [{}, {"after_events": 2}, {"after_bytes": 7}])
def test_streams_that_break(client: Client, dialect: str, place: dict[str, int]) -> None:
    client.rules({"then": "drop", **place})
    with pytest.raises(http.client.IncompleteRead) as error:
        client.send("POST", *STREAMS[dialect])
    sent = error.value.partial
    if "after_events" in place:
        assert len(sent) > 7
    else:
        assert len(sent) == place.get("after_bytes", 0)


@pytest.mark.parametrize(("place", "sent"), [({}, 0), ({"after_bytes": 9}, 9), ({"after_events": 1}, None)])
def test_whole_answers_that_break(client: Client, place: dict[str, int], sent: int | None) -> None:
    client.rules({"then": "drop", **place})
    with pytest.raises(http.client.IncompleteRead) as error:
        client.chat()
    assert len(error.value.partial) == sent or (sent is None and len(error.value.partial) > 100)


@pytest.mark.parametrize("place", [{}, {"after_bytes": 0}, {"after_events": 2}])
def test_calls_that_hang(client: Client, place: dict[str, int]) -> None:
    """The reader's patience ends, not the stream."""
    client.rules({"then": "hang", **place})
    call = json.dumps(CHAT).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(call)}\r\n\r\n"
    with socket.create_connection((client.sim.host, client.sim.port), timeout=0.5) as connection:
        connection.sendall(head.encode() + call)
        seen = received(connection)
    assert seen.startswith(b"HTTP/1.1 200") == bool(place)
    assert seen.count(b"data: ") == place.get("after_events", 0)


def received(connection: socket.socket) -> bytes:
    """What comes until nothing comes for the socket's timeout."""
    seen = b""
    with contextlib.suppress(TimeoutError):
        while piece := connection.recv(65_536):
            seen += piece
    return seen


@pytest.mark.parametrize("dialect", STREAMS)
def test_a_given_text_is_the_answer(client: Client, dialect: str) -> None:
    client.rules({"then": "answer", "text": "quite something else"})
    _, headers, body = client.send("POST", *STREAMS[dialect])
    tap = read(dialect, body, headers)
    assert (tap.reading.complete, tap.reading.error_message) == (True, "")
    assert tap.reading.text_parts == "quite something else"


def test_delays_come_before_errors_and_between_events(client: Client) -> None:
    client.rules({"then": "error", "delay": 0.02}, {"then": "answer", "event_delay": 0.001})
    assert client.chat()[0] == 500
    client.rules({"then": "answer", "event_delay": 0.001})
    assert client.send("POST", *STREAMS["anthropic"])[2].endswith(b'{"type":"message_stop"}\n\n')


@pytest.mark.parametrize("dialect", [name for name in STREAMS if name not in ("gemini array", "ollama")])
def test_a_conversation_that_is_too_long(client: Client, dialect: str) -> None:
    client.rules({"then": "overflow"})
    status, _, body = client.send("POST", *STREAMS[dialect])
    assert status == 400
    assert any(word in body for word in (b"too long", b"maximum", b"exceeds the context", b"too many tokens"))


def test_the_sdks_raise_their_own_exceptions(sim: Running, client: Client) -> None:
    asked: Any = {"model": "claude-x", "max_tokens": 9, "messages": HELLO}
    with anthropic.Anthropic(base_url=sim.address, api_key="k", max_retries=0) as claude:
        client.rules({"then": "signature", "nth": 1}, {"then": "stream_error"})
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
            claude.messages.create(**asked)
        with (
            pytest.raises(anthropic.APIStatusError, match="overloaded_error"),
            claude.messages.stream(**asked) as s,
        ):
            s.get_final_message()
    with openai.OpenAI(base_url=f"{sim.address}/v1", api_key="k", max_retries=0) as gpt:
        client.rules({"then": "overflow", "nth": 1}, {"then": "stream_error"})
        with pytest.raises(openai.BadRequestError) as error:
            gpt.chat.completions.create(model="gpt-5", messages=HELLO)  # type: ignore[arg-type]
        assert error.value.code == "context_length_exceeded"
        with pytest.raises(openai.APIError, match="Overloaded"):
            list(gpt.chat.completions.create(**CHAT))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("rule", "last"),
    [
        ({"then": "drop", "after_events": 2}, None),
        ({"then": "stream_error", "after_events": 2, "message": "no more"}, "error"),
        ({"then": "answer", "text": "quite something else"}, "response.completed"),
    ],
)
def test_answers_on_a_websocket(client: Client, rule: dict[str, Any], last: str | None) -> None:
    client.rules(rule)
    url = client.sim.address.replace("http", "ws") + "/v1/responses"
    events: list[Any] = []
    with connect(url, proxy=None) as connection, contextlib.suppress(ConnectionClosed):
        connection.send(json.dumps({"type": "response.create", "model": "gpt-5", "input": "hello there"}))
        while not events or events[-1]["type"] not in ("error", "response.completed"):
            events.append(json.loads(connection.recv(timeout=20)))
    if last is None:
        assert len(events) == 2
    else:
        assert events[-1]["type"] == last
    if rule["then"] == "answer":
        assert "quite something else" in json.dumps(events[-1])
