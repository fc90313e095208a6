"""What was measured, as one table and as JSON."""

import json
import platform
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(slots=True)
class Row:
    """One measure. `figure` is what is compared with `limit`: ours alone, or against lean bare mitmproxy."""

    name: str
    unit: str
    values: dict[str, float]
    figure: float | None = None
    figure_unit: str = ""
    limit: float | None = None
    detail: dict[str, object] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        if self.figure is None or self.limit is None:
            return ""
        return "pass" if self.figure <= self.limit else "MISS"


def table(rows: list[Row], targets: list[str]) -> str:
    """Aligned text: a column for each target, then the figure, its limit and the verdict."""
    head = ["measure", *targets, "", "figure", "target", "verdict"]
    lines = [head] + [_cells(row, targets) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    out = []
    for first, *others in lines:
        cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        out.append("  ".join(cells).rstrip())
    out.insert(1, "-" * max(map(len, out)))
    return "\n".join(out)


def _cells(row: Row, targets: list[str]) -> list[str]:
    values = [_number(row.values.get(name)) for name in targets]
    figure = f"{_number(row.figure)} {row.figure_unit}".strip() if row.figure is not None else ""
    limit = f"<= {_number(row.limit)} {row.figure_unit}".strip() if row.limit is not None else ""
    return [row.name, *values, row.unit, figure, limit, row.verdict]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def document(rows: list[Row], failures: list[str], seconds: float, quick: bool) -> dict[str, object]:
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 1),
        "quick": quick,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "not_measured": failures,
        "rows": [asdict(row) | {"verdict": row.verdict} for row in rows],
    }


def save(content: dict[str, object]) -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def progress(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
