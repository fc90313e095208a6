"""Log probabilities: parallel lists here, one entry for each token in the IR, as in chat completions."""

from collections.abc import Iterable, Mapping
from typing import Any

from llm_intercept.wire.fields import items, mapping


def read(source: object) -> tuple[Mapping[str, Any], ...]:
    known = mapping(source)
    weights, tops = items(known.get("token_logprobs")), items(known.get("top_logprobs"))
    return tuple(
        _entry(token, _at(weights, place), mapping(_at(tops, place)))
        for place, token in enumerate(items(known.get("tokens")))
        if isinstance(token, str)
    )


def _at(values: list[Any], place: int) -> Any:
    return values[place] if place < len(values) else None


def _entry(token: str, weight: Any, top: Mapping[str, Any]) -> dict[str, Any]:
    others = [_weighed(other, value) for other, value in top.items()]
    return {**_weighed(token, weight), "top_logprobs": others}


def _weighed(token: str, weight: Any) -> dict[str, Any]:
    return {"token": token, "logprob": weight, "bytes": list(token.encode("utf-8", "surrogatepass"))}


def write(entries: Iterable[Mapping[str, Any]], start: int = 0) -> dict[str, Any] | None:
    """`start`: where the text begins, in characters, for `text_offset`."""
    known = list(entries)
    if not known:
        return None
    offsets = []
    for entry in known:
        offsets.append(start)
        start += len(str(entry.get("token", "")))
    return {
        "tokens": [entry.get("token") for entry in known],
        "token_logprobs": [entry.get("logprob") for entry in known],
        "top_logprobs": [_top(entry) for entry in known],
        "text_offset": offsets,
    }


def _top(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    found = [top for top in items(entry.get("top_logprobs")) if isinstance(top, dict)]
    return {str(top.get("token")): top.get("logprob") for top in found} or None
