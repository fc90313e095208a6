"""`control.db` as the proxy sees it: a snapshot in memory, never older than anybody's last commit.

`refresh()` costs microseconds while nothing has changed, so it runs before every call: what another
process revokes is refused by the very next one. What commands change lies in the modules of the tables.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr

from llm_intercept.errors import StoreError
from llm_intercept.exchange import Principal
from llm_intercept.policy.allow import Allowance, allowance
from llm_intercept.policy.failures import Failures
from llm_intercept.policy.limits import StoredLimit
from llm_intercept.policy.routing import Route
from llm_intercept.policy.tokens import (
    Expired,
    Inactive,
    IssuedToken,
    Lifetimes,
    Mistyped,
    Revoked,
    Suspended,
    TokenState,
    Unknown,
    UserInactive,
    Valid,
    fingerprint,
    judge,
    parse,
)
from llm_intercept.store.accounts import Accounts
from llm_intercept.store.aliases import Aliases
from llm_intercept.store.api_tokens import ApiTokens
from llm_intercept.store.audit import Audit
from llm_intercept.store.breakers import BreakerResets, ResetKey
from llm_intercept.store.credentials import Credentials, SealedCredential, StoredCredential
from llm_intercept.store.database import Database
from llm_intercept.store.failures import FailureSettings
from llm_intercept.store.invites import Invites
from llm_intercept.store.limits import Limits
from llm_intercept.store.listeners import Listener, Listeners
from llm_intercept.store.migrate import connect
from llm_intercept.store.projects import DEFAULT_PROJECT, Project, Projects
from llm_intercept.store.routes import Routes
from llm_intercept.store.sessions import Sessions
from llm_intercept.store.tokens import Tokens
from llm_intercept.store.users import Users
from llm_intercept.vault import Vault

__all__ = [
    "Control",
    "Expired",
    "Inactive",
    "Mistyped",
    "Revoked",
    "StoredCredential",
    "Suspended",
    "TokenState",
    "Unknown",
    "UserInactive",
    "Valid",
]


class Control:
    """One connection to `control.db`. Commands use `projects`, `tokens`, `credentials`, `sessions`, `routes`.

    `routing` are the enabled routes in order; `resets` says when breakers were asked to be reset.
    """

    routing: tuple[Route, ...] = ()
    resets: Mapping[ResetKey, int]

    def __init__(
        self,
        path: Path,
        vault: Vault,
        *,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._path = path
        self._vault = vault
        self._connection = connect(path)
        self._database = Database(self._connection, vault, clock, entropy)
        self._seen: tuple[int, int] = (-1, -1)
        self._issued: dict[tuple[str, bytes], IssuedToken] = {}
        self._sealed: dict[str, tuple[SealedCredential, ...]] = {}
        self._opened: dict[tuple[str, str], StoredCredential] = {}
        self._keys: dict[str, tuple[StoredCredential, ...]] = {}
        self._projects: dict[str, Project] = {}
        self._allowances: dict[str, Allowance | None] = {}
        self.listening: Mapping[str, Listener] = {}
        self.failing: Mapping[tuple[str, str], Failures] = {}
        self.limiting: tuple[StoredLimit, ...] = ()
        self.aliasing: Mapping[str, Mapping[str, str]] = {}
        try:
            self._check_key()
            self.users = Users(self._database)
            self.projects = Projects(self._database)
            self.tokens = Tokens(self._database, self.projects, lifetimes)
            self.credentials = Credentials(self._database)
            self.sessions = Sessions(self._database)
            self.accounts = Accounts(self._database)
            self.invites = Invites(self._database)
            self.api_tokens = ApiTokens(self._database)
            self.listeners = Listeners(self._database)
            self.failures = FailureSettings(self._database)
            self.audit = Audit(self._database)
            self.routes = Routes(self._database)
            self.breakers = BreakerResets(self._database)
            self.limits = Limits(self._database)
            self.aliases = Aliases(self._database, self.projects)
            self.refresh()
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(f"{path} cannot be read: {error}; run `llm-intercept init`") from error
        except BaseException:
            self._connection.close()
            raise

    @property
    def path(self) -> Path:
        return self._path

    @property
    def database(self) -> Database:
        """For transactions over several tables."""
        return self._database

    def close(self) -> None:
        self._connection.close()

    def check(self) -> None:
        """Reads something; raises sqlite3.Error if that does not work."""
        self._connection.execute("SELECT count(*) FROM projects").fetchone()

    def refresh(self) -> None:
        """Reloads the snapshot if anybody has committed since the last time."""
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        current = (version, self._database.version)
        if current != self._seen:
            self._load()
            self._seen = current

    def token(self, text: str, now: float) -> TokenState:
        """The state of a bearer token, `now` in Unix seconds."""
        digest = self._vault.digest(text)
        issued = self._issued.get(("bearer", digest))
        if issued is None:
            parsed = parse(text)
            if isinstance(parsed, Mistyped):
                return parsed
            issued = self._look_up("bearer", digest)
        return Unknown() if issued is None else judge(issued, now)

    def aws_key(self, access_key_id: str, now: float) -> tuple[TokenState, SecretStr | None]:
        """The state of an AWS key pair, and the secret to verify the signature with."""
        digest = self._vault.digest(access_key_id)
        issued = self._issued.get(("aws", digest)) or self._look_up("aws", digest)
        if issued is None or issued.secret is None:
            return Unknown(), None
        return judge(issued, now), self._vault.decrypt(issued.secret)

    def own_key(self, key: str, project: str = "") -> Principal:
        """Who a client with a provider key of its own is: named by a fingerprint, in the default project."""
        return self._without_token(project, f"own:{fingerprint(key, self._vault.digest)}", own_key=True)

    def anonymous(self, project: str = "") -> Principal:
        """Who a client without any credential is (local servers that need none)."""
        return self._without_token(project, "")

    def is_inactive(self, project: str) -> bool:
        """Whether a project was switched off."""
        found = self._projects.get(project)
        return found is not None and not found.active

    def credential(self, provider: str) -> StoredCredential | None:
        """The key that is in use for a provider, decrypted at its first use."""
        sealed = self._sealed.get(provider)
        return self._open(sealed[0]) if sealed else None

    def keys(self, provider: str) -> tuple[StoredCredential, ...]:
        """All enabled keys of a provider in the order of their creation, decrypted at their first use."""
        found = self._keys.get(provider)
        if found is None:
            found = tuple(self._open(sealed) for sealed in self._sealed.get(provider, ()))
            self._keys[provider] = found
        return found

    def _look_up(self, kind: str, digest: bytes) -> IssuedToken | None:
        """Of many thousands of tokens few are used: each is read when it is, until anything is changed."""
        found = self.tokens.issued(kind, digest)
        if found is not None:
            self._issued[kind, digest] = found
        return found

    def _open(self, sealed: SealedCredential) -> StoredCredential:
        opened = self._opened.get((sealed.provider, sealed.name))
        if opened is None:
            secret = self._vault.decrypt(sealed.blob)
            opened = StoredCredential(
                sealed.provider, sealed.name, secret, sealed.base_url, sealed.weight, sealed.pool
            )
            self._opened[sealed.provider, sealed.name] = opened
        return opened

    def keyed(self) -> frozenset[str]:
        """The providers with a key in use."""
        return frozenset(self._sealed)

    def _without_token(self, name: str, token: str, *, own_key: bool = False) -> Principal:
        project = self._projects.get(name) or self._projects[DEFAULT_PROJECT]
        return Principal(
            project.name,
            token,
            capture=project.capture,
            own_key=own_key,
            allow=self._allowances[project.name],
            hangup=project.hangup,
            cache=project.cache,
        )

    def _load(self) -> None:
        self._connection.execute("BEGIN")
        try:
            self._issued = {}
            self._sealed = self.credentials.sealed()
            self._projects = {project.name: project for project in self.projects.list()}
            self._allowances = {
                name: allowance((f"project {name}", project.policy.text()))
                for name, project in self._projects.items()
            }
            self.listening = {listener.name: listener for listener in self.listeners.list()}
            self._opened, self._keys = {}, {}
            self.routing = self.routes.active()
            self.resets = self.breakers.asked()
            self.limiting = self.limits.active()
            aliasing = self.aliases.active()
            if aliasing != self.aliasing:  # the same object for as long as it says the same
                self.aliasing = aliasing
            self.failing = self.failures.active()
        finally:
            self._connection.execute("COMMIT")

    def _check_key(self) -> None:
        """The first one to open the database leaves a digest; a vault with another pepper is told so."""
        expected = self._vault.key_check()
        row = self._database.row("SELECT digest FROM key_check")
        if row is None:
            with self._database.write() as connection:
                connection.execute("INSERT OR IGNORE INTO key_check (id, digest) VALUES (1, ?)", (expected,))
            row = self._database.row("SELECT digest FROM key_check")
        if row is None or row["digest"] != expected:
            raise self._vault.misfit()
