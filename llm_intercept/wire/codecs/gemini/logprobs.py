"""Log probabilities: Gemini's `logprobsResult` and the entries of OpenAI's chat, which the IR has."""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_intercept.wire.codecs.gemini.shapes import listed, proto
from llm_intercept.wire.ir import Json


def decode(raw: object) -> tuple[Mapping[str, Json], ...]:
    result = proto(raw)
    chosen = listed(result.get("chosenCandidates"))
    tops = listed(result.get("topCandidates"))
    entries = []
    for index, item in enumerate(chosen):
        others = listed(proto(tops[index]).get("candidates")) if index < len(tops) else []
        entries.append({**_entry(item), "top_logprobs": [_entry(other) for other in others]})
    return tuple(entries)


def _entry(raw: dict[str, Any]) -> dict[str, Any]:
    item = proto(raw)
    token = str(item.get("token") or "")
    return {
        "token": token,
        "logprob": item.get("logProbability", 0.0),
        "bytes": list(token.encode("utf-8", "replace")),
    }


def encode(entries: Iterable[Mapping[str, Json]]) -> dict[str, Any]:
    """Token ids are Gemini's own; answers of other providers have none."""
    chosen, tops = [], []
    for entry in entries:
        chosen.append(_candidate(entry))
        tops.append({"candidates": [_candidate(other) for other in listed(entry.get("top_logprobs"))]})
    return {"chosenCandidates": chosen, "topCandidates": tops} if chosen else {}


def _candidate(entry: Mapping[str, Json]) -> dict[str, Any]:
    return {"token": entry.get("token") or "", "logProbability": entry.get("logprob") or 0.0}
