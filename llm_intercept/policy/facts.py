"""What is known of a model: limits, images, the form it takes reasoning in, the parameters it refuses.

From the catalogue that comes with the package (`data/models.json.gz`, made by `data_build`) and from what is
known of families. Nothing is read before the first question; answers are remembered.
"""

import gzip
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import orjson

from llm_intercept.policy.families import Family, family_of
from llm_intercept.providers.base import Provider
from llm_intercept.wire.codec import Target

_REMEMBERED = 4096  # names come from clients


class Flag(Enum):
    """Bits of the catalogue's third column."""

    REASONING = 1
    IMAGES = 2
    TEMPERATURE = 4
    STRUCTURED = 8
    TOOLS = 16
    TEXT = 32  # answers with text, whatever else
    ECHO = 64  # its `reasoning_content` belongs into the next request


@dataclass(frozen=True, slots=True)
class Row:
    """One model of the catalogue; None where it says 0."""

    context: int | None
    max_output: int | None
    flags: int

    def has(self, flag: Flag) -> bool:
        return bool(self.flags & flag.value)


type Catalogue = Mapping[str, Mapping[str, Row]]
"""provider -> the provider's own model id -> row; the providers in the order of trust."""


def read(data: bytes) -> Catalogue:
    """The file's content. Rows that are equal are one object: most are."""
    shared: dict[tuple[int, ...], Row] = {}
    return {
        name: {model: _row(tuple(row), shared) for model, row in models.items()}
        for name, models in orjson.loads(gzip.decompress(data))["providers"].items()
    }


def _row(given: tuple[int, ...], shared: dict[tuple[int, ...], Row]) -> Row:
    if given not in shared:
        context, output, flags = given
        shared[given] = Row(context or None, output or None, flags)
    return shared[given]


_PATH = re.compile(r".*[/~]")
_BEDROCK = re.compile(
    r"(?:[a-z]{2,6}\.)?(?:anthropic|amazon|openai|meta|mistral|cohere|deepseek|google|ai21|qwen)"
    r"\.(.+?)(?:-v\d+)?(?::.*)?"
)
_TAG = re.compile(r":.*")
_DATE = re.compile(
    r"-(?:20\d{6}|20\d\d-\d\d-\d\d|\d\d-\d\d(?:\d\d)?|\d{4}|00\d|latest|preview|default)$|@.*$"
)
_DOT = re.compile(r"(?<=\d)\.(?=\d)")


def normal(model: str) -> str:
    """A model's name without what providers write around it: path, publisher, region, version, date."""
    name = _PATH.sub("", model.lower().removeprefix("ft:"))
    regional = _BEDROCK.fullmatch(name)
    name = regional[1] if regional else _TAG.sub("", name)
    return _DOT.sub("-", _DATE.sub("", _DATE.sub("", name)))


class Facts:
    """Answers for every provider. `load` gives the catalogue's file (`resources.model_catalogue`)."""

    def __init__(self, providers: Mapping[str, Provider], load: Callable[[], bytes]) -> None:
        self._providers = providers
        self._load = load
        self._catalogue: Catalogue | None = None
        self._ids: frozenset[str] = frozenset()
        self._by_name: dict[str, Row] = {}
        self._targets: dict[tuple[str, str], Target] = {}
        self._known: dict[str, bool] = {}

    def models(self, provider: str) -> Mapping[str, Row]:
        """What the catalogue lists for a provider."""
        return self._read().get(provider, {})

    def known(self, model: str) -> bool:
        """Whether any catalogue has it, by its whole id; only date and region may differ."""
        found = self._known.get(model)
        if found is None:
            found = self._is_known(model)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[model] = found
        return found

    def target(self, provider: str, model: str) -> Target:
        """Of a provider's model; what is not known is None or empty."""
        key = (provider, model)
        found = self._targets.get(key)
        if found is None:
            found = self._target(provider, model)
            if len(self._targets) >= _REMEMBERED:
                self._targets.clear()
            self._targets[key] = found
        return found

    def _read(self) -> Catalogue:
        if self._catalogue is None:
            catalogue = read(self._load())
            self._ids = frozenset(model for models in catalogue.values() for model in models)
            for models in catalogue.values():
                for model, row in models.items():
                    self._by_name.setdefault(normal(model), row)
            self._catalogue = catalogue
        return self._catalogue

    def _is_known(self, model: str) -> bool:
        self._read()
        if model in self._ids:
            return True
        if ":" in model:
            # A colon may belong to no name at all: only the region before a Bedrock id may be another.
            return model.partition(".")[2] in self._ids
        name = normal(model)
        family = family_of(name)
        return name in self._by_name or (family is not None and family.retired)

    def _target(self, provider: str, model: str) -> Target:
        own = self._read().get(provider, {}).get(model)
        name = normal(model)
        row = own or self._by_name.get(name)
        family = family_of(name)
        form = self._form(provider, row, family)
        # What a server of one's own can do was decided by whoever started it.
        sized = row if own is not None or not self._is_local(provider) else None
        most = (sized.max_output if sized else None) or (family.max_output if family else None)
        return Target(
            provider=provider,
            model=model,
            max_output=most,
            reasoning=form,
            budget_range=_range(family, most) if form == "budget" else None,
            rejects=_rejects(row, family, form) | self._refused(provider),
            images=row is None or row.has(Flag.IMAGES),
            structured=True if row is not None and row.has(Flag.STRUCTURED) else None,
            short_tool_ids=family is not None and family.short_tool_ids,
            context=sized.context if sized else None,
            efforts=family.efforts if family is not None and form in ("effort", "adaptive", "") else (),
        )

    def _refused(self, provider: str) -> frozenset[str]:
        found = self._providers.get(provider)
        return found.rejects if found is not None else frozenset()

    def _is_local(self, provider: str) -> bool:
        found = self._providers.get(provider)
        return found is not None and found.key_optional

    def _form(self, provider: str, row: Row | None, family: Family | None) -> str:
        """A provider's own form goes first, but no form makes a model think that cannot."""
        if row is not None and not row.has(Flag.REASONING):
            return "none"
        given = self._providers.get(provider)
        if family is not None and family.reasoning == "none":
            return "none"
        if given is not None and given.reasoning:
            return given.reasoning
        if family is not None and family.reasoning:
            return family.reasoning
        return "content" if row is not None and row.has(Flag.ECHO) else ""


def _range(family: Family | None, most: int | None) -> tuple[int, int] | None:
    if family is None or family.budget is None:
        return None
    least, end = family.budget
    end = end or (most or 0) - 1
    return (least, end) if end > least else None


def _rejects(row: Row | None, family: Family | None, form: str) -> frozenset[str]:
    if form == "openrouter":  # leaves out what a model does not take by itself
        return frozenset()
    found = family.rejects if family is not None else frozenset()
    takes_none = row is not None and row.has(Flag.TEXT) and not row.has(Flag.TEMPERATURE)
    return found | {"temperature"} if takes_none else found
