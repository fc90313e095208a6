"""The settings of `models` made ready for lookups: the global ones, or a project's over them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from types import MappingProxyType

from llm_intercept.errors import ConfigError
from llm_intercept.policy import suffix
from llm_intercept.providers.base import Provider
from llm_intercept.settings import ModelControl, ModelRules, ModelsSettings, TierSettings

TIERS = ("big", "middle", "small")
_GLOB = re.compile(r"[*?\[]")
_CLAUDE = re.compile(r"(?:^|[./])claude[-.]")
_FAMILIES = (("opus", "big"), ("sonnet", "middle"), ("haiku", "small"), ("instant", "small"))
_OTHER = "middle"
_NOTHING = ModelRules()


@dataclass(frozen=True, slots=True)
class TierRule:
    """`levels` are the tables of settings that apply, the most specific first."""

    model: str
    provider: str
    levels: tuple[ModelControl, ...] = ()


@dataclass(frozen=True, slots=True)
class _Table:
    """Aliases of one place in the settings."""

    exact: Mapping[str, str]
    globs: tuple[tuple[re.Pattern[str], str, str], ...]

    def find(self, name: str) -> tuple[str, str] | None:
        value = self.exact.get(name)
        if value is not None:
            return name, value
        return next((hit[1:] for hit in self.globs if hit[0].match(name)), None)


@dataclass(frozen=True, slots=True)
class Rules:
    """Of one project. `other` is the tier of unknown Claude families, "" for none."""

    names: Mapping[str, str]
    tables: tuple[_Table, ...]
    tiers: Mapping[str, TierRule]
    general: tuple[ModelControl, ...]
    other: str
    unknown: str
    default: str

    def alias(self, name: str) -> tuple[str, str] | None:
        """(name or glob, value): a project's own before the general ones, exact before globs."""
        return next((hit for hit in (t.find(name) for t in self.tables) if hit is not None), None)

    def levels(self, tier: str) -> tuple[ModelControl, ...]:
        rule = self.tiers.get(tier)
        return rule.levels if rule is not None else self.general


def compiled(
    settings: ModelsSettings, project: ModelRules | None, providers: Mapping[str, Provider]
) -> Rules:
    own = project or _NOTHING
    places = (own, settings) if project is not None else (settings,)
    names = {name: value for place in reversed(places) for name, value in place.aliases.items()}
    exact = {name: value for name, value in names.items() if not _GLOB.search(name)}
    _check_loops(exact)
    other = own.tiers.other or settings.tiers.other or _OTHER
    unknown = own.unknown or settings.unknown or "pass"
    default = own.default or settings.default
    if unknown == "default" and not default:
        raise ConfigError("models.unknown is `default`, so models.default must name a model")
    return Rules(
        names=MappingProxyType(exact),
        tables=tuple(_table(place.aliases) for place in places if place.aliases),
        tiers=MappingProxyType(_tiers(settings, project, providers)),
        general=places,
        other="" if other == "none" else other,
        unknown=unknown,
        default=default,
    )


def _table(aliases: Mapping[str, str]) -> _Table:
    globs = sorted((a for a in aliases if _GLOB.search(a)), key=_literal, reverse=True)
    return _Table(
        {name: value for name, value in aliases.items() if not _GLOB.search(name)},
        tuple((re.compile(translate(glob)), glob, aliases[glob]) for glob in globs),
    )


def _literal(glob: str) -> tuple[int, str]:
    """How much of a glob is plain text; equal ones in a fixed order."""
    return len(re.sub(r"\[[^\]]*\]|[*?]", "", glob)), glob


def _check_loops(exact: Mapping[str, str]) -> None:
    for start in exact:
        way = [start]
        while (following := _next(way[-1], exact)) is not None:
            way.append(following)
            if following in way[:-1]:
                raise ConfigError(f"models.aliases: {' -> '.join(way)} is a loop")


def _next(name: str, exact: Mapping[str, str]) -> str | None:
    """The alias that an alias leads to; one that stands for itself leads nowhere."""
    value = exact[name]
    cut = suffix.split(value) if value not in exact else None
    target = cut[0] if cut else value
    return target if target in exact and target != name else None


def _tiers(
    settings: ModelsSettings, project: ModelRules | None, providers: Mapping[str, Provider]
) -> dict[str, TierRule]:
    places: tuple[ModelRules, ...] = (project, settings) if project is not None else (settings,)
    found: dict[str, TierRule] = {}
    for tier in TIERS:
        rule = _tier(tier, places, found.get("big") if tier == "middle" else None)
        if rule is None:
            continue
        if rule.provider and rule.provider not in providers:
            raise ConfigError(f"models.tiers.{tier}.provider: there is no provider {rule.provider!r}")
        found[tier] = rule
    return found


def _tier(tier: str, places: tuple[ModelRules, ...], otherwise: TierRule | None) -> TierRule | None:
    """What `places` say of a tier, the more specific first; `otherwise` fills in model and provider."""
    tables: list[TierSettings] = [getattr(place.tiers, tier) for place in places]
    if all(table == TierSettings() for table in tables):
        return otherwise
    levels = tuple(level for pair in zip(tables, places, strict=True) for level in pair)
    aim = next((t for t in tables if t.model or t.provider), None)
    if aim is None and otherwise is not None:
        return TierRule(otherwise.model, otherwise.provider, levels)
    return TierRule(aim.model, aim.provider, levels) if aim is not None else TierRule("", "", levels)


def tier_name(model: str, other: str) -> str:
    """The tier of a Claude model, however its provider writes it; "" for any other model."""
    if model in ("opus", "sonnet", "haiku"):
        return dict(_FAMILIES)[model]
    found = _CLAUDE.search(model)
    if found is None:
        return ""
    words = re.split(r"[-.@:_]", model[found.end() :])
    return next((tier for family, tier in _FAMILIES if family in words), other)
