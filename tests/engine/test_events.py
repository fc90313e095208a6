import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest
from pydantic import SecretStr

from llm_intercept.engine.events import Event, Events, signed
from llm_intercept.settings import WebhookSettings
from tests.live.stack import wait_for

EVENT = Event("limit.threshold", 1_795_000_000.5, {"percent": 80, "text": "nearly"}, "evt_1")


class Receiver:
    """Answers with the statuses it is given, then 200; keeps what came."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.came: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.came.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


def hook(url: str, secret: str = "", *events: str) -> WebhookSettings:
    return WebhookSettings(url=url, secret=SecretStr(secret), events=list(events))


@pytest.mark.parametrize(
    ("secret", "key"), [("plain", b"plain"), ("whsec_" + base64.b64encode(b"key").decode(), b"key")]
)
def test_what_is_sent_is_signed(receiver: Receiver, secret: str, key: bytes) -> None:
    events = Events([hook(receiver.url, secret)], now=lambda: 1_795_000_700.0)
    events.emit(EVENT)
    events.close(timeout=20)
    [(headers, body)] = receiver.came
    assert orjson.loads(body)["data"]["percent"] == 80
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("evt_1", "1795000700")


def test_without_a_secret_there_is_no_signature() -> None:
    assert "webhook-signature" not in signed(None, EVENT, b"{}", 1.0)


def test_it_is_sent_again_until_it_is_taken(receiver: Receiver) -> None:
    receiver.statuses = [500, 302, 429]
    events = Events([hook(receiver.url)], pauses=(0.001, 0.001, 0.001))
    events.emit(EVENT)
    wait_for(lambda: len(receiver.came) == 4, "four deliveries")
    events.close(timeout=20)
    assert {headers["webhook-id"] for headers, _ in receiver.came} == {"evt_1"}


def test_after_the_last_pause_it_is_given_up(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.statuses = [500] * 9
    events = Events([hook(receiver.url)], pauses=(0.001,))
    events.emit(EVENT)
    wait_for(lambda: "did not take" in caplog.text, "giving up")
    events.close(timeout=20)
    assert len(receiver.came) == 2


def test_only_what_was_asked_for(receiver: Receiver) -> None:
    events = Events([hook(receiver.url, "", "limit.refused")])
    events.emit(EVENT)
    events.emit(Event("limit.refused", 1.0, {}))
    events.close(timeout=20)
    assert [orjson.loads(body)["type"] for _, body in receiver.came] == ["limit.refused"]


def test_nobody_is_there(caplog: pytest.LogCaptureFixture) -> None:
    events = Events([hook("http://127.0.0.1:9/")], pauses=())
    events.emit(EVENT)
    events.close(timeout=20)
    assert "cannot be reached" in caplog.text


def test_audit_and_count_are_told_at_once() -> None:
    audited: list[Event] = []
    counted: list[Event] = []
    Events(audit=audited.append, count=counted.append).emit(EVENT)
    assert audited == counted == [EVENT]


def test_every_event_has_an_id_of_its_own() -> None:
    assert Event("a", 1.0, {}).id != Event("a", 1.0, {}).id
