"""What happens that somebody may want to know of (limits that fill up): told to an audit, counted, sent on.

`emit` is called from anywhere and only queues. Web hooks are sent by a thread with an event loop of its own,
signed as the Standard Webhooks specification says, and again with growing pauses until they are taken.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from pydantic import SecretStr

from llm_intercept.settings import WebhookSettings
from llm_intercept.settings.hidden import origin

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 5.0, 30.0, 120.0, 600.0)
MOST_WAITING = 1000
_TIMEOUT_S = 15
_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Event:
    """`at` is Unix seconds, `data` JSON."""

    kind: str  # limit.threshold | limit.refused
    at: float
    data: Mapping[str, object]
    id: str = field(default_factory=lambda: f"evt_{secrets.token_hex(8)}")

    def document(self) -> bytes:
        return orjson.dumps({"id": self.id, "type": self.kind, "at": self.at, "data": self.data})


class Events:
    """`audit` and `count` are called for each event at once, by whoever emits it: they must be quick."""

    def __init__(
        self,
        webhooks: Sequence[WebhookSettings] = (),
        *,
        audit: Callable[[Event], None] | None = None,
        count: Callable[[Event], None] | None = None,
        pauses: Sequence[float] = PAUSES_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._listeners = [listener for listener in (audit, count) if listener is not None]
        self._webhooks = tuple(webhooks)
        self._pauses = tuple(pauses)
        self._waiting: deque[Event] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)
        log.info("%s: %s", event.kind, event.data.get("text", ""))
        if not self._webhooks:
            return
        if len(self._waiting) >= MOST_WAITING:
            log.warning("an event is not sent to web hooks: too many are waiting")
            return
        self._waiting.append(event)
        self._wake()

    def close(self, timeout: float = 2.0) -> None:
        """Tries once more what is still waiting."""
        self._closing = True
        if self._thread is not None:
            self._wake()
            self._thread.join(timeout)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
            self._thread.start()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._more.set)

    def _run(self) -> None:
        asyncio.run(self._send_all())

    async def _send_all(self) -> None:
        import aiohttp  # 10 MB that a proxy without web hooks does without

        self._more, self._ended = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        sending: set[asyncio.Task[None]] = set()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session:
            while True:
                self._begin(session, sending)
                if self._closing:
                    break
                await self._more.wait()
                self._more.clear()
            self._ended.set()
            await asyncio.gather(*sending)

    def _begin(self, session: "aiohttp.ClientSession", sending: "set[asyncio.Task[None]]") -> None:
        while self._waiting:
            event = self._waiting.popleft()
            for webhook in self._webhooks:
                if not webhook.events or event.kind in webhook.events:
                    task = asyncio.create_task(self._deliver(session, webhook, event))
                    sending.add(task)
                    task.add_done_callback(sending.discard)

    async def _deliver(
        self, session: "aiohttp.ClientSession", webhook: WebhookSettings, event: Event
    ) -> None:
        pauses = iter(self._pauses)
        while not await self._send(session, webhook, event):
            pause = next(pauses, None)
            if pause is None or self._ended.is_set():
                log.error("the web hook %s did not take the event %s", origin(webhook.url), event.id)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), pause)

    async def _send(self, session: "aiohttp.ClientSession", webhook: WebhookSettings, event: Event) -> bool:
        import aiohttp

        body = event.document()
        signature = signed(webhook.secret, event, body, self._now())
        headers = {"content-type": "application/json", **signature}
        try:
            async with session.post(webhook.url, data=body, headers=headers, allow_redirects=False) as answer:
                return answer.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("the web hook %s cannot be reached: %s", origin(webhook.url), type(error).__name__)
            return False


def signed(secret: SecretStr | None, event: Event, body: bytes, now: float) -> dict[str, str]:
    """The headers that prove who sent it: HMAC-SHA256 over id, time and body.

    The time is that of this attempt: receivers take what is older than five minutes for a replay.
    """
    when = str(int(now))
    headers = {"webhook-id": event.id, "webhook-timestamp": when}
    text = secret.get_secret_value() if secret is not None else ""
    if text:
        key = base64.b64decode(text.removeprefix(_PREFIX)) if text.startswith(_PREFIX) else text.encode()
        digest = hmac.digest(key, f"{event.id}.{when}.".encode() + body, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers
