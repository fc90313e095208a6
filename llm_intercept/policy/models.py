"""What a model's name leads to: reasoning suffixes, aliases, tiers by Claude family, `provider/model`.

One rule at a time, each answered from data; the way of a name through them is `ModelMap.resolve`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from llm_intercept.errors import ConfigError, Refusal
from llm_intercept.policy import suffix
from llm_intercept.policy.control import NO_CONTROL, Control, control_of
from llm_intercept.policy.modelrules import Rules, TierRule, compiled, tier_name
from llm_intercept.providers.base import Provider
from llm_intercept.settings import ModelControl, ModelRules, ModelsSettings
from llm_intercept.wire.ir import Reasoning

_REMEMBERED = 4096  # names come from clients

type Rows = Mapping[str, Mapping[str, str]]
"""Aliases that are no settings: name -> target, by project; "" has those of all."""

NO_ROWS: Rows = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Resolution:
    """`provider` None: the one that was called. `alias` and `tier` name the rule that decided, if any.

    `reasoning` joins what names ask and what settings say; `asked`: the client's own name asked for it.
    `control` has the rest of the settings.
    """

    provider: str | None
    model: str
    alias: str = ""
    tier: str = ""
    reasoning: Reasoning | None = None
    refusal: Refusal | None = None
    warnings: tuple[str, ...] = ()
    asked: bool = False
    control: Control = NO_CONTROL


@dataclass(frozen=True, slots=True)
class _Call:
    """What is asked for, and of whom."""

    rules: Rules
    called: str
    explicit: bool


@dataclass(frozen=True, slots=True)
class _Name:
    """A name on its way; `ours` once an operator's rule has written it."""

    text: str
    provider: str | None = None
    alias: str = ""
    tier: str = ""
    levels: tuple[ModelControl, ...] = ()
    asked: Reasoning | None = None
    by_client: bool = False
    ours: bool = False
    warnings: tuple[str, ...] = ()


class ModelMap:
    """Answers for all projects, from settings read once. `known` says whether any catalogue has a model."""

    def __init__(
        self,
        settings: ModelsSettings,
        providers: Mapping[str, Provider],
        known: Callable[[str], bool],
        rows: Callable[[], Rows] = lambda: NO_ROWS,
    ) -> None:
        self._settings = settings
        self._providers = providers
        self._known = known
        self._rows = rows
        self._seen = NO_ROWS
        self._memory: dict[tuple[str, str, str, bool], Resolution] = {}
        self._default, self._projects = _compiled(settings, providers, NO_ROWS)
        self._refresh()

    @staticmethod
    def check(settings: ModelsSettings, providers: Mapping[str, Provider], rows: Rows) -> None:
        """ConfigError if these rows and the settings make a loop."""
        _compiled(settings, providers, rows)

    def names(self, project: str) -> Mapping[str, str]:
        """The aliases that a project can ask for by name, and what each stands for."""
        return self._rules(project).names

    def tiers(self, project: str) -> Mapping[str, TierRule]:
        """The tiers in force, by name."""
        return self._rules(project).tiers

    def resolve(self, model: str, project: str, called_provider: str, explicit_provider: bool) -> Resolution:
        """`called_provider` is the one that host or path say; `explicit_provider`: it was named, not guessed
        from the shape of the path.
        """
        self._refresh()
        key = (model, project, called_provider, explicit_provider)
        found = self._memory.get(key)
        if found is None:
            found = self._resolved(model, _Call(self._rules(project), called_provider, explicit_provider))
            if len(self._memory) >= _REMEMBERED:
                self._memory.clear()
            self._memory[key] = found
        return found

    def _rules(self, project: str) -> Rules:
        self._refresh()
        return self._projects.get(project, self._default)

    def _refresh(self) -> None:
        """Rows that somebody has changed count for the next call. They are checked when they are set; those
        that make a loop with settings written since are left out.
        """
        rows = self._rows()
        if rows is self._seen:
            return
        self._seen = rows
        try:
            found = _compiled(self._settings, self._providers, rows)
        except ConfigError:
            found = _compiled(self._settings, self._providers, NO_ROWS)
        self._default, self._projects = found
        self._memory.clear()

    def _resolved(self, model: str, call: _Call) -> Resolution:
        if not model:
            return _resolution(_Name(""), call)
        name = self._cut(_Name(model), call)
        if self._is_misspelt(name.text, call):
            return Resolution(None, model, refusal=suffix.refusal(model))
        name = self._through_aliases(name, call)
        name = self._prefixed(name, call)
        if name.provider is None:
            name = self._tiered(name, call)
        return self._known_or_not(name, call)

    def _cut(self, name: _Name, call: _Call) -> _Name:
        """Without its reasoning suffix. The first suffix counts: the client's before an alias's own."""
        if ":" not in name.text or call.rules.names.get(name.text) is not None or self._known(name.text):
            return name
        found = suffix.split(name.text)
        if found is None:
            return name
        by_client = name.by_client or (name.asked is None and not name.ours)
        return replace(name, text=found[0], asked=name.asked or found[1], by_client=by_client)

    def _is_misspelt(self, text: str, call: _Call) -> bool:
        """Only where no colon can belong to the name: providers with ids of their own have own tags."""
        if ":" not in text or call.rules.alias(text) is not None or self._known(text):
            return False
        head, slash, _ = text.partition("/")
        provider = self._providers.get(head if slash else call.called)
        if provider is None or provider.vendor_models or provider.dialect == "bedrock_converse":
            return False
        return suffix.is_misspelt(text.removeprefix(f"{head}/") if slash else text, self._known)

    def _through_aliases(self, name: _Name, call: _Call) -> _Name:
        hit = call.rules.alias(name.text)
        while hit is not None:
            pattern, value = hit
            name = self._cut(replace(name, text=value, alias=name.alias or pattern, ours=True), call)
            following = call.rules.names.get(name.text)
            hit = (name.text, following) if following is not None and name.text != pattern else None
        return name

    def _prefixed(self, name: _Name, call: _Call) -> _Name:
        """`provider/model` is read where it cannot be the id of the called provider's own model."""
        head, slash, rest = name.text.partition("/")
        provider = self._providers.get(head) if slash and rest else None
        if provider is None:
            return name
        if provider.model_prefix == f"{head}/":
            return replace(name, provider=head)
        if call.explicit and not name.ours and self._has_slashes(call.called):
            return name
        return replace(name, provider=head, text=rest)

    def _has_slashes(self, provider: str) -> bool:
        found = self._providers.get(provider)
        return found is not None and found.vendor_models

    def _tiered(self, name: _Name, call: _Call) -> _Name:
        tier = tier_name(name.text, call.rules.other) if call.rules.tiers else ""
        rule = call.rules.tiers.get(tier)
        if rule is None:
            return name
        name = replace(name, tier=tier, levels=rule.levels)
        if rule.provider:
            target = replace(name, text=rule.model or name.text, provider=rule.provider, ours=True)
            return self._cut(target, call)
        if not rule.model:
            return name
        target = self._cut(replace(name, text=rule.model, ours=True), call)
        alias = target.alias
        return self._prefixed(replace(self._through_names(target, call), alias=alias), call)

    def _through_names(self, name: _Name, call: _Call) -> _Name:
        return self._through_aliases(name, call) if name.text in call.rules.names else name

    def _known_or_not(self, name: _Name, call: _Call) -> Resolution:
        rules = call.rules
        if name.ours or rules.unknown == "pass" or self._is_listed(name, call):
            return _resolution(name, call)
        if rules.unknown == "default" and rules.default:
            given = replace(name, text=rules.default, provider=None, ours=True, alias="default")
            target = self._prefixed(self._through_names(self._cut(given, call), call), call)
            note = f"model: {name.text} is not known, {target.text} is used"
            return _resolution(replace(target, warnings=(note,)), call)
        return Resolution(None, name.text, refusal=_unknown(name.text))

    def _is_listed(self, name: _Name, call: _Call) -> bool:
        """Whether it may be asked for: no catalogue lists the models of local servers."""
        provider = self._providers.get(name.provider or call.called)
        return (provider is not None and provider.key_optional) or self._known(name.text)


def _compiled(
    settings: ModelsSettings, providers: Mapping[str, Provider], rows: Rows
) -> tuple[Rules, dict[str, Rules]]:
    """The general rules, and those of projects with their own; rows go before the settings' aliases."""
    general = _with(settings, rows.get("", {}))
    named = {name for name in (*settings.projects, *rows) if name}
    given = {name: _with(settings.projects.get(name) or ModelRules(), rows.get(name, {})) for name in named}
    projects = {name: compiled(general, own, providers) for name, own in given.items()}
    return compiled(general, None, providers), projects


def _with[R: ModelRules](rules: R, rows: Mapping[str, str]) -> R:
    return rules.model_copy(update={"aliases": {**rules.aliases, **rows}}) if rows else rules


def _resolution(name: _Name, call: _Call) -> Resolution:
    reasoning, control = control_of(call.rules.levels(name.tier), name.asked)
    return Resolution(
        name.provider,
        name.text,
        name.alias,
        name.tier,
        reasoning,
        None,
        name.warnings,
        name.by_client,
        control,
    )


def _unknown(model: str) -> Refusal:
    return Refusal(
        "not_found",
        "model_unknown",
        f"The model {model[:200]!r} is not known here, and unknown models are refused (models.unknown).",
    )
