"""What an operator's settings change in a request: reasoning, verbosity, system prompt. Pure, on the IR."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from llm_intercept.wire.codec import Target
from llm_intercept.wire.ir import Media, Message, Part, Reasoning, Request, Text

type Warn = Callable[[str], None]
type Placement = Literal["append", "prepend", "replace"]

_SYSTEM = ("system", "developer")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_DEAF = {"none": "does not reason", "fixed": "reasons as it likes"}


def _unheard(text: str) -> None:
    """For callers that want no warnings."""


def apply_reasoning(
    request: Request,
    control: Reasoning | None,
    target: Target,
    *,
    asked: bool = False,
    warn: Warn = _unheard,
) -> Request:
    """The request with the reasoning it should have: within the model's range, none where none is possible.

    `control` goes before what the client wrote, with one exception: a client that switched reasoning off for
    this call keeps it off, unless the model's name `asked` for it.
    """
    wanted = _joined(request.reasoning, control, asked)
    if wanted is not None and target.reasoning in _DEAF:
        if _asks(wanted):
            warn(f"reasoning: {target.model or 'the model'} {_DEAF[target.reasoning]}")
        wanted = None
    if wanted is not None:
        wanted = _leveled(_within(wanted, target, warn), target, warn)
    return request if wanted == request.reasoning else replace(request, reasoning=wanted)


def _joined(own: Reasoning | None, control: Reasoning | None, asked: bool) -> Reasoning | None:
    if control is None:
        return own
    base = own or Reasoning()
    if control.visible is not None:
        base = replace(base, visible=control.visible)
    says_how_much = control.enabled is not None or control.effort is not None or control.budget is not None
    if not says_how_much or (base.enabled is False and not asked):
        return base
    enabled = control.enabled is not False
    adaptive = base.adaptive and enabled and control.budget is None
    return replace(base, enabled=enabled, effort=control.effort, budget=control.budget, adaptive=adaptive)


def _asks(wanted: Reasoning) -> bool:
    return wanted.enabled is not False and bool(
        wanted.enabled or wanted.effort not in (None, "none") or wanted.budget or wanted.adaptive
    )


def _within(wanted: Reasoning, target: Target, warn: Warn) -> Reasoning:
    if wanted.budget is None or target.budget_range is None:
        return wanted
    least, most = target.budget_range
    budget = min(max(wanted.budget, least), most)
    if budget != wanted.budget:
        model = target.model or "the model"
        warn(f"reasoning: {model} takes {least} to {most} tokens, {wanted.budget} became {budget}")
        return replace(wanted, budget=budget)
    return wanted


def _leveled(wanted: Reasoning, target: Target, warn: Warn) -> Reasoning:
    """With an effort that the model knows: the next lower one, else its lowest."""
    if wanted.effort is None or not target.efforts or wanted.effort in target.efforts:
        return wanted
    if wanted.enabled is False and target.reasoning != "effort":
        return wanted  # it has another way of switching reasoning off
    below = [e for e in target.efforts if _EFFORTS.index(e) <= _rank(wanted.effort)]
    effort = below[-1] if below else target.efforts[0]
    warn(f"reasoning: {target.model or 'the model'} has no effort {wanted.effort}, it became {effort}")
    return replace(wanted, effort=effort, enabled=True)


def _rank(effort: str) -> int:
    return _EFFORTS.index(effort) if effort in _EFFORTS else len(_EFFORTS)


def apply_rejects(request: Request, target: Target, warn: Warn = _unheard) -> Request:
    """Of two parameters that exclude one another (`a+b` in `rejects`) the first is kept.

    Parameters that are refused altogether are left out by the codecs.
    """
    sampling = request.sampling
    for first, plus, second in (name.partition("+") for name in target.rejects):
        if plus and getattr(sampling, first) is not None and getattr(sampling, second) is not None:
            warn(f"{second}: {target.model or 'the model'} does not take it together with {first}")
            dropped: dict[str, Any] = {second: None}
            sampling = replace(sampling, **dropped)
    return request if sampling is request.sampling else replace(request, sampling=sampling)


def apply_verbosity(request: Request, verbosity: str | None) -> Request:
    return request if verbosity is None else replace(request, verbosity=verbosity)


def apply_system(request: Request, prompt: str, mode: Placement) -> Request:
    """The request with a system prompt of the operator's.

    "append" puts it behind the client's own, "prepend" before it, but behind the last part that the client
    marked for caching: the cached prefix stays as it is, byte for byte. "replace" takes the place of it all.
    System messages later in the conversation are not touched.
    """
    if not prompt.strip():
        return request
    lead = next((i for i, m in enumerate(request.messages) if m.role not in _SYSTEM), len(request.messages))
    own, rest = request.messages[:lead], request.messages[lead:]
    if mode == "replace" or not own:
        role = own[0].role if own else "system"
        return replace(request, messages=(Message(role, (Text(prompt),)), *rest))
    at = _place(own, mode)
    return replace(request, messages=(*_inserted(own, at, Text(prompt)), *rest))


def _place(own: tuple[Message, ...], mode: Placement) -> tuple[int, int]:
    """(message, part) before which the prompt goes."""
    if mode == "append":
        return len(own) - 1, len(own[-1].parts)
    places = ((i, j) for i, message in enumerate(own) for j in range(len(message.parts)))
    marked = [(i, j + 1) for i, j in places if _is_marked(own[i].parts[j])]
    return marked[-1] if marked else (0, 0)


def _is_marked(part: Part) -> bool:
    return isinstance(part, Text | Media) and part.cache is not None


def _inserted(own: tuple[Message, ...], at: tuple[int, int], text: Text) -> tuple[Message, ...]:
    number, before = at
    message = own[number]
    parts = (*message.parts[:before], text, *message.parts[before:])
    return (*own[:number], replace(message, parts=parts), *own[number + 1 :])
