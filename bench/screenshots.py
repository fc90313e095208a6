"""Takes the pictures of the dashboard in `docs/img`, from a seeded home and a real server.

python -m bench.screenshots docs/img
python -m bench.screenshots docs/img --only limits --only tokens-dark

Needs Playwright and a Chromium. Look at what it made before committing it.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bench.seed import fill
from llm_intercept import presence
from llm_intercept.cli.dashboard import login_link, serve_arguments
from llm_intercept.home import Home
from llm_intercept.manage.house import next_backup
from llm_intercept.policy.allow import Policy
from llm_intercept.policy.cooling import Headroom, Room, as_json
from llm_intercept.policy.limits import NANOS, Limit
from llm_intercept.policy.parameters import Range
from llm_intercept.policy.routing import Route, RouteMatch
from llm_intercept.policy.targets import parse_target
from llm_intercept.policy.windows import span
from llm_intercept.settings import CaptureSettings, Settings
from llm_intercept.store.bodies import Body, Capture, write_bodies
from llm_intercept.store.cache import AnswerStore, Stored
from llm_intercept.store.control import Control
from llm_intercept.store.migrate import connect
from llm_intercept.store.pools import Changes, KeyRow, write_changes
from llm_intercept.store.reservations import Counters
from llm_intercept.store.rows import AttemptRow, RequestRow
from llm_intercept.store.usage import write_batch
from llm_intercept.tools import backup
from llm_intercept.vault import Vault

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
REQUEST_ID = "019a9f0c-7d1e-7c3a-9b5e-5b1f2c3d4e5f"
HIT_ID = "019a9f0c-7d1e-7c3a-9b5e-5b1f2c3d4e60"
DESK, PHONE = 1280, 390


@dataclass(frozen=True, slots=True)
class Shot:
    """`height` 0 takes the whole page."""

    name: str
    path: str
    scheme: str = "light"
    width: int = DESK
    height: int = 0


SHOTS = (
    Shot("overview", "/?by=model", height=1180),
    Shot("overview-dark", "/?range=30d&by=project", "dark", height=1180),
    Shot("overview-phone", "/", width=PHONE, height=1700),
    Shot("requests", "/-/llm/requests?since=30d&project=checkout", height=900),
    Shot("requests-phone", "/-/llm/requests", "dark", PHONE, 1100),
    Shot("request", f"/-/llm/requests/{REQUEST_ID}"),
    Shot("request-dark", f"/-/llm/requests/{REQUEST_ID}", "dark"),
    Shot("request-phone", f"/-/llm/requests/{REQUEST_ID}", width=PHONE, height=1700),
    Shot("report", "/usage/by-model"),
    Shot("report-errors-dark", "/usage/errors?limit=15", "dark"),
    Shot("data", "/usage"),
    Shot("table", "/usage/requests?_col=ts&_col=request_id&_col=project&_col=model&_col=status&_col=outcome"
         "&_col=cost_nanos&_col=duration_ms&_sort_desc=id&_size=12", height=900),
    Shot("manage", "/-/llm/manage"),
    Shot("manage-phone", "/-/llm/manage", width=PHONE),
    Shot("limits", "/-/llm/manage/limits"),
    Shot("limit-dark", "/-/llm/manage/limits/new", "dark"),
    Shot("keys", "/-/llm/manage/keys"),
    Shot("routes-dark", "/-/llm/manage/routes", "dark"),
    Shot("tokens-dark", "/-/llm/manage/tokens", "dark"),
    Shot("tokens-phone", "/-/llm/manage/tokens", width=PHONE, height=1400),
    Shot("project-phone", "/-/llm/manage/projects/checkout/edit", width=PHONE, height=1100),
    Shot("maintenance", "/-/llm/manage/maintenance"),
    Shot("hit", f"/-/llm/requests/{HIT_ID}", height=1000),
    Shot("cache", "/-/llm/manage/cache", height=1000),
    Shot("cache-dark", "/-/llm/manage/cache/07070707", "dark", height=1000),
    Shot("cache-phone", "/-/llm/manage/cache", width=PHONE, height=1400),
    Shot("report-phone", "/usage/by-model", "dark", PHONE, 1100),
)  # fmt: skip
# What each limit of the pictures has counted: of its amount, used and reserved.
LIMITS = (
    ({"scope": "global", "measure": "cost", "amount": 50 * NANOS, "per": "day"}, "", 0.62, 0.03),
    (
        {"scope": "project", "name": "checkout", "measure": "tokens", "amount": 20_000_000, "per": "month"},
        "",
        0.87,
        0.04,
    ),
    (
        {
            "scope": "project",
            "name": "research",
            "measure": "cost",
            "amount": 25 * NANOS,
            "per": "week",
            "soft": True,
        },
        "",
        1.0,
        0,
    ),
    ({"scope": "token", "measure": "requests", "amount": 60, "per": "minute"}, "checkout/ci", 0.35, 0.05),
    ({"scope": "global", "measure": "concurrency", "amount": 40}, "", 0, 0.2),
)


CALLER: dict[str, Any] = {
    "project": "code-review",
    "token": "code-review-ci",
    "session_id": "5f0c2f7e-review",
    "client": "claude-cli/2.1.7",
    "client_ip": "127.0.0.1",
    "entry": "connect",
}
ASKED: dict[str, Any] = {
    "provider": "anthropic",
    "host": "api.anthropic.com",
    "method": "POST",
    "path": "/v1/messages",
    "dialect": "anthropic",
    "operation": "messages",
    "model_requested": "claude-sonnet-4-5",
    "model": "claude-sonnet-4-5-20250929",
    "stream": 1,
    "credential": "backup",
    "request_bytes": 88_214,
    "request_sha256": "4f9f0e7c" * 8,
    "upstream_sha256": "4f9f0e7c" * 8,
}
ANSWERED: dict[str, Any] = {
    "status": 200,
    "outcome": "ok",
    "finish_reason": "tool_use",
    "input_tokens": 21_480,
    "output_tokens": 512,
    "cache_read_tokens": 18_944,
    "cache_write_tokens": 2_048,
    "usage_source": "provider",
    "cost_nanos": 22_507_200,
    "priced": 1,
    "price_source": "genai-prices claude-sonnet-4-5",
    "response_bytes": 41_090,
    "response_id": "msg_01XFDUDYJgAACzvnptvVoYEL",
    "attempts": 2,
}
TIMES: dict[str, Any] = {
    "duration_ms": 8_284.0,
    "ttfb_ms": 1_614.0,
    "ttft_ms": 1_702.0,
    "tokens_per_second": 77.8,
    "overhead_ms": 1.2,
    "phases": json.dumps(
        {
            "received": 0,
            "authenticated": 180,
            "admitted": 260,
            "sent": 1_100,
            "first_byte": 1_614_000,
            "first_token": 1_702_000,
            "last_byte": 8_284_000,
            "recorded": 8_284_120,
        }
    ),
}


def one_call(now: int) -> RequestRow:
    """A call with something to see on every part of its page."""
    where = ("anthropic", "api.anthropic.com")
    model, late = ASKED["model"], now + 404_000
    failed = (model, "", 529, "provider_error", "Overloaded")
    tries = [
        AttemptRow(now, 1, *where, "team", *failed, now, 21.0, 402.0, 402.4),
        AttemptRow(now, 2, *where, "backup", model, "", 200, "ok", "", late, 18.0, 1_210.0, 7_880.0),
    ]
    return RequestRow(now, REQUEST_ID, **CALLER, **ASKED, **ANSWERED, **TIMES, tries=tries)


def bodies() -> list[Body]:
    question = {
        "model": "claude-sonnet-4-5",
        "system": "You review pull requests. Be brief and kind.",
        "messages": [{"role": "user", "content": "Does this change to the retry loop look right to you?"}],
    }
    answer = {
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": "The loop sleeps before it checks the deadline."},
            {"type": "text", "text": "Nearly. It sleeps once more after the deadline has passed; "
                                     "let me look at the caller before I suggest a fix."},
            {"type": "tool_use", "name": "read_file", "input": {"path": "src/client/retry.py"}},
        ],
    }  # fmt: skip
    return [
        Body("request", "application/json", json.dumps(question).encode()),
        Body("response", "application/json", json.dumps(answer).encode()),
    ]


def twice(now: int) -> list[RequestRow]:
    """A call that was stored, and one that asks the same."""
    asked = {**CALLER, **ASKED, "credential": "", "upstream_sha256": ""}
    answer: dict[str, Any] = {"status": 200, "outcome": "ok", "response_id": "msg_01AbCdEfGh", "finish_reason": "end_turn"}  # fmt: skip  # noqa: E501
    hit = {"usage_source": "cache", "input_tokens": 0, "output_tokens": 0, "cost_nanos": 0, "priced": 1}
    saved = {"saved_tokens": 3_180, "saved_nanos": 12_540_000}
    phases = {"received": 0, "authenticated": 170, "first_byte": 900, "last_byte": 960, "recorded": 1_100}
    times = {"duration_ms": 0.96, "ttfb_ms": 0.9, "overhead_ms": 0.9, "phases": json.dumps(phases)}
    stored = RequestRow(now - 340_000_000, REQUEST_ID[:-2] + "61", cache="stored", **asked, **answer)
    return [
        stored,
        RequestRow(now - 10_000_000, HIT_ID, cache="hit", **asked, **answer, **hit, **saved, **times),
    ]


def keep(answers: AnswerStore, now: int) -> None:
    """What the page of stored answers lists."""
    kinds = (
        ("docs", "docs-laptop", "gpt-5-mini", "openai", "openai_chat", "chat", 3_480_000),
        ("search", "search-ci", "text-embedding-3-small", "openai", "openai_chat", "embeddings", 41_200),
        ("support-bot", "support-bot", "claude-haiku-4-5", "anthropic", "anthropic", "messages", 2_150_000),
    )  # fmt: skip
    said = {
        "openai_chat": {"choices": [{"message": {"content": "Restart the worker, then run the job again."}}]},
        "anthropic": {"type": "message", "content": [{"type": "text", "text": "It left the depot at noon."}]},
    }  # fmt: skip
    for number in range(9, 0, -1):
        project, token, model, provider, dialect, operation, cost = kinds[number % 3]
        body = json.dumps(said[dialect] if operation != "embeddings" else {"data": [{"embedding": [0.5]}]})
        at = now - number * 1_860_000_000
        answers.put([Stored(
            at, bytes([number]) * 32, project, token, f"{REQUEST_ID[:-1]}{number}", provider,
            f"api.{provider}.com", model, dialect, operation, False, "application/json", (), body.encode(),
            cost // 1500, cost, at + (3_600_000_000 if number == 4 else 86_400_000_000),
        )])  # fmt: skip
    answers.used(
        [(bytes([number]) * 32, number * 7 % 23, now - number * 60_000_000) for number in range(1, 9)]
    )


def prepare(home: Home, now: int) -> None:
    fill(home, 60_000, 60, now)
    with closing(connect(home.usage_db)) as usage:
        row = one_call(now - 20_000_000)
        write_batch(usage, [row, *twice(now)])
        write_changes(usage, health(now), now)
    with closing(connect(home.bodies_db)) as stored:
        write_bodies(stored, Capture(CaptureSettings()), [(row.id, bodies())])
    with closing(AnswerStore(home.cache_db)) as answers:
        keep(answers, now)
    with closing(Control(home.control_db, Vault.load(home.secret_key, {}))) as control:
        furnish(control)
        with closing(Counters(home.limits_db)) as counters:
            count(control, counters, now / 1e6)
    backup.make(home, next_backup(home, now / 1e6), backup.Wanted(), now / 1e6, lambda _: None)
    presence.announce(home.path, "http://127.0.0.1:8080")


def health(now: int) -> Changes:
    """What the providers' last answers told of the keys."""
    rooms = Headroom(requests=Room(4000, 3712), tokens=Room(400_000, 251_380))
    rows = [
        KeyRow("anthropic", "team", "", 0, "", as_json(rooms), now),
        KeyRow("anthropic", "backup", "", now + 95_000_000, "429: too many requests", "", now),
    ]
    return Changes(keys={(row.provider, row.credential, row.model): row for row in rows})


def furnish(control: Control) -> None:
    """People, projects and tokens for the pages of administration."""
    for name, role in (("ada", "admin"), ("grace", "member"), ("linus", "viewer")):
        control.users.create(name, email=f"{name}@example.com", role=role)
    allowed = Policy(models=("gpt-5*", "claude-*"), parameters={"max_tokens": Range(max=4096)})
    control.projects.create("checkout", owner="ada", members=["grace"], hangup="drain", policy=allowed)
    control.projects.create("research", owner="grace", members=["linus"])
    create, month = control.tokens.create, timedelta(days=30)
    create("checkout", "laptop", user="grace", lifetime=month)
    create("checkout", "ci", lifetime=timedelta(hours=12), policy=Policy(models=("gpt-5-mini",)))
    create("research", "notebook", user="linus", lifetime=month, max_requests=1000)
    create("research", "bedrock", aws=True, policy=Policy(ips=("10.0.0.0/8",)))
    control.tokens.suspend(create("research", "crawler", user="grace").token.id)
    control.tokens.revoke(create("checkout", "old-laptop", user="ada").token.id)
    for provider, name, pool in (
        ("anthropic", "team", "team"),
        ("anthropic", "backup", ""),
        ("openai", "default", ""),
    ):
        secret = SecretStr(f"sk-{provider}-{name}-0123456789")
        control.credentials.add(provider, secret, name=name, pool=pool, weight=3 if pool else 1)
    for name, models, targets in (
        ("reviews", ("claude-*",), ("anthropic/@team", "bedrock/anthropic.claude-sonnet-4-5")),
        ("cheap", ("gpt-5*",), ("openai/*3", "azure/")),
    ):
        match = RouteMatch(models=models)
        control.routes.set(Route(name=name, match=match, targets=tuple(map(parse_target, targets))))
    control.aliases.set("fast", "openai/gpt-5-mini")
    control.listeners.create("team-a", project="checkout", is_free=lambda _: True)


def count(control: Control, counters: Counters, now: float) -> None:
    with counters.changing(5.0) as changes:
        for values, member, used, held in LIMITS:
            limit = Limit.model_validate(values)
            key = f"{control.limits.set(limit).id}:{member}"
            start, end = span(limit.per, limit.timezone, now)
            counter = changes.counters([key])[key]
            counter.add(start, end, int(limit.amount * used))
            counter.hold(start, end, int(limit.amount * held))
            changes.changed(key)


@contextmanager
def server(home: Home) -> Iterator[Settings]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings = Settings.model_validate({"dashboard": {"port": probe.getsockname()[1]}})
    argv, env = serve_arguments(home, settings, settings.dashboard.port)
    with subprocess.Popen(argv, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # fmt: skip  # noqa: E501
        wait_for(settings.dashboard.port)
        yield settings
        process.terminate()


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the dashboard does not start")


def take(browser: Any, shot: Shot, base: str, state: Any, folder: Path) -> None:
    context = browser.new_context(
        storage_state=state,
        color_scheme=shot.scheme,
        viewport={"width": shot.width, "height": shot.height or 800},
    )
    page = context.new_page()
    page.goto(base + shot.path)
    page.wait_for_timeout(600)
    path = folder / f"{shot.name}.png"
    page.screenshot(path=path, full_page=not shot.height)
    context.close()
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", metavar="NAME", help="this picture; may be repeated")
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as engine:
        home, fresh = Home(Path(temporary) / "home"), Home(Path(temporary) / "fresh")
        prepare(home, time.time_ns() // 1000)
        fresh.ensure()
        browser = engine.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for chosen, shots in ((home, SHOTS), (fresh, (Shot("empty", "/", height=800),))):
            with server(chosen) as settings:
                base = f"http://127.0.0.1:{settings.dashboard.port}"
                wanted = [shot for shot in shots if shot.name in (given.only or [shot.name])]
                if chosen is home and not given.only:
                    take(browser, Shot("login", "/", height=480), base, None, folder)
                context = browser.new_context()
                context.new_page().goto(login_link(chosen, settings))
                for shot in wanted:
                    take(browser, shot, base, context.storage_state(), folder)
        browser.close()


if __name__ == "__main__":
    main()
