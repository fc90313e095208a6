"""The forms of limits: whom one is for, how much of what in which time, and what is told of it."""

from decimal import Decimal

from llm_dashboard.admin.forms import Field, Form, Section, amount, plain_options, whole
from llm_dashboard.admin.visit import Visit
from llm_intercept.errors import ConfigError
from llm_intercept.policy.limits import MEASURES, NANOS, PERIODS, SCOPES, Limit
from llm_intercept.policy.windows import zone

_SCOPE_LABELS = {"global": "Everybody together", "client_ip": "Client address", "user": "User"}
_PERIOD_LABELS = {"minute": "a minute", "hour": "an hour", "day": "a day", "week": "a week"}
_PERIOD_LABELS |= {"month": "a month", "total": "in total"}
_MEASURE_LABELS = {
    "requests": "Calls",
    "tokens": "Tokens, input and output",
    "cost": "US dollars",
    "concurrency": "Calls at the same time",
}
BLAME = (
    ("with no call at a time", "amount"),
    ("there is no ", "name"),
    ("several ", "name"),
    ("address", "name"),
)
_EACH = "each"
_RESERVING = ("tokens", "cost")


async def sections(visit: Visit) -> list[Section]:
    projects = await visit.ask(lambda m: [project.name for project in m.projects.list(visit.actor)])
    scopes = [(scope, _SCOPE_LABELS.get(scope, scope.capitalize())) for scope in SCOPES]
    whom = (("one", "The one that is named below"), (_EACH, "Every one by itself"))
    who = (
        Field("scope", "For", "select", options=scopes),
        Field("whom", "Which", "select", "Everybody together needs no name.", options=whom),
        Field(
            "name",
            "Name",
            help="As it is written on calls: a token as project/name, an address or a network. With * all "
            "that match together.",
            options=plain_options(projects),
            placeholder="team-a",
        ),
    )
    what = (
        Field(
            "measure",
            "Of what",
            "select",
            "Dollars and tokens count the worst case until a call has ended.",
            options=[(measure, _MEASURE_LABELS[measure]) for measure in MEASURES],
        ),
        _amount("requests"),
        Field(
            "per",
            "In which time",
            "select",
            "A minute and an hour slide; the others begin at midnight, on Monday, on the first.",
            options=[(period, _PERIOD_LABELS[period]) for period in PERIODS],
        ),
        _ZONE,
        _RESERVE,
    )
    return [Section("Whom it is for", who), Section("How much", what), _TELLING]


def changing(limit: Limit) -> list[Section]:
    """For one that exists."""
    more = (_RESERVE,) if limit.measure in _RESERVING else ()
    return [Section("Limit", (_amount(limit.measure), _ZONE, *more)), _TELLING]


def _amount(measure: str) -> Field:
    about = "Such as 5 or 12.50, in US dollars." if measure == "cost" else "Such as 60, 100k or 2.5M."
    return Field("amount", "Amount", "number", about, placeholder="60", required=True)


_ZONE = Field(
    "timezone", "Time zone", help="Where days, weeks and months begin.", placeholder="Europe/Berlin"
)
_RESERVE = Field(
    "reserve",
    "Reserve of a stream, at a time",
    "number",
    "So many tokens of its output, in place of the longest answer: a small budget refuses less, and an "
    "answer may end early. For tokens and dollars. Empty: all of it.",
    placeholder="2000",
)
_TELLING = Section(
    "Telling",
    (
        Field(
            "thresholds",
            "Tell at",
            help="Percentages of the amount, with commas: metrics, audit log and web hooks hear of it.",
            placeholder="80, 100",
        ),
        Field("soft", "Soft: tell of it, and refuse nothing", "check"),
    ),
)


def read(form: Form, known: Limit | None = None) -> Limit | None:
    """None if something is wrong, which the form then says."""
    measure = known.measure if known else form.text("measure")
    found = form.read("amount", amount(NANOS if measure == "cost" else 1))
    thresholds = form.read(
        "thresholds", lambda text: [whole(part.strip().rstrip("%")) for part in text.split(",")]
    )
    values = {
        "amount": found,
        "timezone": form.read("timezone", _zone) or "UTC",
        "soft": form.ticked("soft"),
        "thresholds": thresholds or (),
        "reserve": form.read("reserve", amount(1)),
    }
    if values["reserve"] and measure not in _RESERVING:
        form.errors["reserve"] = "Only limits on tokens and dollars reserve anything."
    if known is not None:
        return None if form.failed else form.model(Limit, known.model_dump() | values)
    mine = _identity(form, measure, found)
    return None if form.failed else form.model(Limit, values | mine)


def _zone(name: str) -> str:
    """Asked for here already, so that everything that is wrong is said at once."""
    try:
        zone(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"{name!r} is not a time zone; write it like Europe/Berlin or UTC") from None
    return name


def _identity(form: Form, measure: str, found: int | None) -> dict[str, object]:
    """What makes it this limit and no other."""
    scope, name = form.text("scope"), form.text("name")
    named = scope != "global" and form.text("whom") != _EACH
    if named and not name:
        form.errors.setdefault("name", "Say whose limit it is, or choose every one by itself.")
    if measure == "concurrency" and not found:
        form.refused(ConfigError("with no call at a time there is no call at all"), BLAME)
    per = "total" if measure == "concurrency" else form.text("per")
    return {"scope": scope, "name": name if named else "", "measure": measure, "per": per}


def values(limit: Limit) -> dict[str, str]:
    shown = f"{Decimal(limit.amount) / NANOS:f}" if limit.measure == "cost" else f"{limit.amount:,}"
    return {
        "amount": shown,
        "timezone": limit.timezone,
        "soft": "yes" if limit.soft else "",
        "thresholds": ", ".join(map(str, limit.thresholds)),
        "reserve": f"{limit.reserve:,}" if limit.reserve else "",
    }
