"""A whole answer, both ways: the response object, its usage, why it ended, what it repeats of the request."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from llm_intercept.wire.codec import Context
from llm_intercept.wire.codecs.openai_responses import controls
from llm_intercept.wire.codecs.openai_responses.content import logprobs
from llm_intercept.wire.codecs.openai_responses.items import output_parts, string
from llm_intercept.wire.codecs.openai_responses.output import Output
from llm_intercept.wire.codecs.openai_responses.terms import (
    EMPTY,
    NAME,
    NEVER,
    RESPONSE_ID,
    TARGET,
    Members,
    Raw,
    own,
    rest,
)
from llm_intercept.wire.codecs.openai_responses.tools import encode_choice, encode_tools
from llm_intercept.wire.families import openai, unsaid
from llm_intercept.wire.fields import mapping, objects, text
from llm_intercept.wire.fold import unfold
from llm_intercept.wire.ir import (
    Answer,
    Event,
    Finish,
    Json,
    Part,
    PartDelta,
    PartEnded,
    PartStarted,
    RefusalText,
    Request,
    Text,
    ToolCall,
)
from llm_intercept.wire.toolids import fitted
from llm_intercept.wire.usage import Usage

INCOMPLETE: dict[str, Finish] = {"max_output_tokens": "length", "content_filter": "content_filter"}
REASONS: dict[Finish, str] = {
    "length": "max_output_tokens",
    "overflow": "max_output_tokens",
    "content_filter": "content_filter",
    "refusal": "content_filter",  # where the model gave no words for it
}
BROKEN = {"code": "server_error", "message": "The model's answer ended with an error."}
WORDS = frozenset(("id", "model", "output", "created_at", "status", "incomplete_details", "object", "usage"))
USAGE = frozenset(
    ("input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details", "total_tokens")
)


def decode_answer(body: Mapping[str, Json]) -> Answer:
    parts: list[Part] = []
    for item in objects(body.get("output")):
        parts.extend(output_parts(item))
    return Answer(
        id=string(body.get("id")),
        model=string(body.get("model")),
        parts=tuple(parts),
        finish=finish_of(body, parts),
        usage=usage_of(body),
        created=created_of(body),
        logprobs=_logprobs(body),
        extras={NAME: _extras(body)},
    )


def created_of(body: Members) -> int:
    created = body.get("created_at")
    return int(created) if isinstance(created, int | float) and 0 <= created < 1e12 else 0


def finish_of(body: Members, parts: Iterable[Part]) -> Finish:
    status = body.get("status")
    reason = string(mapping(body.get("incomplete_details")).get("reason"))
    if status == "incomplete" or reason in INCOMPLETE:
        return INCOMPLETE.get(reason, "other")
    if status == "failed" or body.get("error"):
        return "error"
    if status in ("cancelled", "queued", "in_progress"):
        return "other"
    kinds = {type(part) for part in parts}
    if ToolCall in kinds:
        return "tool_calls"
    return "refusal" if RefusalText in kinds else "stop"


def usage_of(body: Members) -> Usage:
    usage = openai.usage(body.get("usage"))
    return replace(usage, service_tier=text(body.get("service_tier"), 40) or usage.service_tier)


def _logprobs(body: Members) -> tuple[Raw, ...]:
    found: list[Raw] = []
    for item in objects(body.get("output")):
        for part in objects(item.get("content")):
            found.extend(logprobs(part))
    return tuple(found)


def _extras(body: Members) -> Raw:
    """What the answer says beside itself, nulls too: whoever gets it again finds all of it."""
    more = {name: value for name, value in body.items() if name not in WORDS}
    if string(body.get("status")) not in ("completed", "incomplete", ""):
        more["@status"] = body["status"]
    counters = rest(mapping(body.get("usage")), USAGE)
    return {**more, "@usage": counters} if counters else more


LACKING = frozenset((unsaid.WRITTEN_1H, unsaid.STOPPED))  # searches are items of the output


def encode_answer(answer: Answer, context: Context) -> Mapping[str, Json]:
    name = response_id(answer.id, context)
    native = NAME in answer.extras
    output = Output(name, context, renames=not native)
    for event in _with_logprobs(unfold(answer), answer.logprobs):
        match event:
            case PartStarted(index, part):
                output.start(index, part)
            case PartDelta():
                output.delta(event)
            case PartEnded(index):
                output.end(index)
    status, details = ending(answer.finish, output.refused)
    output.close("incomplete" if status == "incomplete" else "completed")
    body = Envelope(name, answer.model, answer.created, context).body(status, answer.extras.get(NAME, EMPTY))
    body["output"] = output.written()
    body["incomplete_details"] = details
    if status == "failed":
        body["error"] = body.get("error") or BROKEN
    body["usage"] = {
        **mapping(own(answer.extras).get("@usage")),
        **written_usage(answer.usage, context, native),
    }
    unsaid.ended(answer.usage, answer.stop_sequence, LACKING, TARGET, context)
    tier = answer.usage.service_tier if native else controls.own_tier(answer.usage.service_tier)
    if tier:
        body["service_tier"] = tier
    return body


def _with_logprobs(events: Iterable[Event], entries: tuple[Mapping[str, Json], ...]) -> Iterator[Event]:
    """Each text gets the log probabilities of its own tokens."""
    if not entries:
        yield from events
        return
    left, texts = list(entries), set()
    for event in events:
        if isinstance(event, PartStarted) and isinstance(event.part, Text):
            texts.add(event.index)
        if isinstance(event, PartDelta) and event.index in texts and event.text:
            event = replace(event, logprobs=_of_text(len(event.text), left))
        yield event


def _of_text(length: int, left: list[Mapping[str, Json]]) -> tuple[Mapping[str, Json], ...]:
    size, count = 0, 0
    while count < len(left) and size < length:
        size += len(string(left[count].get("token"))) or 1
        count += 1
    found = tuple(left[:count])
    del left[:count]
    return found


def ending(finish: Finish, refused: bool) -> tuple[str, Raw | None]:
    """Status and incomplete_details. A refusal in words is a whole answer."""
    if finish == "error":
        return "failed", None
    reason = REASONS.get(finish)
    if reason is None or (finish == "refusal" and refused):
        return "completed", None
    return "incomplete", {"reason": reason}


def written_usage(usage: Usage, context: Context, native: bool = False) -> Raw:
    """Always there: clients take an answer without counters for a broken one."""
    told = usage.input if usage.input is not None else context.input_estimate
    read, made = told or 0, usage.output or 0
    cached = {"cached_tokens": usage.cache_read or 0}
    if usage.cache_write is not None or not native:
        cached["cache_write_tokens"] = usage.cache_write or 0
    return {
        "input_tokens": read,
        "input_tokens_details": cached,
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": read + made,
    }


def response_id(original: str, context: Context) -> str:
    if original:
        return fitted(original, RESPONSE_ID, "resp_")
    return f"resp_{fitted(context.mint(24), NEVER, '')}"


class Envelope:
    """The response object around the output; what it repeats of the request is found once."""

    def __init__(self, name: str, model: str, created: int, context: Context) -> None:
        self._name = name
        self._model = context.requested_model or model
        self._created = created or int(context.now)
        self._now = int(context.now)
        self._repeated = repeated(context.request)

    def body(self, status: str, kept: Members = EMPTY) -> Raw:
        """`kept` is what an answer of this dialect said itself."""
        told = {name: value for name, value in kept.items() if name[0] != "@"}
        return {
            "id": self._name,
            "object": "response",
            "created_at": self._created,
            "status": kept.get("@status", status),
            "error": None,
            "incomplete_details": None,
            **(told or {**self._repeated, "completed_at": self._completed(status)}),
            "model": self._model,
            "output": [],
            "usage": None,
        }

    def _completed(self, status: str) -> int | None:
        return max(self._now, self._created) if status == "completed" else None


DEFAULTS: Raw = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
SAID = ("background", "max_tool_calls", "safety_identifier", "store", "truncation")


def repeated(request: Request | None) -> Raw:
    """The request's own words, which every response of this dialect repeats."""
    if request is None:
        return dict(DEFAULTS)
    unheard, members = Context(), own(request.extras)
    native = NAME in request.extras
    sampling = request.sampling
    found: Raw = {
        "instructions": _instructions(request),
        "max_output_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_logprobs": sampling.top_logprobs,
        "text": _text(request, unheard),
        "tools": encode_tools(members.get("@tools") or request.tools, native, unheard),
        **encode_choice(request, members, unheard),
        **{name: members.get(name) for name in SAID},
    }
    if native:
        found |= controls.encode_identity(request, native, unheard)
        thought = controls.encode_reasoning(request, native, unheard)
        found["reasoning"] = {**DEFAULTS["reasoning"], **thought} if thought else None
    return {**DEFAULTS, **{name: value for name, value in found.items() if value is not None}}


def _text(request: Request, context: Context) -> Raw:
    return {**DEFAULTS["text"], **(controls.encode_text(request, context) or {})}


def _instructions(request: Request) -> str | None:
    first = request.messages[0] if request.messages else None
    if first is None or "@instructions" not in own(first.extras):
        return None
    return "".join(part.text for part in first.parts if isinstance(part, Text))
