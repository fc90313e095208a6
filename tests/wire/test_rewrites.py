import pytest

from llm_intercept.wire.codec import Target
from llm_intercept.wire.ir import Cache, Message, Reasoning, Request, Sampling, Text
from llm_intercept.wire.rewrites import (
    Placement,
    apply_reasoning,
    apply_rejects,
    apply_system,
    apply_verbosity,
)

OFF = Reasoning(enabled=False)
HIGH = Reasoning(enabled=True, effort="high")
BUDGET = Reasoning(enabled=True, budget=4096)
ADAPTIVE = Reasoning(enabled=True, adaptive=True, effort="medium")
ANY = Target()


def request(reasoning: Reasoning | None = None, *messages: Message) -> Request:
    return Request("m", messages, reasoning=reasoning)


@pytest.mark.parametrize(
    ("own", "control", "asked", "expected"),
    [
        (None, None, False, None),
        (HIGH, None, False, HIGH),
        (None, HIGH, False, HIGH),
        (BUDGET, HIGH, False, HIGH),
        (HIGH, BUDGET, False, BUDGET),
        (ADAPTIVE, HIGH, False, Reasoning(enabled=True, adaptive=True, effort="high")),
        (ADAPTIVE, BUDGET, False, BUDGET),
        (ADAPTIVE, OFF, False, OFF),
        (OFF, HIGH, False, OFF),
        (OFF, HIGH, True, HIGH),
        (HIGH, OFF, False, OFF),
        (None, Reasoning(visible=False), False, Reasoning(visible=False)),
        (HIGH, Reasoning(visible=False), False, Reasoning(enabled=True, effort="high", visible=False)),
        (OFF, Reasoning(True, "high", visible=False), False, Reasoning(enabled=False, visible=False)),
        (Reasoning(summary="auto"), HIGH, False, Reasoning(enabled=True, effort="high", summary="auto")),
    ],
)
def test_settings_and_the_client_s_wish(
    own: Reasoning | None, control: Reasoning | None, asked: bool, expected: Reasoning | None
) -> None:
    assert apply_reasoning(request(own), control, ANY, asked=asked).reasoning == expected


@pytest.mark.parametrize(
    ("tokens", "expected", "warning"),
    [
        (1, 1024, "reasoning: claude takes 1024 to 64000 tokens, 1 became 1024"),
        (1024, 1024, ""),
        (64_000, 64_000, ""),
        (358_400, 64_000, "reasoning: claude takes 1024 to 64000 tokens, 358400 became 64000"),
    ],
)
def test_budgets_stay_within_the_model_s_range(tokens: int, expected: int, warning: str) -> None:
    target = Target(model="claude", reasoning="budget", budget_range=(1024, 64_000))
    heard: list[str] = []
    wanted = Reasoning(enabled=True, budget=tokens)
    found = apply_reasoning(request(), wanted, target, asked=True, warn=heard.append)
    assert found.reasoning == Reasoning(enabled=True, budget=expected)
    assert heard == ([warning] if warning else [])
    assert apply_reasoning(request(wanted), None, target).reasoning == found.reasoning


@pytest.mark.parametrize(
    ("own", "control", "warned"),
    [
        (None, HIGH, True), (BUDGET, None, True), (ADAPTIVE, None, True), (OFF, None, False),
        (None, None, False), (None, Reasoning(visible=True), False),
        (None, Reasoning(effort="none", enabled=False), False),
    ],
)  # fmt: skip
def test_no_reasoning_for_models_that_have_none(
    own: Reasoning | None, control: Reasoning | None, warned: bool
) -> None:
    heard: list[str] = []
    target = Target(model="gpt-4o", reasoning="none")
    found = apply_reasoning(request(own), control, target, warn=heard.append)
    assert found.reasoning is None
    assert heard == (["reasoning: gpt-4o does not reason"] if warned else [])


def test_nothing_to_do_is_nothing_done() -> None:
    same = request(HIGH)
    assert apply_reasoning(same, None, ANY) is same
    assert apply_verbosity(same, None) is same
    assert apply_system(same, " ", "append") is same
    assert apply_verbosity(same, "low").verbosity == "low"


RULES = ["tools and rules"]
MARKED = Text(RULES[0], cache=Cache())
SYSTEM = Message("system", (Text("one"), MARKED, Text("today")))
USER = Message("user", (Text("hello"),))
LATER = Message("system", (Text("reminder"),))


def texts(found: Request) -> list[tuple[str, list[str]]]:
    return [(m.role, [p.text for p in m.parts if isinstance(p, Text)]) for m in found.messages]


@pytest.mark.parametrize(
    ("messages", "mode", "expected"),
    [
        ((SYSTEM, USER), "append", [("system", ["one", *RULES, "today", "P"]), ("user", ["hello"])]),
        ((SYSTEM, USER), "prepend", [("system", ["one", *RULES, "P", "today"]), ("user", ["hello"])]),
        ((SYSTEM, USER, LATER), "replace",
         [("system", ["P"]), ("user", ["hello"]), ("system", ["reminder"])]),
        ((USER,), "append", [("system", ["P"]), ("user", ["hello"])]),
        ((USER,), "prepend", [("system", ["P"]), ("user", ["hello"])]),
        ((USER,), "replace", [("system", ["P"]), ("user", ["hello"])]),
        ((LATER, USER), "prepend", [("system", ["P", "reminder"]), ("user", ["hello"])]),
        ((LATER, Message("developer", (Text("d"),)), USER), "append",
         [("system", ["reminder"]), ("developer", ["d", "P"]), ("user", ["hello"])]),
        ((LATER, Message("developer", (MARKED, Text("d"))), USER), "prepend",
         [("system", ["reminder"]), ("developer", ["tools and rules", "P", "d"]), ("user", ["hello"])]),
        ((Message("developer", (Text("d"),)), USER), "replace", [("developer", ["P"]), ("user", ["hello"])]),
        ((), "append", [("system", ["P"])]),
    ],
)  # fmt: skip
def test_where_a_system_prompt_goes(
    messages: tuple[Message, ...], mode: Placement, expected: list[tuple[str, list[str]]]
) -> None:
    assert texts(apply_system(request(None, *messages), "P", mode)) == expected


@pytest.mark.parametrize("mode", ["append", "prepend"])
def test_what_the_client_cached_comes_first_and_unchanged(mode: Placement) -> None:
    found = apply_system(request(None, SYSTEM, USER), "P", mode)
    assert found.messages[0].parts[:2] == SYSTEM.parts[:2]
    assert found.messages[1] is USER


EFFORTS = ("low", "medium", "high")


@pytest.mark.parametrize(
    ("form", "efforts", "asked", "expected"),
    [
        ("effort", EFFORTS, "high", HIGH),
        ("effort", EFFORTS, "max", HIGH),
        ("effort", EFFORTS, "xhigh", HIGH),
        ("effort", EFFORTS, "minimal", Reasoning(enabled=True, effort="low")),
        ("effort", EFFORTS, "none", Reasoning(enabled=True, effort="low")),
        ("effort", EFFORTS, "new", HIGH),
        ("effort", (), "max", Reasoning(enabled=True, effort="max")),
        ("adaptive", EFFORTS, "none", Reasoning(enabled=False, effort="none")),
    ],
)
def test_efforts_become_ones_that_the_model_knows(
    form: str, efforts: tuple[str, ...], asked: str, expected: Reasoning
) -> None:
    heard: list[str] = []
    control = Reasoning(enabled=asked != "none", effort=asked)
    target = Target(model="m", reasoning=form, efforts=efforts)
    assert apply_reasoning(request(), control, target, warn=heard.append).reasoning == expected
    changed = expected.effort != asked
    assert heard == ([f"reasoning: m has no effort {asked}, it became {expected.effort}"] if changed else [])


def test_a_model_that_reasons_as_it_likes_is_told_nothing() -> None:
    heard: list[str] = []
    target = Target(model="grok-4", reasoning="fixed")
    assert apply_reasoning(request(HIGH), None, target, warn=heard.append).reasoning is None
    assert heard == ["reasoning: grok-4 reasons as it likes"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Sampling(temperature=0.5, top_p=0.9), Sampling(temperature=0.5)),
        (Sampling(top_p=0.9), Sampling(top_p=0.9)),
        (Sampling(temperature=0.0), Sampling(temperature=0.0)),
    ],
)
def test_two_parameters_that_exclude_one_another(given: Sampling, expected: Sampling) -> None:
    heard: list[str] = []
    target = Target(model="claude", rejects=frozenset(("temperature+top_p", "top_k")))
    found = apply_rejects(Request("m", (), sampling=given), target, heard.append)
    assert found.sampling == expected
    warning = "top_p: claude does not take it together with temperature"
    assert heard == ([warning] if given != expected else [])
