"""What an event of a stream costs when client and provider speak different dialects.

The same provider's stream is passed through and translated by the same process, in turn; the ratio counts.
"""

from dataclasses import dataclass, replace
from statistics import median

from bench import traffic
from bench.plan import Size
from bench.proxying import STREAMS, cpu
from bench.report import Row, progress
from bench.stage import Job, Stage
from bench.targets import TO_CLAUDE, TO_OPENAI, Target

_MESSAGES = "/v1/messages"
_STOP = b"message_stop"


@dataclass(frozen=True, slots=True)
class _Pair:
    """One provider, and two clients of it."""

    name: str
    passed: Job
    translated: Job


def measure(target: Target, size: Size, stage: Stage) -> list[Row]:
    return [_row(pair, target, size, stage) for pair in _pairs(target, size.events)]


def _pairs(target: Target, events: int) -> list[_Pair]:
    """With usage, which clients of Anthropic always get: so all of it is asked for."""

    def chat(path: str, model: str) -> Job:
        body = traffic.stream_body(ask_usage=True, model=model)
        return Job(_asked(target, path, body), events, counted=traffic.TOKEN)

    def message(path: str, model: str) -> Job:
        return Job(
            _asked(target, path, traffic.message_body(model)), events, counted=traffic.TOKEN, ending=_STOP
        )

    of_openai = chat(traffic.PATH, traffic.MODEL)
    of_claude = replace(message(_MESSAGES, traffic.CLAUDE), claude=True)
    return [
        _Pair("CPU per event, OpenAI as Anthropic", of_openai, message(_MESSAGES, TO_OPENAI)),
        _Pair("... Anthropic as OpenAI", of_claude, replace(chat(traffic.PATH, TO_CLAUDE), claude=True)),
    ]


def _asked(target: Target, path: str, body: bytes) -> bytes:
    return traffic.request(target.host, target.key, body, path=path)


def _row(pair: _Pair, target: Target, size: Size, stage: Stage) -> Row:
    passed, translated = [], []
    for number in range(size.rounds + 3):  # more of them, because the difference that counts is small
        progress(f"{pair.name}: round {number + 1} of {size.rounds + 3}")
        for job, found in ((pair.passed, passed), (pair.translated, translated)):
            found.append(cpu(target, lambda job=job: stage.run(target, [job] * STREAMS, STREAMS).events))
    ratio = median(there / here for there, here in zip(translated, passed, strict=True))
    rounds = {"passed": passed, "translated": translated}
    return Row(pair.name, "us", {"ours": median(translated)}, ratio, "x passed", 1.35, {"rounds": rounds})
