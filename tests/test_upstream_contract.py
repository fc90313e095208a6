"""What addons/upstream.py takes for granted about mitmproxy: an update that changes it is told what broke.

Nothing here listens or connects: names, signatures and states are looked at, then the layer is driven by
events with our `Stream` in place, and the commands that it gives are followed.
"""

import asyncio
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from types import SimpleNamespace

import pytest
from mitmproxy import connection, http, options
from mitmproxy.proxy import commands, context, events, layer, server
from mitmproxy.proxy.layers import http as http_layer
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode, HttpStream, _http1, _http2
from mitmproxy.version import VERSION

from addons import upstream
from addons.retrying import TryAgainHook, TryFailedHook

FAULTS = (AssertionError, AttributeError, LookupError, TypeError, ValueError, RuntimeError)

with warnings.catch_warnings():
    # mitmproxy's addons are written for an older pyparsing.
    warnings.simplefilter("ignore")
    from mitmproxy.addons.proxyserver import Proxyserver, Servers


@contextmanager
def assumed(what: str, needed: str) -> Iterator[None]:
    """Whatever goes wrong inside is told as the assumption that does not hold any more."""
    try:
        yield
    except FAULTS as error:
        pytest.fail(
            f"mitmproxy {VERSION} has changed under addons/upstream.py.\n"
            f"Assumed: {what}.\nNeeded for: {needed}.\nFound: {type(error).__name__}: {error}",
            pytrace=False,
        )


# ---- names and signatures

BODY = ("self", "event")
METHODS: list[tuple[type, str, tuple[str, ...], str]] = [
    (HttpStream, "_handle_event", BODY, "wakeups that reach a stream: pauses, holding back, `expire`"),
    (HttpStream, "check_invalid", ("self", "request"), "absolute form noted before it is rewritten"),
    (HttpStream, "handle_protocol_error", BODY, "errors in the client's dialect; other tries; `ended_by`"),
    (HttpStream, "make_server_connection", ("self",), "connecting anew for another try"),
    (HttpStream, "send_response", ("self", "already_streamed"), "another try after a whole error answer"),
    (HttpStream, "start_request_stream", ("self",), "chunks for HTTP/1 providers of HTTP/2 clients"),
    (HttpStream, "start_response_stream", ("self",), "holding a stream's beginning back; slow tokens"),
    (HttpStream, "state_consume_request_body", BODY, "bodies that nobody reads are let go"),
    (HttpStream, "state_wait_for_response_headers", BODY, "answers refused by their headers"),
    (HttpStream, "state_consume_response_body", BODY, "the timeout between two pieces of a whole answer"),
    (HttpStream, "state_stream_request_body", BODY, "uploads"),
    (HttpStream, "state_stream_response_body", BODY, "ending a stream whose provider went away"),
    (HttpStream, "state_done", ("self", "_"), "telling answered streams from others"),
    (HttpStream, "state_errored", ("self", "_"), "telling answered streams from others"),
    (HttpLayer, "make_stream", ("self", "stream_id"), "our `Stream` in place of mitmproxy's"),
    (HttpLayer, "event_to_child", ("self", "child", "event"), "our `Stream` in place of mitmproxy's"),
    (server.ConnectionHandler, "server_event", BODY, "`expire`"),
    (server.ConnectionHandler, "handle_connection", ("self", "connection"), "reading on without a client"),
    (HttpStream, "check_killed", ("self", "emit_error_hook"), "reading on without a client"),
    (Servers, "update", ("self", "modes"), "a drain closes the ports"),
    (_http1.Http1Client, "done", BODY, "what a failed try's connection still says is ignored"),
]


@pytest.mark.parametrize(
    ("owner", "name", "parameters", "needed"), METHODS, ids=[f"{m[0].__name__}.{m[1]}" for m in METHODS]
)
def test_methods_that_we_override_or_call(
    owner: type, name: str, parameters: tuple[str, ...], needed: str
) -> None:
    with assumed(f"{owner.__name__}.{name}({', '.join(parameters)})", needed):
        assert tuple(inspect.signature(getattr(owner, name)).parameters) == parameters


ACCEPTS = {
    "state_wait_for_response_headers": "ResponseHeaders",
    "state_consume_response_body": "ResponseData ResponseTrailers ResponseEndOfMessage",
    "state_stream_response_body": "ResponseData ResponseTrailers ResponseEndOfMessage",
    "state_consume_request_body": "RequestData RequestTrailers RequestEndOfMessage",
    "state_stream_request_body": "RequestData RequestTrailers RequestEndOfMessage",
    "state_done": "",
}


@pytest.mark.parametrize("state", ACCEPTS)
def test_states_take_the_events_that_we_give_on(state: str) -> None:
    """`expect` raises for any other; with what it was told it is asked here."""
    what = f"{state} takes {ACCEPTS[state] or 'nothing'}"
    with assumed(what, "states of our own that give events on: another try, holding back, slow tokens"):
        closure = inspect.getclosurevars(getattr(HttpStream, state)).nonlocals
        assert {kind.__name__ for kind in closure["event_types"]} == set(ACCEPTS[state].split())


FIELDS: list[tuple[type, str, str]] = [
    (http_layer.RequestHeaders, "stream_id request end_stream replay_flow", "requests that are sent again"),
    (http_layer.ResponseHeaders, "stream_id response end_stream", "answers in place of the provider's"),
    (http_layer.RequestData, "stream_id data", "requests that are sent again"),
    (http_layer.ResponseData, "stream_id data", "the last words of a stream"),
    (http_layer.RequestProtocolError, "stream_id message code", "cancelling at the provider"),
    (http_layer.ResponseProtocolError, "stream_id message code", "ending a call from outside"),
    (server.ConnectionIO, "handler reader writer", "cutting a connection; whether all has been sent"),
]


@pytest.mark.parametrize(("owner", "names", "needed"), FIELDS, ids=[f[0].__name__ for f in FIELDS])
def test_values_that_we_make_or_read(owner: type, names: str, needed: str) -> None:
    with assumed(f"{owner.__name__} has {names}", needed):
        assert {f.name for f in fields(owner)} == set(names.split())


def test_what_our_states_reach_into() -> None:
    drive = Drive()
    with assumed("HttpLayer has streams, connections and command_sources", "`expire`, other tries"):
        assert [type(getattr(drive.layer, name)) for name in ("streams", "connections")] == [dict, dict]
        assert drive.layer.command_sources == {}
    with assumed("a layer queues events while it is paused", "what a failed try still says is dropped"):
        assert not drive.layer._paused_event_queue
    with assumed("Http2Client maps our stream numbers to theirs and back", "another try over HTTP/2"):
        client = _http2.Http2Client(drive.layer.context.fork())
        assert (client.our_stream_id, client.their_stream_id) == ({}, {})
    with assumed("Http1Client knows its stream and has a state", "another try over HTTP/1"):
        assert _http1.Http1Client(drive.layer.context.fork()).stream_id is None
        assert callable(_http1.Http1Client.state)
    with assumed("RequestWakeup takes seconds, Wakeup its command", "pauses, holding back, `expire`"):
        wakeup = commands.RequestWakeup(0.5)
        assert (wakeup.delay, events.Wakeup(wakeup).command) == (0.5, wakeup)
    with assumed("a hook's name comes from its class", "try_failed and try_again"):
        assert (TryFailedHook.name, TryAgainHook.name) == ("try_failed", "try_again")
        assert TryFailedHook.blocking is not False


# ---- the layer, driven

ASKED = b"POST http://one.test/v1 HTTP/1.1\r\nhost: one.test\r\ncontent-length: 2\r\n\r\nhi"
FINE = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"
BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b"5\r\npiece\r\n"

type Hook = Callable[[http.HTTPFlow], object]


class _Loader:
    """What `Proxyserver.load` adds its options to."""

    def __init__(self, opts: options.Options) -> None:
        self.add_option = opts.add_option


@dataclass
class Drive:
    """mitmproxy's HTTP layer in front of one client, between no sockets. `log` is what it did, in order."""

    hooks: dict[str, Hook] = field(default_factory=dict)
    unreachable: tuple[str, ...] = ()
    log: list[str] = field(default_factory=list)
    client: bytes = b""
    sent: list[bytes] = field(default_factory=list)  # to servers
    servers: list[connection.Server] = field(default_factory=list)
    wakeups: list[commands.RequestWakeup] = field(default_factory=list)
    flow: http.HTTPFlow | None = None

    def __post_init__(self) -> None:
        opts = options.Options()
        Proxyserver().load(_Loader(opts))
        peer = connection.Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2))
        peer.state = connection.ConnectionState.OPEN
        self.peer = peer
        self.layer = HttpLayer(context.Context(peer, opts), HTTPMode.regular)
        self.feed(events.Start())

    def feed(self, event: events.Event) -> None:
        for command in list(self.layer.handle_event(event)):
            self._follow(command)

    def ask(self, data: bytes = ASKED) -> None:
        self.feed(events.DataReceived(self.peer, data))

    def answer(self, data: bytes) -> None:
        self.feed(events.DataReceived(self.servers[-1], data))

    def hang_up(self) -> None:
        self.servers[-1].state = connection.ConnectionState.CLOSED
        self.feed(events.ConnectionClosed(self.servers[-1]))

    def wake(self) -> None:
        self.feed(events.Wakeup(self.wakeups.pop()))

    def _follow(self, command: commands.Command) -> None:
        match command:
            case commands.StartHook():
                self._run_hook(command)
            case commands.OpenConnection():
                self._open(command)
            case commands.SendData() if command.connection is self.peer:
                self.client += command.data
            case commands.SendData():
                self.sent.append(command.data)
            case commands.RequestWakeup():
                self.wakeups.append(command)
            case commands.CloseConnection():
                self.log.append("close client" if command.connection is self.peer else "close server")

    def _run_hook(self, command: commands.StartHook) -> None:
        self.log.append(command.name)
        [self.flow] = command.args()
        if hook := self.hooks.get(command.name):
            hook(self.flow)
        if command.blocking:
            self.feed(events.HookCompleted(command))

    def _open(self, command: commands.OpenConnection) -> None:
        found = command.connection
        assert isinstance(found, connection.Server)
        assert found.address is not None
        self.log.append(f"open {found.address[0]}")
        if found.address[0] in self.unreachable:
            found.error = "refused"
            self.feed(events.OpenConnectionCompleted(command, "refused"))
            return
        found.state = connection.ConnectionState.OPEN
        found.timestamp_tcp_setup = 1.0
        self.servers.append(found)
        self.feed(events.OpenConnectionCompleted(command, None))


@pytest.fixture(autouse=True)
def _ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `install` does, undone afterwards."""
    monkeypatch.setattr(HttpLayer, "make_stream", upstream._make_stream)


def retrying(host: str = "", wait: float = 0.0) -> dict[str, Hook]:
    """Hooks that allow one more try, perhaps elsewhere."""

    def allow(flow: http.HTTPFlow) -> None:
        flow.metadata["may_retry"] = "yes"

    def again(flow: http.HTTPFlow) -> None:
        flow.metadata.pop("may_retry")
        flow.metadata["again"] = str(wait)

    def rewrite(flow: http.HTTPFlow) -> None:
        if host:
            flow.request.data.host = host

    return {"request": allow, "try_failed": again, "try_again": rewrite}


def test_a_call_takes_its_course() -> None:
    with assumed("a call's hooks and commands come in this order", "the whole pipeline"):
        drive = Drive()
        drive.ask()
        drive.answer(FINE)
        assert drive.log == ["requestheaders", "request", "open one.test", "responseheaders", "response"]
        assert drive.sent[0].startswith(b"POST /v1 HTTP/1.1\r\n")
        assert b"".join(drive.sent).endswith(b"hi")
        assert drive.client == FINE
        assert drive.layer.streams == {}
        assert drive.flow is not None
        assert drive.flow.live is False
        assert drive.flow.metadata == {"form": "absolute", "connected": "yes"}


def test_an_error_is_answered_by_the_hook() -> None:
    def answer(flow: http.HTTPFlow) -> None:
        assert flow.metadata["ended_by"] == "upstream"
        flow.response = http.Response.make(502, b"ours")

    with assumed("a failed connection ends in handle_protocol_error", "errors in the client's dialect"):
        drive = Drive({"error": answer}, unreachable=("one.test",))
        drive.ask()
        assert drive.log == ["requestheaders", "request", "open one.test", "error"]
        assert drive.client.startswith(b"HTTP/1.1 502")
        assert drive.client.endswith(b"ours")


@pytest.mark.parametrize("how", ["unreachable", "lost", "busy"])
def test_another_target_is_tried(how: str) -> None:
    with assumed(f"a try that failed ({how}) leaves the stream usable", "retry and failover"):
        drive = Drive(retrying("two.test"), ("one.test",) if how == "unreachable" else ())
        drive.ask()
        if how == "lost":
            drive.hang_up()
        elif how == "busy":
            drive.answer(BUSY)
        assert drive.client == b""
        assert drive.log[-3:] == ["try_failed", "try_again", "open two.test"]
        drive.answer(FINE)
        assert drive.client == FINE
        assert drive.log[-2:] == ["responseheaders", "response"]
        assert drive.layer.streams == {}


def test_a_target_is_tried_again_after_a_pause() -> None:
    """Over the same connection: what belongs to the first try must not be taken for the second's."""
    with assumed("a kept connection takes a stream's second request", "retry on the same target"):
        drive = Drive(retrying(wait=0.5))
        drive.ask()
        drive.answer(BUSY)
        assert drive.log[-1] == "try_failed"
        [pause] = drive.wakeups
        assert pause.delay == 0.5
        drive.wake()
        assert drive.log[-1] == "try_again"
        drive.answer(FINE)
        assert drive.client == FINE
        assert drive.log.count("open one.test") == 1


def test_a_client_that_leaves_between_two_tries_ends_the_call() -> None:
    with assumed("a client's end reaches the stream in any state", "rows of calls that nobody waits for"):
        drive = Drive(retrying(wait=0.5))
        drive.ask()
        drive.answer(BUSY)
        drive.peer.state = connection.ConnectionState.CLOSED
        drive.feed(events.ConnectionClosed(drive.peer))
        assert drive.log[-1] == "error"
        drive.wake()
        assert "try_again" not in drive.log


class Pipe:
    """A stream's pipe as upstream.py uses it."""

    def __init__(self, verdict: str = "") -> None:
        self._verdict = verdict

    def __call__(self, chunk: bytes) -> list[bytes]:
        return [chunk] if chunk else []

    def judge(self, chunk: bytes) -> str:
        return self._verdict

    def abort(self, message: str, late: bool = False) -> list[bytes] | None:
        return [b"last words"]


def held(verdict: str) -> Hook:
    def responseheaders(flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.metadata["hold"] = "0.25"
        flow.response.stream = Pipe(verdict)  # type: ignore[assignment]

    return responseheaders


@pytest.mark.parametrize("verdict", ["content", ""], ids=["content", "too late"])
def test_the_beginning_of_a_stream_is_held_back(verdict: str) -> None:
    with assumed("start_response_stream can be put off", "errors in a stream's first event"):
        drive = Drive({"responseheaders": held(verdict)})
        drive.ask()
        drive.answer(STREAM)
        assert drive.client == b""
        drive.answer(PIECE)
        if not verdict:
            assert drive.client == b""
            drive.wake()
        assert drive.client == STREAM + PIECE
        drive.answer(PIECE + b"0\r\n\r\n")
        assert drive.client == STREAM + PIECE + PIECE + b"0\r\n\r\n"


def test_an_error_in_the_first_event_is_a_failed_try() -> None:
    with assumed("an answer that was held back can be dropped", "errors in a stream's first event"):
        drive = Drive({**retrying("two.test"), "responseheaders": held("error")})
        drive.ask()
        drive.answer(STREAM + PIECE)
        assert drive.log[-4:] == ["try_failed", "close server", "try_again", "open two.test"]
        assert drive.client == b""
        drive.answer(FINE)
        assert drive.client == FINE


def test_a_stream_that_breaks_off_gets_its_last_words() -> None:
    def streamed(flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.stream = Pipe()

    with assumed("a stream's client can still be written to", "error events in streams"):
        drive = Drive({"responseheaders": streamed})
        drive.ask()
        drive.answer(STREAM + PIECE)
        drive.hang_up()
        assert drive.client == STREAM + PIECE + b"a\r\nlast words\r\n0\r\n\r\n"
        assert drive.log[-1] == "error"


def test_an_answer_is_refused_by_its_headers() -> None:
    def refuse(flow: http.HTTPFlow) -> None:
        flow.metadata["answered"] = "here"
        flow.response = http.Response.make(500, b"ours")

    with assumed("an answer's body can be left behind", "gates that refuse a foreign dialect"):
        drive = Drive({"responseheaders": refuse})
        drive.ask()
        drive.answer(FINE)
        assert drive.client.startswith(b"HTTP/1.1 500")
        assert drive.client.endswith(b"ours")
        assert "close server" in drive.log


def test_one_call_is_ended_from_outside() -> None:
    with assumed("command_sources lead a wakeup to its stream", "timeouts, and the end of a drain"):
        drive = Drive()
        drive.ask()

        async def server_event(event: events.Event) -> None:
            drive.feed(event)

        handler = SimpleNamespace(client=drive.peer, server_event=server_event)
        assert drive.flow is not None
        asyncio.run(upstream.expire(SimpleNamespace(connections={"it": handler}), drive.flow))
        assert drive.log[-2:] == ["error", "close client"]
        assert drive.client.startswith(b"HTTP/1.1 502")
        assert drive.layer.command_sources == {}


def test_a_layer_that_does_not_fit_is_said_so() -> None:
    """The message names the assumption, what needs it, and what was found instead."""
    with pytest.raises(pytest.fail.Exception) as said, assumed("two and two are five", "sums"):
        assert layer.Layer.handle_event is None
    for words in (VERSION, "Assumed: two and two are five.", "Needed for: sums.", "AssertionError"):
        assert words in str(said.value)
