"""Step 2: who is calling, and may they? Tokens are accepted wherever a client can put a credential.

`auth = open` (the default on loopback) lets a client's own provider key through and files the call under
the project `default` with a fingerprint of that key; `required` refuses whatever has no valid token.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from llm_intercept.allowing import refused_address, refused_head
from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange, Principal
from llm_intercept.policy import sigv4
from llm_intercept.policy.tokens import (
    AWS_PREFIX,
    Expired,
    Inactive,
    Mistyped,
    Revoked,
    Suspended,
    TokenState,
    UserInactive,
    Valid,
    brought_by,
    is_ours,
)
from llm_intercept.providers.presented import Presented, basic, presented
from llm_intercept.store.control import Control

_REASONS: dict[type, tuple[str, str]] = {
    Mistyped: (
        "token_mistyped",
        "This llm-intercept token has a typing error: its checksum does not fit. Copy it again.",
    ),
    Revoked: (
        "token_revoked",
        "This llm-intercept token was revoked. Ask for a new one (llm-intercept token create).",
    ),
    Expired: (
        "token_expired",
        "This llm-intercept token has expired. Ask for a new one (llm-intercept token create).",
    ),
    Suspended: (
        "token_suspended",
        "This llm-intercept token is suspended, until somebody resumes it (llm-intercept token resume).",
    ),
    Inactive: ("project_inactive", "The project of this llm-intercept token is not active."),
    UserInactive: ("user_inactive", "The user that this llm-intercept token belongs to is not active."),
}
_UNKNOWN = ("token_unknown", "This llm-intercept token is not known here.")
_MISSING = Refusal(
    "authentication",
    "token_required",
    "This proxy serves only calls with a project token: put one where your client expects its API key "
    "(llm-intercept token create --project NAME --name NAME).",
)


def denied(state: TokenState) -> Refusal:
    code, message = _REASONS.get(type(state), _UNKNOWN)
    kind = "permission" if isinstance(state, Inactive | UserInactive) else "authentication"
    return Refusal(kind, code, message, about=getattr(state, "principal", None))  # type: ignore[arg-type]


_INACTIVE = Refusal("permission", *_REASONS[Inactive])


@dataclass(frozen=True, slots=True)
class Door:
    """The named listener that a call came by: what it adds to the call, and how strict it is.

    `entry` is "" where the call itself says how it came in, `cache` where its project or the settings say
    whose answers are stored; `parent` is an address of the operator's choice that its calls lead to. `open`
    turns False when it is stopped, for connections that are still there.
    """

    name: str
    listens: tuple[str, int] | None = None
    provider: str = ""
    project: str = ""
    required: bool = False
    exposed: bool = False
    entry: str = ""
    parent: tuple[str, int] | None = None
    open: bool = True
    cache: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """What the request's own credentials say: a principal by token, and which of them are ours."""

    principal: Principal | None
    ours: tuple[Presented, ...]
    foreign: tuple[Presented, ...]


class Access:
    """Answers with a principal or a refusal; never touches the request."""

    def __init__(self, control: Control, required: bool, now: Callable[[], float]) -> None:
        self._control = control
        self.required = required
        self._now = now

    def tunnel(
        self, authorization: str, to_provider: bool, door: Door | None = None, client_ip: str = ""
    ) -> Principal | Refusal | None:
        """For CONNECT and for plain proxying: None is an anonymous caller that may pass."""
        self._control.refresh()
        found = self._proxy(authorization, to_provider, door)
        refused = refused_address(found, client_ip) if isinstance(found, Principal) else None
        return refused or found

    def _proxy(self, authorization: str, to_provider: bool, door: Door | None) -> Principal | Refusal | None:
        candidates = [text for text in proxy_credentials(authorization) if is_token(text)]
        if candidates:
            state = self._control.token(candidates[0], self._now())
            return state.principal if isinstance(state, Valid) else denied(state)
        if not to_provider and (self.required if door is None else door.required):
            return _MISSING
        return None

    def authenticate(
        self, exchange: Exchange, headers: Mapping[str, str], door: Door | None = None
    ) -> Refusal | None:
        """Sets `principal` and `presented` (what must be removed), or says why not.

        `headers` are by lower-case name; inside a tunnel, with the Proxy-Authorization of its CONNECT.
        """
        self._control.refresh()
        refusal = self._identify(exchange, headers, door)
        if refusal is None and exchange.principal is not None and exchange.principal.allow is not None:
            return refused_head(exchange, headers)
        return refusal

    def _identify(self, exchange: Exchange, headers: Mapping[str, str], door: Door | None) -> Refusal | None:
        query = exchange.path.partition("?")[2]
        found = self._own_tokens(exchange, presented(headers, query))
        proxy = self._proxy(headers.get("proxy-authorization", ""), True, door)
        if isinstance(found, Refusal):
            if isinstance(proxy, Principal):  # on the bill of that token's run
                exchange.changes.append(brought_by(proxy.project, proxy.token))
            return found
        exchange.presented, exchange.foreign = found.ours, found.foreign
        if isinstance(proxy, Refusal):
            return proxy
        if found.principal is not None:
            exchange.principal = found.principal
            if proxy is not None and proxy.token_id != found.principal.token_id:
                exchange.changes.append(brought_by(proxy.project, proxy.token))
        elif proxy is not None:
            exchange.principal = replace(proxy, own_key=True)
        else:
            return self._without_token(exchange, found, door)
        return None

    def _without_token(self, exchange: Exchange, found: _Found, door: Door | None) -> Refusal | None:
        """Filed under the listener's project, if it has one; the client's own key is all that it can use."""
        if self.required if door is None else door.required:
            return _MISSING
        project = door.project if door is not None else ""
        if project and self._control.is_inactive(project):
            return _INACTIVE
        if found.foreign:
            exchange.principal = self._control.own_key(found.foreign[0].value, project)
        else:
            who = self._control.anonymous(project)
            exchange.principal = replace(who, own_key=not exchange.provider.key_optional)
        return None

    def _own_tokens(self, exchange: Exchange, credentials: Sequence[Presented]) -> _Found | Refusal:
        ours = tuple(p for p in credentials if is_token(p.value) or is_aws_key_id(p))
        foreign = tuple(p for p in credentials if p not in ours)
        if not ours:
            return _Found(None, (), foreign)
        first = ours[0]
        if is_aws_key_id(first):
            state, secret = self._control.aws_key(first.value, self._now())
            exchange.aws_secret = secret
        else:
            state = self._control.token(first.value, self._now())
        return _Found(state.principal, ours, foreign) if isinstance(state, Valid) else denied(state)

    def verify_signature(
        self, exchange: Exchange, headers: Mapping[str, str], body_sha256: str
    ) -> Refusal | None:
        """For calls signed with a project's AWS key pair, once the body is at hand."""
        if exchange.aws_secret is None:
            return None
        path, _, query = exchange.path.partition("?")
        reason = sigv4.verify(
            exchange.method,
            path,
            query,
            headers,
            body_sha256,
            exchange.aws_secret.get_secret_value(),
            self._now(),
        )
        return (
            None
            if reason is None
            else Refusal("authentication", "signature_invalid", f"AWS signature refused: {reason}")
        )


def is_token(text: str) -> bool:
    """Whether a credential is meant to be one of our bearer tokens, mistyped ones included."""
    return is_ours(text)


def is_aws_key_id(credential: Presented) -> bool:
    return credential.where == "sigv4" and credential.value.startswith(AWS_PREFIX)


def proxy_credentials(authorization: str) -> list[str]:
    """What in a Proxy-Authorization header may be a token: user or password of Basic, or the bearer."""
    scheme, _, value = authorization.strip().partition(" ")
    return [value.strip()] if scheme.lower() == "bearer" else basic(authorization)
