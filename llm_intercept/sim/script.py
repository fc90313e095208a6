"""A scenario under way: which rule a call falls under, and how often each was met."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from llm_intercept.sim.prompt import Json
from llm_intercept.sim.scenario import Rule, Scenario


@dataclass(frozen=True, slots=True)
class Asked:
    """What rules look at."""

    method: str
    path: str
    dialect: str
    model: str
    key: str


class Script:
    """Each rule counts the calls that meet its conditions, whether or not an earlier one has taken them."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._matched = [0] * len(scenario.rules)
        self._applied = [0] * len(scenario.rules)
        self._calls = 0

    def choose(self, asked: Asked) -> Rule | None:
        """The first rule whose conditions and number fit; counts the call."""
        self._calls += 1
        chosen: int | None = None
        for index, rule in enumerate(self._scenario.rules):
            if not self._fits(rule, asked):
                continue
            self._matched[index] += 1
            if chosen is None and rule.takes(self._matched[index]):
                chosen = index
        if chosen is None:
            return None
        self._applied[chosen] += 1
        return self._scenario.rules[chosen]

    def _fits(self, rule: Rule, asked: Asked) -> bool:
        if rule.key and not asked.key.endswith(self._scenario.keys.get(rule.key, rule.key)):
            return False
        if rule.method and rule.method.upper() != asked.method:
            return False
        pairs = ((rule.path, asked.path), (rule.dialect, asked.dialect), (rule.model, asked.model))
        return all(not wanted or fnmatchcase(found, wanted) for wanted, found in pairs)

    def as_json(self) -> Json:
        """`matched` calls met the conditions, `applied` of them were the rule's."""
        rules = [
            {
                "rule": number,
                "matched": self._matched[number - 1],
                "applied": self._applied[number - 1],
                **rule.model_dump(exclude_unset=True, by_alias=True),
            }
            for number, rule in enumerate(self._scenario.rules, 1)
        ]
        return {"calls": self._calls, "unruled": self._calls - sum(self._applied), "rules": rules}
