"""What counts against a limit, and for how long. Pure arithmetic over one counter; times are Unix seconds.

A counter is a list of cells. A call is counted in the cell of the moment it was admitted, first with what
was reserved for it and then with what it really took, until that cell ends. Days, weeks and months are one
cell each, which ends when the calendar in the limit's time zone says so. Minutes and hours are cut into
`SLICES`, and each slice counts until a whole minute (hour) after its end: no span of sixty seconds, wherever
it begins, ever holds more than the amount, and a call counts at most two seconds (two minutes) longer than
it would by a log of every call, at a thirtieth of the size.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import orjson

SLICES = 30
SECONDS = {"minute": 60, "hour": 3600}
FOREVER = 0  # the end of a cell that has none
START, END, USED, RESERVED = range(4)

type Cell = list[int]
"""[start, end, used, reserved]; see `Counter.base`"""


def zone(name: str) -> tzinfo:
    """A time zone by its IANA name; KeyError or ValueError if there is none."""
    return UTC if name == "UTC" else ZoneInfo(name)


def span(per: str, timezone: str, now: float) -> tuple[int, int]:
    """(start, end) of the cell that a call belongs to which is admitted now."""
    seconds = SECONDS.get(per)
    if seconds is not None:
        slice_ = seconds // SLICES
        start = int(now) // slice_ * slice_
        return start, start + slice_ + seconds
    if per == "total":
        return 0, FOREVER
    where = zone(timezone)
    first, after = _calendar(per, datetime.fromtimestamp(now, where).date())
    return _midnight(first, where), _midnight(after, where)


def _calendar(per: str, today: date) -> tuple[date, date]:
    """The first day of the period that `today` lies in, and of the one after it."""
    if per == "week":
        first = today - timedelta(days=today.weekday())
        return first, first + timedelta(days=7)
    if per == "month":
        first = today.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1)
    return today, today + timedelta(days=1)


def _midnight(day: date, where: tzinfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=where).timestamp())


@dataclass(slots=True)
class Counter:
    """One limit's count of one member. `told` is the threshold last told of, `told_until` when that ends,
    `told_of` the amount that it was a part of.

    `used` and `reserved` are the sums over the cells, kept because they are asked for several times a call.
    Times in cells are seconds after `base`: they are written with every call, and short so.
    """

    told: int = 0
    told_until: int = 0
    used: int = 0
    reserved: int = 0
    cells: list[Cell] = field(default_factory=list)
    told_of: int = 0
    base: int = 0

    @classmethod
    def read(cls, text: str | None) -> "Counter":
        return cls() if text is None else cls(*orjson.loads(text))

    def text(self) -> str:
        told, sums = (self.told, self.told_until), (self.used, self.reserved)
        return orjson.dumps((*told, *sums, self.cells, self.told_of, self.base)).decode()

    def expire(self, now: float) -> None:
        """Forgets cells that have ended. They end in their order, unless the time zone was changed."""
        cells, now = self.cells, now - self.base
        if not cells or not (_ended(cells[0], now) or _ended(cells[-1], now)):
            return
        self.cells = [cell for cell in cells if not _ended(cell, now)]
        self.used = sum(cell[USED] for cell in self.cells)
        self.reserved = sum(cell[RESERVED] for cell in self.cells)
        if self.cells and all(cell[END] != FOREVER for cell in self.cells):
            self._move(min(min(cell[START], cell[END]) for cell in self.cells) - 1)

    def turn_back(self, end: int) -> None:
        """What a clock that was far ahead has counted ends with the present period, which ends at `end`."""
        if end != FOREVER and self.cells and self.cells[-1][START] > end - self.base:
            self._move(-self.base)
            for cell in self.cells:
                if cell[START] > end:
                    cell[END] = end

    def _move(self, seconds: int) -> None:
        """The base; no end may become zero, which is none."""
        self.base += seconds
        for cell in self.cells:
            cell[START] -= seconds
            if cell[END] != FOREVER:
                cell[END] -= seconds

    @property
    def taken(self) -> int:
        """Used or reserved: what a limit is compared with."""
        return self.used + self.reserved

    def hold(self, start: int, end: int, amount: int) -> None:
        """Reserves."""
        self._cell(start, end)[RESERVED] += amount
        self.reserved += amount

    @property
    def end(self) -> int:
        """Of the latest cell."""
        end = self.cells[-1][END] if self.cells else FOREVER
        return end if end == FOREVER else end + self.base

    def has(self, start: int) -> bool:
        """Whether what was held at `start` still counts."""
        start -= self.base
        return any(cell[START] == start for cell in self.cells)

    def grow(self, start: int, amount: int) -> None:
        """Reserves more beside what was; nothing is left to do once the cell has ended."""
        if self.has(start):
            self.hold(start, FOREVER, amount)

    def add(self, start: int, end: int, amount: int) -> None:
        """Counts what was not reserved."""
        self._cell(start, end)[USED] += amount
        self.used += amount

    def settle(self, start: int, reserved: int, used: int) -> None:
        """Puts the real figure in place of a reserved one. Nothing is left to do once the cell has ended."""
        start -= self.base
        for cell in reversed(self.cells):
            if cell[START] == start:
                cell[RESERVED] -= reserved
                cell[USED] += used
                self.reserved -= reserved
                self.used += used
                if not cell[USED] and not cell[RESERVED]:
                    self.cells.remove(cell)
                return

    def fits_at(self, need: int, amount: int, now: float) -> int | None:
        """When `need` more will fit if nothing else happens; None if that cannot be known, or never."""
        left = self.taken
        if left + need <= amount:
            return int(now)
        if need > amount:
            return None
        for cell in sorted(self.cells, key=lambda cell: cell[END] or 2**62):
            if cell[END] == FOREVER:
                return None
            left -= cell[USED] + cell[RESERVED]
            if left + need <= amount:
                return cell[END] + self.base
        return None

    def _cell(self, start: int, end: int) -> Cell:
        if not self.cells:
            self.base = 0 if end == FOREVER else start - 1
        elif start <= self.base and end != FOREVER:  # the clock was turned back
            self._move(start - 1 - self.base)
        begins = start - self.base
        for cell in reversed(self.cells):
            if cell[START] == begins:
                return cell
        cell = [begins, end if end == FOREVER else end - self.base, 0, 0]
        self.cells.append(cell)
        return cell


def _ended(cell: Cell, now: float) -> bool:
    return cell[END] <= now and cell[END] != FOREVER
