"""Everything that a person can change in `control.db`: what commands, the management API and pages share.

Each change checks the actor's right, is carried out by `store/` and leaves one row in the audit log, in one
transaction. Lists hold what the actor may see, and reading leaves no row.
"""

import time
from collections.abc import Callable

from llm_intercept.auditfile import AuditFile
from llm_intercept.home import Home
from llm_intercept.manage.aliases import Aliases
from llm_intercept.manage.breakers import Breakers
from llm_intercept.manage.cache import Cache
from llm_intercept.manage.desk import Desk
from llm_intercept.manage.failures import Failures
from llm_intercept.manage.keys import Keys
from llm_intercept.manage.limits import Limits
from llm_intercept.manage.listeners import Listeners
from llm_intercept.manage.projects import Projects
from llm_intercept.manage.routes import Routes
from llm_intercept.manage.tokens import Tokens
from llm_intercept.manage.trail import Trail
from llm_intercept.manage.users import Users
from llm_intercept.policy.actor import Actor
from llm_intercept.providers import Registry
from llm_intercept.settings import Settings
from llm_intercept.store.audit import Audit
from llm_intercept.store.control import Control

__all__ = ["Actor", "Management"]


class Management:
    """One for each process with an open `control.db`, used in the thread that opened it."""

    def __init__(
        self,
        control: Control,
        audit: Audit,
        registry: Registry,
        settings: Settings,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.control = control
        self.audit = audit
        if audit.sink is None:
            audit.sink = AuditFile(Home(control.path.parent).logs, settings.log)
        self.registry = registry
        self.settings = settings
        control.tokens.lifetimes = settings.tokens.lifetimes()
        self.now = now
        self.desk = Desk(control, audit)
        self.trail = Trail(self.desk)
        self.users = Users(self.desk)
        self.projects = Projects(self.desk)
        self.tokens = Tokens(self.desk)
        self.keys = Keys(self.desk, registry)
        self.routes = Routes(self.desk)
        self.breakers = Breakers(self.desk)
        self.listeners = Listeners(self.desk, registry)
        self.limits = Limits(self.desk)
        self.failures = Failures(self.desk)
        self.aliases = Aliases(self.desk, registry, settings)
        self.cache = Cache(self.desk, now)
