"""Passwords, invites, sessions and API tokens: one's own, or, for admins, anybody's. Every change is audited.

What happens at the doors (logins and attempts at them) is written down here as well. Hashes are made by the
caller, outside of any transaction (`llm_intercept/hashing.py`).
"""

import builtins
from collections.abc import Callable
from datetime import timedelta

from llm_intercept.errors import Forbidden, InterceptError, NotFound
from llm_intercept.manage.desk import Desk, refuse_keys
from llm_intercept.policy.actor import Actor
from llm_intercept.store.accounts import Attempt
from llm_intercept.store.api_tokens import ApiToken, NewApiToken
from llm_intercept.store.audit_rows import Outcome, Thing
from llm_intercept.store.invites import DEFAULT_SECONDS
from llm_intercept.store.sessions import Purpose, Session
from llm_intercept.store.users import User


def thing_of(user: User) -> Thing:
    return Thing("user", user.name, user.id)


class Accounts:
    """The local administrator is the user ""."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._control = desk.control
        self._audit = desk.audit

    def invite(self, actor: Actor, reference: str, seconds: int = DEFAULT_SECONDS) -> str:
        """A code for a link by which a user sets a password; the ones before stop working. Admins only."""
        return self._desk.change(
            actor,
            "invite.create",
            "users",
            lambda: self._control.invites.create(reference, seconds),
            thing=lambda code: thing_of(self._control.users.get(reference)),
            named=reference,
            after=lambda code: {"seconds": seconds},
        )

    def withdraw_invite(self, actor: Actor, reference: str) -> User:
        """The link that was made last stops working. Admins only."""
        return self._desk.change(
            actor,
            "invite.withdraw",
            "users",
            lambda: self._control.invites.withdraw(reference),
            thing=thing_of,
            named=reference,
        )

    def link(self, actor: Actor, purpose: Purpose = "login") -> str:
        """A code that logs one browser in as administrator, or makes the first admin. Admins only."""
        return self._desk.change(
            actor,
            "link.create",
            "users",
            lambda: self._control.sessions.create_link(purpose),
            thing=Thing("link", purpose),
        )

    def set_password(self, actor: Actor, reference: str, hashed: str) -> User:
        """Ends all logins of the user. One's own, or, for admins, anybody's."""
        user = self._user(actor, "password.change", reference)
        return self._do(
            actor, "password.change", thing_of(user), lambda: self._set_password(user, hashed), user.id
        )

    def sessions(self, actor: Actor, reference: str = "") -> builtins.list[Session]:
        """One's own; for admins those of any user."""
        user_id = self._user(actor, "session.list", reference).id if reference else actor.user_id
        return self._control.sessions.list(user_id)

    def revoke_session(self, actor: Actor, id_: str) -> Session:
        """One's own; admins end anybody's."""
        found = next((session for session in self._control.sessions.list() if session.id == id_), None)
        if found is None or not self._is_own(actor, found.user_id):
            raise NotFound(f"there is no session {id_!r}")
        return self._do(
            actor,
            "session.revoke",
            Thing("session", found.actor, found.id),
            lambda: self._control.sessions.revoke(id_, found.user_id),
            found.user_id,
        )

    def revoke_sessions(self, actor: Actor, reference: str = "", *, but: str = "") -> int:
        """All of a user, except the one with the cookie `but`; returns how many ended."""
        user = self._user(actor, "session.revoke", reference) if reference else None
        user_id = user.id if user else actor.user_id
        return self._do(
            actor,
            "session.revoke",
            Thing("session", f"all of {user.name if user else actor.name}"),
            lambda: self._control.sessions.revoke_all(user_id, but=but),
            user_id,
        )

    def api_tokens(self, actor: Actor, *, everybody: bool = False) -> builtins.list[ApiToken]:
        """One's own; `everybody`: all, for admins."""
        if everybody and actor.role == "admin":
            return self._control.api_tokens.list()
        return self._control.api_tokens.list(actor.user_id)

    def create_api_token(
        self,
        actor: Actor,
        name: str,
        scope: str = "read",
        lifetime: timedelta | None = None,
        user: str = "",
    ) -> NewApiToken:
        """For oneself; admins also for a user. The text is in what is returned, and nowhere else."""
        user_id = self._user(actor, "apitoken.create", user).id if user else actor.user_id
        made: NewApiToken
        with self._control.database.write():
            made = self._control.api_tokens.create(user_id, name, scope, lifetime)
            refuse_keys(None, made.token)
            about = Thing("api_token", made.token.name, made.token.id)
            self._audit.record(actor, "apitoken.create", about, after=made.token)
        return made

    def revoke_api_token(self, actor: Actor, reference: str) -> ApiToken:
        """One's own; admins also those of others."""
        own = None if actor.role == "admin" else actor.user_id
        try:
            token = self._control.api_tokens.get(reference, actor.user_id)
        except NotFound:
            token = self._control.api_tokens.get(reference, own)
        return self._do(
            actor,
            "apitoken.revoke",
            Thing("api_token", token.name, token.id),
            lambda: self._control.api_tokens.revoke(token.id),
            token.user_id,
        )

    def attempted(self, attempt: Attempt | None, source: str, *, right: bool, detail: str = "") -> None:
        """What came of a login with a password. What was typed in place of a name is not written down."""
        user = attempt.user if attempt else None
        outcome: Outcome = "ok" if right else "failed"
        self.entered(
            user, source, outcome=outcome, detail=detail or ("" if right else "wrong name or password")
        )

    def entered(
        self, user: User | None, source: str, *, outcome: Outcome, detail: str = "", action: str = "login"
    ) -> None:
        """Somebody came in, or did not."""
        role, name = (user.role, user.name) if user else ("viewer", "unknown")
        who = Actor("session", name, role, user.id if user else "", source)
        self._audit.event(
            action, who, thing_of(user) if user else Thing("user"), outcome=outcome, detail=detail
        )

    def accept_invite(self, code: str, hashed: str, source: str) -> User:
        """Sets the password of whoever the code is for."""
        with self._control.database.write():
            user = self._control.invites.redeem(code)
            if user is None:
                raise NotFound("that invite was used before, or is too old; ask an admin for another")
            self._control.accounts.set_password(user.id, hashed)
            actor = Actor("session", user.name, user.role, user.id, source)
            self._audit.record(actor, "invite.use", thing_of(user))
        return user

    def create_first(self, actor: Actor, name: str, email: str, hashed: str, code: str = "") -> User:
        """The first admin. `code` is of a setup link and used up; the local administrator needs none."""
        with self._control.database.write():
            user = self._control.accounts.create_first(name, email, hashed)
            if not code and actor.role != "admin":
                raise Forbidden("only a setup link or the local administrator makes the first admin")
            if code and not self._control.sessions.redeem_link(code, "setup"):
                raise NotFound("that setup link was used before, or is older than an hour")
            refuse_keys(None, user)
            self._audit.record(actor, "setup", thing_of(user), after=user)
        return user

    def _set_password(self, user: User, hashed: str) -> User:
        self._control.accounts.set_password(user.id, hashed)
        return user

    def _user(self, actor: Actor, action: str, reference: str) -> User:
        """Who it is about. Others are not there for those who are no admins."""
        user = self._control.users.find(reference)
        if user is not None and self._is_own(actor, user.id):
            return user
        if actor.role == "admin":
            return self._control.users.get(reference)
        self._desk.denied(actor, action, Thing("user", reference))
        raise NotFound(f"there is no user {reference!r}")

    def _is_own(self, actor: Actor, user_id: str) -> bool:
        return actor.role == "admin" or (bool(actor.user_id) and actor.user_id == user_id)

    def _do[T](self, actor: Actor, action: str, thing: Thing, work: Callable[[], T], user_id: str) -> T:
        if not self._is_own(actor, user_id):
            self._desk.denied(actor, action, thing)
            raise Forbidden(f"{actor.name} ({actor.role}) may not do this ({action})")
        try:
            with self._control.database.write():
                done = work()
                self._audit.record(actor, action, thing)
                return done
        except InterceptError as error:
            self._audit.event(action, actor, thing, outcome="failed", detail=str(error))
            raise
