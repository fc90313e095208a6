"""Fills a `usage.db` with plausible traffic, for measuring pages and for screenshots.

    python -m bench.seed /tmp/home --rows 1000000 --days 90

The same seed gives the same rows. They go through `store/usage.py`, so the rollups are the real ones.
"""

import argparse
import json
import math
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import batched
from pathlib import Path

from llm_intercept.home import Home
from llm_intercept.store.migrate import connect
from llm_intercept.store.rows import AttemptRow, RequestRow, ViolationRow
from llm_intercept.store.usage import write_batch

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Model:
    """Prices in nano-USD per token; `speed` in tokens per second."""

    name: str
    provider: str
    host: str
    dialect: str
    operation: str
    path: str
    weight: float
    price_in: int
    price_out: int
    speed: float


# name, provider, host, dialect, operation, path; weight, prices, speed
_MODELS = """
claude-sonnet-4-5 anthropic api.anthropic.com anthropic messages /v1/messages 34 3000 15000 75
claude-haiku-4-5 anthropic api.anthropic.com anthropic messages /v1/messages 12 1000 5000 140
gpt-5 openai api.openai.com openai_responses responses /v1/responses 16 1250 10000 90
gpt-5-mini openai api.openai.com openai_chat chat /v1/chat/completions 18 250 2000 150
gemini-2.5-flash gemini generativelanguage.googleapis.com gemini generate /v1beta/models/gemini-2.5-flash:generateContent 11 300 2500 200
text-embedding-3-small openai api.openai.com openai_chat embeddings /v1/embeddings 6 20 0 0
qwen3:14b ollama 127.0.0.1 openai_chat chat /v1/chat/completions 3 0 0 45
"""  # noqa: E501
MODELS = tuple(
    Model(*words[:6], float(words[6]), int(words[7]), int(words[8]), float(words[9]))
    for words in map(str.split, _MODELS.strip().splitlines())
)
PROJECTS = ("checkout", "support-bot", "search", "code-review", "research", "docs", "mobile", "data-pipeline")
PEOPLE = ("laptop", "ci", "staging", "production")
CLIENTS = (
    "claude-cli/2.1.7",
    "OpenAI/Python 2.8.1",
    "Anthropic/Python 0.75.0",
    "google-genai/1.50",
    "curl/8.14",
)
FAILURES = (
    ("client_error", 429, "rate_limit_error", "Rate limit reached for requests", 55),
    ("provider_error", 529, "overloaded_error", "Overloaded", 20),
    ("client_error", 400, "invalid_request_error", "prompt is too long: 214023 tokens > 200000 maximum", 10),
    ("refused", 401, "authentication", "The project token was revoked.", 6),
    ("timeout", 504, "timeout", "The provider did not answer within 600 s.", 4),
    ("connect_failed", 502, "upstream", "Connection refused", 3),
    ("client_gone", 499, "", "", 12),
    ("upstream_cut", 200, "upstream", "The provider's connection ended early.", 3),
)


def rows(count: int, days: float, now: int, seed: int = 1) -> Iterator[RequestRow]:
    """`count` calls of the last `days` days, in order of time, busier in the daytime and lately."""
    chance = random.Random(seed)
    moments = sorted(_moment(chance, days, now) for _ in range(count))
    last = 0
    for moment in moments:
        last = max(moment, last + 1)
        yield _row(chance, last)


def _moment(chance: random.Random, days: float, now: int) -> int:
    while True:
        at = now - int(days * DAY_US * chance.random() ** 1.15)
        hour = at % DAY_US / DAY_US * 24
        busy = 0.35 + 0.65 * max(0.0, math.sin((hour - 5) / 24 * 2 * math.pi))
        weekend = (at // DAY_US + 4) % 7 in (0, 6)
        if chance.random() < busy * (0.45 if weekend else 1.0):
            return at


def _row(chance: random.Random, moment: int) -> RequestRow:
    model = chance.choices(MODELS, [m.weight for m in MODELS])[0]
    project = PROJECTS[min(int(chance.expovariate(0.55)), len(PROJECTS) - 1)]
    row = RequestRow(
        id=moment,
        request_id=str(uuid.UUID(int=(moment // 1000) << 80 | 7 << 76 | chance.getrandbits(62) | 2 << 62)),
        project=project,
        token=f"{project}-{PEOPLE[min(int(chance.expovariate(1.2)), 3)]}",
        session_id=f"{chance.getrandbits(32):08x}" if chance.random() < 0.6 else "",
        client=chance.choice(CLIENTS),
        client_ip="127.0.0.1",
        entry=chance.choices(("connect", "base_url", "absolute"), (8, 3, 1))[0],
        provider=model.provider,
        host=model.host,
        method="POST",
        path=model.path,
        dialect=model.dialect,
        operation=model.operation,
        model_requested=model.name,
        model=model.name,
        stream=int(model.speed > 0 and chance.random() < 0.7),
        request_bytes=int(chance.lognormvariate(9.2, 1.1)),
        credential="main",
        attempts=1,
    )
    row.request_sha256 = row.upstream_sha256 = sha256(row.request_id.encode()).hexdigest()
    _answer(chance, row, model)
    if chance.random() < 0.028:
        _fail(chance, row)
    elif row.operation == "embeddings" or project == "docs":
        _look_up(row)
    _finish(chance, row)
    return row


def _answer(chance: random.Random, row: RequestRow, model: Model) -> None:
    sent = int(chance.lognormvariate(7.6, 1.2)) + 8
    got = int(chance.lognormvariate(5.4, 0.9)) + 1 if model.speed else 0
    row.status, row.outcome, row.usage_source = 200, "ok", "provider"
    row.finish_reason = "stop" if got else ""
    row.input_tokens, row.output_tokens = sent, got
    row.cache_read_tokens = int(sent * 0.8) if chance.random() < 0.35 and got else 0
    row.reasoning_tokens = int(got * 0.6) if model.name == "gpt-5" else 0
    cached = row.cache_read_tokens
    row.cost_nanos = (sent - cached) * model.price_in + cached * model.price_in // 10 + got * model.price_out
    row.priced = int(model.provider != "ollama")
    row.price_source = f"genai-prices {model.name}" if row.priced else ""
    if not row.priced:
        row.cost_nanos = None
    first = chance.lognormvariate(6.1, 0.5) + sent * 0.02
    row.ttfb_ms = round(first, 2)
    row.ttft_ms = round(first + chance.random() * 40, 2) if row.stream else None
    row.duration_ms = round(first + (got / model.speed * 1000 if model.speed else 0), 2)
    row.tokens_per_second = round(got / row.duration_ms * 1000, 1) if got else None
    row.response_bytes = got * (180 if row.stream else 5) + 400


def _look_up(row: RequestRow) -> None:
    """Projects that ask the same again and again: a part of it comes out of the cache."""
    place = row.id % 10
    row.cache = "stored" if place < 5 else "hit" if place < 9 else "miss"
    if row.cache != "hit":
        return
    row.saved_tokens = (row.input_tokens or 0) + (row.output_tokens or 0)
    row.saved_nanos = row.cost_nanos
    row.input_tokens = row.output_tokens = row.cache_read_tokens = row.reasoning_tokens = row.cost_nanos = 0
    row.usage_source, row.priced, row.price_source = "cache", 1, "cache"
    row.duration_ms = row.ttfb_ms = round(1.1 + row.id % 700 / 1000, 2)
    row.ttft_ms = row.ttfb_ms if row.stream else None
    row.tokens_per_second, row.attempts, row.credential, row.upstream_sha256 = None, 0, "", ""


def _fail(chance: random.Random, row: RequestRow) -> None:
    outcome, status, kind, message, _ = chance.choices(FAILURES, [f[-1] for f in FAILURES])[0]
    row.outcome, row.status, row.error_type, row.error_message = outcome, status, kind, message
    row.finish_reason = ""
    if outcome in ("client_gone", "upstream_cut"):
        row.usage_source = "estimated"
        return
    row.input_tokens = row.output_tokens = row.cache_read_tokens = row.reasoning_tokens = None
    row.cost_nanos, row.priced, row.price_source, row.usage_source = None, 0, "", ""
    row.ttft_ms = row.tokens_per_second = None
    row.duration_ms = row.ttfb_ms = round(chance.lognormvariate(4.6, 0.8), 2)
    row.response_bytes = 180
    if outcome == "refused":
        row.attempts, row.upstream_sha256, row.credential = 0, "", ""


def _finish(chance: random.Random, row: RequestRow) -> None:
    row.overhead_ms = round(chance.lognormvariate(-0.2, 0.3), 3)
    stamps = {"authenticated": chance.randint(90, 260)}
    if row.attempts:
        stamps["admitted"] = stamps["authenticated"] + chance.randint(30, 90)
        stamps["sent"] = stamps["admitted"] + chance.randint(400, 2600)
        stamps["first_byte"] = int((row.ttfb_ms or 0) * 1000) + stamps["sent"]
        if row.ttft_ms:
            stamps["first_token"] = int(row.ttft_ms * 1000) + stamps["sent"]
        stamps["last_byte"] = max(int((row.duration_ms or 0) * 1000) + stamps["sent"], stamps["first_byte"])
    stamps["recorded"] = max(stamps.values()) + chance.randint(60, 200)
    row.phases = json.dumps({"received": 0, **stamps})
    if row.stream and row.dialect == "openai_chat" and row.attempts:
        row.changes = json.dumps(["stream_options.include_usage"])
        row.upstream_sha256 = sha256(row.upstream_sha256.encode()).hexdigest()
    if row.attempts:
        row.tries.append(
            AttemptRow(
                row.id,
                1,
                row.provider,
                row.host,
                row.credential,
                row.model,
                "",
                row.status,
                row.outcome,
                row.error_message,
                row.id + stamps["admitted"],
                12.0,
                row.ttfb_ms,
                row.duration_ms,
            )
        )
    if row.stream and row.outcome == "ok" and row.id % 97 == 0:
        chat = row.dialect == "openai_chat"
        sentence = "usage comes in more than one chunk" if chat else "a second message_start"
        row.violations.append(ViolationRow(row.id, "provider", row.dialect, 20, sentence))


def fill(home: Home, count: int, days: float, now: int, seed: int = 1) -> None:
    """Creates the home's databases if needed and writes the rows."""
    home.ensure()
    connection = connect(home.usage_db)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        for batch in batched(rows(count, days, now, seed), 5000):
            write_batch(connection, batch)
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path, help="a home folder; made when missing")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=90)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    started = time.perf_counter()
    fill(Home(chosen.home), chosen.rows, chosen.days, time.time_ns() // 1000, chosen.seed)
    print(f"{chosen.rows:,} rows in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
