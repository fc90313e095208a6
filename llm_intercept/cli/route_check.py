"""Whether what a route names exists: providers, models, keys, pools, dialects, projects.

An unknown provider is an error; what may come into being later is a warning.
"""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from llm_intercept import resources
from llm_intercept.cli.session import Session
from llm_intercept.errors import ConfigError, NotFound
from llm_intercept.policy.facts import Facts
from llm_intercept.policy.routing import Route, RouteTarget
from llm_intercept.providers.base import Provider
from llm_intercept.wire import dialects

_GLOB = frozenset("*?[")


def checked(session: Session, route: Route) -> tuple[Route, list[str]]:
    """The route with providers as they are written in the registry, and what should be told about it."""
    targets, longer = (
        tuple(_known(session, target) for target in group) for group in (route.targets, route.longer)
    )
    _check_dialects(route)
    warnings = [*_names(session, route)]
    for target in (*targets, *longer):
        provider = session.registry.providers.get(target.provider)
        warnings += [*_keys(session, target, provider), *_models(session, target, provider)]
    return route.model_copy(update={"targets": targets, "longer": longer}), list(dict.fromkeys(warnings))


def _known(session: Session, target: RouteTarget) -> RouteTarget:
    if not target.provider:
        return target
    found = session.registry.providers.get(target.provider.lower())
    if found is None:
        names = session.registry.providers
        raise NotFound(
            f"there is no provider {target.provider!r} (in {str(target)!r})"
            f"{_nearest(target.provider.lower(), names) or '; `llm-intercept provider list` shows all'}"
        )
    return target.model_copy(update={"provider": found.name})


def _nearest(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _check_dialects(route: Route) -> None:
    for name in route.match.dialects:
        if not _GLOB & set(name) and name not in dialects.names():
            raise ConfigError(
                f"there is no dialect {name!r}{_nearest(name, dialects.names())}; "
                f"there are {', '.join(sorted(dialects.names()))}"
            )


def _names(session: Session, route: Route) -> Iterator[str]:
    projects = {project.name for project in session.control.projects.list()}
    tokens = {token.name for token in session.control.tokens.list()}
    models = session.settings.models
    aliases = {name for rules in (models, *models.projects.values()) for name in rules.aliases}
    aliases |= {alias.name for alias in session.control.aliases.list()}
    for kind, named, known in (
        ("project", route.match.projects, projects),
        ("token", route.match.tokens, tokens),
        ("alias", route.match.aliases, aliases),
    ):
        for name in named:
            # `own:...` names a client's own key.
            if not _GLOB & set(name) and name not in known and not name.startswith("own:"):
                yield f"there is no {kind} {name!r}{_nearest(name, known)}"


def _keys(session: Session, target: RouteTarget, provider: Provider | None) -> Iterator[str]:
    if provider is None or provider.key_optional:
        return
    keys = [key for key in session.control.credentials.list(provider.name) if key.enabled]
    if not keys:
        yield f"no key for {provider.name} is stored: llm-intercept key add {provider.name}"
    elif target.pool and not any(key.pool in ("", target.pool) for key in keys):
        yield (
            f"no key of {provider.name} is in the pool {target.pool!r}: "
            f"llm-intercept key set {provider.name} --pool {target.pool}"
        )
    elif target.pool and not any(key.pool == target.pool for key in keys):
        yield f"no key of {provider.name} is in the pool {target.pool!r}; those without a pool are used"


def _models(session: Session, target: RouteTarget, provider: Provider | None) -> Iterator[str]:
    """Catalogues are never complete, so this is no error."""
    if provider is None or not target.model:
        return
    facts = Facts(session.registry.providers, resources.model_catalogue)
    listed = facts.models(provider.name)
    if listed and target.model not in listed and not facts.known(target.model):
        yield f"no list knows a model {target.model!r} of {provider.name}{_nearest(target.model, listed)}"
