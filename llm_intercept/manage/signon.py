"""People whom an OpenID provider vouches for: let in, made or refused, as settings say."""

from llm_intercept.errors import Conflict
from llm_intercept.manage.accounts import Accounts, thing_of
from llm_intercept.manage.desk import Desk
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.oidc import Identity, SignOnError
from llm_intercept.settings.login import OidcSettings
from llm_intercept.store.users import User

_REFUSED = "You are known to the provider, but not here. Ask an admin to make you a user."


class SignOn:
    """Everything that changes is in the audit log, by the system."""

    def __init__(self, desk: Desk) -> None:
        self._control = desk.control
        self._audit = desk.audit
        self._accounts = Accounts(desk)

    def admit(self, identity: Identity, settings: OidcSettings, source: str) -> User:
        """The user behind an identity; SignOnError if there is to be none."""
        actor = Actor("system", "single sign-on", "admin", source=source)
        with self._control.database.write():
            user = self._known(identity, actor)
            if user is None and settings.create:
                user = self._made(identity, settings, actor)
            if user is not None and user.active:
                user = self._with_role(user, identity, actor)
        if user is None or not user.active:
            why = "inactive" if user else "not known here"
            self._accounts.entered(user, source, outcome="denied", detail=f"single sign-on: {why}")
            raise SignOnError(_REFUSED if user is None else "This user is switched off. Ask an admin.")
        self._accounts.entered(user, source, outcome="ok", detail="single sign-on")
        return user

    def _known(self, identity: Identity, actor: Actor) -> User | None:
        """By the subject; the first time by an address that the provider has verified."""
        accounts = self._control.accounts
        found = accounts.identified(identity.issuer, identity.subject)
        if found is not None or not identity.email:
            return found
        user = self._control.users.find(identity.email)
        if user is None or (user.email or "").lower() != identity.email.lower():
            return None
        accounts.identify(identity.issuer, identity.subject, user.id)
        self._audit.record(actor, "user.identify", thing_of(user), after={"issuer": identity.issuer})
        return user

    def _made(self, identity: Identity, settings: OidcSettings, actor: Actor) -> User:
        users = self._control.users
        names = (identity.name, *(f"{identity.name}-{number}" for number in range(2, 1000)))
        free = next(name for name in names if users.find(name) is None)
        user = self._control.accounts.create_identified(
            identity.issuer,
            identity.subject,
            free,
            identity.email or None,
            identity.role or settings.role,
        )
        self._audit.record(actor, "user.create", thing_of(user), after=user)
        return user

    def _with_role(self, user: User, identity: Identity, actor: Actor) -> User:
        if identity.role is None or identity.role == user.role:
            return user
        try:
            changed = self._control.users.change(user.id, role=identity.role)
        except Conflict:  # the last active admin stays one, whatever the provider says
            return user
        self._audit.record(actor, "user.change", thing_of(user), before=user, after=changed)
        return changed
