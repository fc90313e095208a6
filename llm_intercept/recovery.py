"""After a `kill -9`: calls are read back from the journal of the dead, what they held is settled."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from llm_intercept.admit import Admit
from llm_intercept.engine.admission import Actual, Admission
from llm_intercept.store.control import Control
from llm_intercept.store.journal import Journal
from llm_intercept.store.rows import RequestRow
from llm_intercept.store.settled import settled
from llm_intercept.store.writer import Writer

logger = logging.getLogger("llm_intercept")
PRUNE_EVERY_S = 3600.0


class Recovery:
    """`at_start` once, `again` every now and then, in a thread: other proxies of this home may die too."""

    def __init__(
        self,
        journal: Journal,
        writer: Writer,
        admission: Admission,
        admit: Admit,
        control: Control,
        usage_db: Path,
    ) -> None:
        self._journal = journal
        self._writer = writer
        self._admission = admission
        self._admit = admit
        self._control = control
        self._usage_db = usage_db
        self._rows: dict[str, RequestRow] = {}
        self._prune_at = 0.0

    def at_start(self) -> None:
        self._admission.sweep(self._figures, wait=True, first=self._read_back)

    def again(self) -> None:
        self._admission.sweep(self._figures, wait=False, first=self._read_back)
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_EVERY_S
            self._admission.prune(self._known)

    def _known(self) -> set[str]:
        """Whose counters are kept: limits, and tokens that are good for so many calls."""
        limits = {record.id for record in self._control.limits.list()}
        return limits | {token.id for token in self._control.tokens.list()}

    def _read_back(self) -> None:
        """While nobody else sweeps: a dead process's calls are not settled without its journal."""
        found = self._journal.recover()
        self._rows = {row.request_id: row for row in found}
        for row in found:
            self._writer.put(row)
        if found:
            logger.warning("read %d calls back from the journal of a proxy that was killed", len(found))

    def _figures(self, calls: Sequence[str]) -> Mapping[str, Actual]:
        """What these calls took: by the journal, else by the books, where they may be already."""
        read_back = [row for call in calls if (row := self._rows.get(call)) is not None]
        rest = [call for call in calls if call not in self._rows]
        return self._admit.figures([*settled(self._usage_db, rest), *read_back])
