"""Which key a conversation has to stay with: who issued the items in it that nobody else understands.

Remembered per project, so that nobody's ids lead to another's key; what was forgotten (a restart) is looked
up in the row of the answer that a conversation goes on from.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from llm_intercept.policy.bound import Bound, kin

MOST = 20_000

type Home = tuple[str, str]
"""(provider, credential)"""


class Affinity:
    """`issuer` finds who gave an answer: (project, its id) -> (provider, credential)."""

    def __init__(self, issuer: Callable[[str, str], Home | None] = lambda project, response_id: None) -> None:
        self._issuer = issuer
        self._homes: OrderedDict[tuple[str, str], Home] = OrderedDict()

    def remember(
        self, project: str, ids: Iterable[str], conversation: str, provider: str, credential: str
    ) -> None:
        """The issuer of these, and of what comes next in the conversation."""
        home = (provider, credential)
        names = [name for issued in ids if issued for name in (issued, *kin(issued))]
        for name in (*names, conversation):
            if name:
                self._homes[project, name] = home
                self._homes.move_to_end((project, name))
        while len(self._homes) > MOST:
            self._homes.popitem(last=False)

    def of(self, project: str, bound: Bound, conversation: str) -> Home | None:
        """Only for conversations that carry something bound; all others may go anywhere."""
        if not bound.kind:
            return None
        for issued in bound.ids:
            home = self._known(project, issued)
            if home is not None:
                return home
        return self._looked_up(project, bound.previous) or self._known(project, conversation)

    def _known(self, project: str, name: str) -> Home | None:
        home = self._homes.get((project, name))
        if home is not None:
            self._homes.move_to_end((project, name))
        return home

    def _looked_up(self, project: str, response_id: str) -> Home | None:
        if not response_id:
            return None
        home = self._issuer(project, response_id)
        if home is not None:
            self.remember(project, (response_id,), "", *home)
        return home
