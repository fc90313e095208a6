"""PROVISIONAL, not committed: the helper HEALTH replaces this file."""

from llm_intercept.policy.bound import Bound


class Affinity:
    def __init__(self, *args: object) -> None: ...

    def remember(
        self, project: str, ids: tuple[str, ...], conversation: str, provider: str, credential: str
    ) -> None: ...

    def of(self, project: str, bound: Bound, conversation: str) -> tuple[str, str] | None:
        return None
