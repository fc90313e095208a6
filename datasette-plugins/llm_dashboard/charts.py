"""Pictures drawn here: data for uPlot, small lines, and the waterfall of one call as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from llm_intercept.store.report_time import bucket_start
from llm_intercept.store.reports import Series

SHOWN = 6  # series of a chart; the rest is added up
_NANOS = 1e9

PHASES = (
    ("authenticated", "Identify and authenticate", "own"),
    ("admitted", "Route and admit", "own"),
    ("sent", "Prepare and send", "own"),
    ("first_byte", "Wait for first byte", "wait"),
    ("first_token", "Wait for first token", "wait"),
    ("last_byte", "Receive answer", "flow"),
    ("recorded", "Record", "own"),
)
# Of a call that the cache has answered: nobody else was waited for.
_RECALLED = {"first_byte": ("Look up", "own"), "first_token": ("Send", "own"), "last_byte": ("Send", "own")}


@dataclass(frozen=True, slots=True)
class Chart:
    """`data` is given to the script as JSON; `total` is exact."""

    name: str
    title: str
    unit: Literal["usd", "count"]
    total: int
    data: dict[str, object]


def chart(
    name: str, title: str, unit: Literal["usd", "count"], series: Series, order: Sequence[str] = ()
) -> Chart:
    """`order` keeps the colours of charts that stand side by side the same."""
    ranked = sorted(series.values, key=lambda key: order.index(key) if key in order else len(order))
    shown = [(key or "none", series.values[key]) for key in ranked[:SHOWN]]
    rest = [series.values[key] for key in ranked[SHOWN:]]
    if any(map(any, rest)):
        shown.append((f"{len(rest)} more", [sum(column) for column in zip(*rest, strict=True)]))
    if not any(any(values) for _, values in shown):
        shown = []
    scale = _NANOS if unit == "usd" else 1
    data: dict[str, object] = {
        "unit": unit,
        "interval": series.interval,
        "times": [bucket_start(key) for key in series.buckets],
        "series": [{"name": key, "values": [value / scale for value in values]} for key, values in shown],
    }
    return Chart(name, title, unit, sum(map(sum, series.values.values())), data)


def sparkline(values: list[int], width: int = 120, height: int = 28) -> Markup:
    """A small line without axes; nothing when nothing happened."""
    top = max(values, default=0)
    if not top:
        return Markup("")
    step = width / max(1, len(values) - 1)
    points = [(number * step, height - 2 - (height - 4) * value / top) for number, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" preserveAspectRatio="none" aria-hidden="true">'
        '<polygon points="0,{h} {line} {w},{h}"/><polyline points="{line}"/></svg>'
    ).format(w=width, h=height, line=line)


@dataclass(frozen=True, slots=True)
class Bar:
    """One phase of a call: start and length in microseconds."""

    label: str
    kind: str
    start: int
    length: int


def phase_bars(phases: dict[str, int], *, recalled: bool = False) -> list[Bar]:
    """What happened between one stamp and the next; phases that were not reached are not drawn."""
    bars, before = [], 0
    for name, label, kind in PHASES:
        if name in phases:
            label, kind = _RECALLED.get(name, (label, kind)) if recalled else (label, kind)
            bars.append(Bar(label, kind, before, max(0, phases[name] - before)))
            before = max(before, phases[name])
    return bars


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    label: str
    milliseconds: float
    picture: Markup


_ROW = Markup(
    '<svg class="bar" width="100%" height="16" aria-hidden="true">{grid}'
    '<rect class="phase {kind}" x="{x:.3f}%" y="1" width="{width:.3f}%" height="14" rx="3"/></svg>'
)
_GRID = Markup("").join(
    Markup('<line class="grid" x1="{x}%" x2="{x}%" y1="-7" y2="23"/>').format(x=quarter * 25)
    for quarter in range(5)
)


def waterfall(bars: list[Bar]) -> list[WaterfallRow]:
    """Each phase against the whole; in percent, so that it fits any screen, and never too thin to see."""
    whole = max((bar.start + bar.length for bar in bars), default=0) or 1
    return [WaterfallRow(bar.label, bar.length / 1000, _picture(bar, whole)) for bar in bars]


def _picture(bar: Bar, whole: int) -> Markup:
    width = max(0.4, 100 * bar.length / whole)
    start = min(100 * bar.start / whole, 100 - width)
    return _ROW.format(grid=_GRID, kind=bar.kind, x=start, width=width)
