"""What connects clients: which key variables a token may stand in for, and whether a proxy is there."""

from llm_intercept.cli.session import Session
from llm_intercept.errors import InterceptError
from llm_intercept.tools.probes import readiness


def key_variables(session: Session) -> tuple[str, ...]:
    """The usual variables of those providers for which we have a key: a token there is replaced by it."""
    stored = {credential.provider for credential in session.control.credentials.list() if credential.enabled}
    providers = session.registry.providers
    names = (providers[name].env for name in sorted(stored) if name in providers)
    return tuple(name for name in names if name)


def require_ready(url: str) -> None:
    """Raises with what to do unless a proxy of ours answers there and can serve."""
    problems = readiness(url)
    if problems is None:
        raise InterceptError(
            f"no proxy answers at {url}; start one with `llm-intercept up`, or name another with --proxy URL"
        )
    if problems:
        raise InterceptError(
            f"the proxy at {url} cannot serve: {'; '.join(problems)}; try `llm-intercept doctor`"
        )
