"""Failures on purpose: what is simulated for whom, changing it, and simulating nothing any more."""

from typing import Any, cast

from datasette import NotFound, Response

from llm_dashboard.admin import filtering
from llm_dashboard.admin.forms import Field, Form, Section, number, whole
from llm_dashboard.admin.visit import Visit
from llm_intercept.errors import ConfigError
from llm_intercept.manage import Management
from llm_intercept.policy.failure_texts import described
from llm_intercept.policy.failures import PARTS, Failures
from llm_intercept.store.failures import SCOPES, Scope

PATH = "/-/llm/manage/failures"


async def page(visit: Visit) -> Response:
    def look(m: Management) -> tuple[list[Any], list[tuple[str, str]]]:
        places = [("listener", listener.name) for listener in m.listeners.list(visit.actor)]
        places += [("project", project.name) for project in m.projects.list(visit.actor)]
        return m.failures.list(visit.actor), places

    entries, places = await visit.ask(look)
    chosen = filtering.chosen(visit)
    lines = [(entry, list(described(entry.failures).values())) for entry in entries]
    return await visit.page(
        "failures",
        lines=[
            (entry, said)
            for entry, said in lines
            if filtering.has_words(chosen["q"], entry.scope, entry.name, *said)
        ],
        places=places,
        on=[entry for entry, said in lines if said],
        chosen=chosen,
        filtered=any(chosen.values()),
    )


async def choose(visit: Visit) -> Response:
    """From the list, with whom it is for."""
    scope, _, name = visit.arg("for").partition(":")
    return visit.to(f"{PATH}/{scope}/{name}/edit" if name and scope in SCOPES else PATH)


async def edit(visit: Visit) -> Response:
    scope, name = _place(visit)
    entry = await visit.ask(lambda m: m.failures.find(visit.actor, scope, name))
    failures = entry.failures if entry else Failures()
    form = Form(_SECTIONS, _values(failures))
    if visit.posting:
        form.take(await visit.posted())
        wanted = _read(form)
        done = None
        if wanted is not None:
            done = await visit.submit(form, lambda m: m.failures.set(visit.actor, scope, name, wanted))
        if done is not None:
            said = "; ".join(described(done.failures).values()) or "nothing"
            return visit.to(PATH, f"For the {scope} {done.name} is simulated: {said}.")
    return await visit.form(
        form,
        title=f"Failures for the {scope} {name}",
        badge=("simulating", "warn") if failures.enabled else None,
        about="What clients get, on purpose, from the next call on. What is simulated is marked on the call. "
        "The settings of a listener go before those of a project.",
        submit="Save",
        back=PATH,
        place="Failures",
        also=[
            ("Reset", "Nothing is simulated any more, and the settings are forgotten.",
             f"{PATH}/{scope}/{name}/reset", "Reset")
        ] if entry else [],
    )  # fmt: skip


async def reset(visit: Visit) -> Response:
    scope, name = _place(visit)
    if visit.posting:
        await visit.ask(lambda m: m.failures.reset(visit.actor, scope, name))
        return visit.to(PATH, f"Nothing is simulated for the {scope} {name} any more.")
    entry = await visit.ask(lambda m: m.failures.find(visit.actor, scope, name))
    return await visit.page(
        "confirm",
        title=f"Simulate nothing for the {scope} {name}?",
        sentences=["From the next call on all of this is over, and its settings are forgotten:"],
        names=list(described(entry.failures).values()) if entry else [],
        button="Reset",
        back=PATH,
        place="Failures",
    )


def _place(visit: Visit) -> tuple[Scope, str]:
    scope = visit.var("scope")
    if scope not in SCOPES:
        raise NotFound("Failures are set for a listener or a project.")
    return cast(Scope, scope), visit.var("name")


def _rate(part: str, what: str) -> Field:
    return Field(f"{part}.rate", f"Share of the {what}", "number", "From 0 to 1.", placeholder="1")


def _on(part: str, label: str) -> Field:
    return Field(f"{part}.enabled", label, "check")


_SECTIONS = (
    Section(
        "Errors",
        (
            _on("error_injection", "Some calls get an error"),
            Field(
                "error_injection.error_rates",
                "Status and share",
                "area",
                "One on each line; together at most 1.",
                placeholder="429 = 0.1\n500 = 0.05",
            ),
            Field("error_injection.retry_after", "Seconds that a 429 asks to wait", "number"),
        ),
    ),
    Section(
        "Timeouts",
        (
            _on("timeout", "Calls are held, then time out"),
            Field("timeout.seconds", "Seconds", "number", "Empty: until the client goes away."),
            _rate("timeout", "calls"),
        ),
        folded=True,
    ),
    Section(
        "Late answers",
        (
            _on("response_delay", "Answers come late"),
            Field("response_delay.min", "Seconds, at least", "number"),
            Field("response_delay.max", "Seconds, at most", "number"),
            Field("response_delay.cache_only", "Only answers out of the cache", "check"),
        ),
        folded=True,
    ),
    Section(
        "Too many calls",
        (
            _on("rate_limiting", "429 beyond so many calls"),
            Field("rate_limiting.requests_per_minute", "Calls a minute", "number"),
        ),
        folded=True,
    ),
    Section(
        "Addresses",
        (
            _on("ip_filtering", "403 for some addresses"),
            Field("ip_filtering.block", "Blocked", "area", "10.1.2.3, 10.0.0.0/8 or 10.*"),
            Field("ip_filtering.allow", "Allowed; all others are blocked", "area"),
        ),
        folded=True,
    ),
    Section(
        "Streams",
        (
            _on("stream", "Streams break"),
            Field("stream.cut_after_events", "Cut after so many events", "number"),
            Field("stream.cut_after_bytes", "Or after so many bytes", "number"),
            Field("stream.garble_at_event", "Unreadable at event number", "number"),
            _rate("stream", "streams"),
            _on("slow_tokens", "Streams are slow"),
            Field("slow_tokens.tokens", "Events a second", "number"),
        ),
        folded=True,
    ),
    Section(
        "Chance",
        (Field("seed", "Seed", "number", "With one, the n-th call always has the same fate."),),
        folded=True,
    ),
)
_WHOLE = frozenset(("requests_per_minute", "cut_after_events", "cut_after_bytes", "garble_at_event", "seed"))
_WORDS = frozenset(("block", "allow"))
_TICKED = frozenset(("enabled", "cache_only"))


def _values(failures: Failures) -> dict[str, str]:
    """Only what differs from the defaults is filled in, so that sections stay folded."""
    document, plain = failures.model_dump(mode="json"), Failures().model_dump(mode="json")
    found = {"seed": "" if failures.seed is None else str(failures.seed)}
    for part in PARTS:
        on = document[part]["enabled"]
        for key, value in document[part].items():
            if on or value != plain[part][key]:
                found[f"{part}.{key}"] = _text(value)
    return found


def _text(value: Any) -> str:
    match value:
        case None | False:
            return ""
        case True:
            return "yes"
        case dict():
            return "\n".join(f"{status} = {rate:g}" for status, rate in value.items())
        case list():
            return "\n".join(value)
        case float():
            return f"{value:g}"
    return str(value)


def _read(form: Form) -> Failures | None:
    """None if something is wrong, which the form then says. What is left empty is as by default."""
    document: dict[str, Any] = {}
    for field in form.fields:
        part, dot, key = field.name.partition(".")
        value = _value(form, field.name, key or part)
        if value is not None and dot:
            document.setdefault(part, {})[key] = value
        elif value is not None:
            document[part] = value
    return None if form.failed else form.model(Failures, document)


def _value(form: Form, name: str, key: str) -> object:
    if key in _TICKED:
        return form.ticked(name)
    if key in _WORDS:
        return form.words(name)
    if key == "error_rates":
        return form.read(name, _rates)
    return form.read(name, whole if key in _WHOLE else number)


def _rates(text: str) -> dict[str, float]:
    found = {}
    for line in filter(None, map(str.strip, text.replace(",", "\n").split("\n"))):
        status, equals, rate = line.partition("=")
        if not equals:
            raise ConfigError(f"{line!r} is not like 429 = 0.1")
        found[status.strip()] = number(rate.strip())
    return found
