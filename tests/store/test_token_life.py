"""The life of tokens, as stored and as judged by two proxies of one home, against a slow obvious model."""

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from llm_intercept.admit import quota_of
from llm_intercept.engine.admission import Actual, Admission, Reservation
from llm_intercept.engine.thresholds import Thresholds
from llm_intercept.errors import Conflict
from llm_intercept.home import Home
from llm_intercept.policy.tokens import Valid
from llm_intercept.store.control import Control
from llm_intercept.store.token_use import used
from llm_intercept.vault import Vault

HOURS = st.integers(1, 5)
NAMES = {
    "Valid": "works",
    "Unknown": "unknown",
    "Revoked": "revoked",
    "Expired": "expired",
    "Suspended": "suspended",
    "Inactive": "project off",
    "UserInactive": "user off",
}


@dataclass
class Secret:
    """`until` is what it was made for; a former one may end before its token."""

    text: str
    until: float | None
    former: bool = False
    gone: bool = False


@dataclass
class Model:
    id: str
    secrets: list[Secret] = field(default_factory=list)
    owned: bool = False
    limit: int | None = None
    made_for: int | None = None  # hours
    taken: int = 0
    revoked: bool = False
    suspended: bool = False

    @property
    def present(self) -> Secret:
        return self.secrets[-1]


class TokenLife(RuleBasedStateMachine):
    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.home = Home(self.folder)
        self.home.ensure()
        self.now = 1_795_000_000.0
        vault = Vault.load(self.home.secret_key, {})
        self.command, *self.proxies = (
            Control(self.home.control_db, vault, clock=lambda: self.now) for _ in range(3)
        )
        self.command.users.create("ada")
        self.admission = Admission(
            self.home.limits_db, self.home.leases, Thresholds(lambda event: None), now=lambda: self.now
        )
        self.known: list[Model] = []
        self.project_on = self.user_on = True

    def teardown(self) -> None:
        self.admission.close()
        for control in (self.command, *self.proxies):
            control.close()
        shutil.rmtree(self.folder)

    @rule(target=tokens, hours=st.none() | HOURS, limit=st.none() | st.integers(1, 4), owned=st.booleans())
    def create(self, hours: int | None, limit: int | None, owned: bool) -> Model:
        made = self.command.tokens.create(
            "default",
            f"t{len(self.known)}",
            user="ada" if owned else "",
            lifetime=timedelta(hours=hours) if hours else None,
            max_requests=limit,
        )
        model = Model(made.token.id, [Secret(made.text, self._after(hours))], owned, limit, hours)
        self.known.append(model)
        return model

    @rule(model=tokens)
    def suspend(self, model: Model) -> None:
        if model.revoked:  # for good
            with pytest.raises(Conflict):
                self.command.tokens.suspend(model.id)
            return
        self.command.tokens.suspend(model.id)
        model.suspended = True

    @rule(model=tokens)
    def resume(self, model: Model) -> None:
        if model.revoked:  # for good
            with pytest.raises(Conflict):
                self.command.tokens.resume(model.id)
            return
        self.command.tokens.resume(model.id)
        model.suspended = False

    @rule(model=tokens)
    def revoke(self, model: Model) -> None:
        self.command.tokens.revoke(model.id)
        model.revoked = True

    @rule(model=tokens, limit=st.integers(0, 5))
    def change_limit(self, model: Model, limit: int) -> None:
        self.command.tokens.change(model.id, max_requests=limit)
        model.limit = limit or None

    @rule(model=tokens, hours=st.none() | HOURS, overlap=st.none() | HOURS)
    def refresh(self, model: Model, hours: int | None, overlap: int | None) -> None:
        try:
            made = self.command.tokens.refresh(
                model.id,
                lifetime=timedelta(hours=hours) if hours else None,
                overlap=timedelta(hours=overlap) if overlap else None,
            )
        except Conflict:
            assert model.revoked
            return
        assert not model.revoked
        for secret in model.secrets if overlap is None else ():
            secret.gone = True
        old = model.present
        old.former = True
        if overlap is not None:
            old.until = min(self._after(overlap) or 0.0, old.until or float("inf"))
        model.made_for = hours or model.made_for
        model.secrets.append(Secret(made.text, self._after(model.made_for)))

    @rule(on=st.booleans())
    def switch_project(self, on: bool) -> None:
        self.command.projects.set_active("default", on)
        self.project_on = on

    @rule(on=st.booleans())
    def switch_user(self, on: bool) -> None:
        self.command.users.change("ada", active=on)
        self.user_on = on

    @rule(hours=st.integers(1, 3))
    def wait(self, hours: int) -> None:
        self.now += 3600 * hours

    @rule(model=tokens, which=st.integers(0, 3), proxy=st.integers(0, 1), calls=st.integers(1, 3))
    def use(self, model: Model, which: int, proxy: int, calls: int) -> None:
        """By any of its secrets, several at once: exactly as many as are left are let through."""
        control = self.proxies[proxy]
        control.refresh()
        state = control.token(model.secrets[which % len(model.secrets)].text, self.now)
        if not isinstance(state, Valid):
            return
        quota = quota_of(state.principal)
        assert (quota is None) == (model.limit is None)
        if quota is None or model.limit is None:
            return
        found = [self.admission.reserve(f"c{number}", [quota], None) for number in range(calls)]
        admitted = [each for each in found if isinstance(each, Reservation)]
        assert len(admitted) == max(0, min(calls, model.limit - model.taken))
        model.taken += len(admitted)
        for reservation in admitted:
            self.admission.settle(reservation, Actual(1))
        self.admission.flush()

    @invariant()
    def every_proxy_judges_every_secret_as_the_model_does(self) -> None:
        for control in self.proxies:
            control.refresh()
            for model in self.known:
                for secret in model.secrets:
                    state = control.token(secret.text, self.now)
                    assert NAMES[type(state).__name__] in self._expected(model, secret)

    @invariant()
    def what_is_shown_is_what_is_judged(self) -> None:
        shown = used(self.command.tokens.list(), self.home.usage_db, self.home.limits_db)
        assert [token.id for token in shown] == [model.id for model in self.known]
        for token, model in zip(shown, self.known, strict=True):
            (expected,) = self._expected(model, model.present)
            if expected == "works" and model.limit is not None and model.taken >= model.limit:
                expected = "exhausted"
            words = {"works": "active", "project off": "inactive", "user off": "inactive"}
            assert token.state == words.get(expected, expected)
            left = None if model.limit is None else max(0, model.limit - model.taken)
            assert token.remaining == left

    def _after(self, hours: int | None) -> float | None:
        return None if hours is None else self.now + 3600 * hours

    def _expected(self, model: Model, secret: Secret) -> set[str]:
        ends = [end for end in (secret.until, model.present.until) if end is not None]
        over = any(end <= self.now for end in ends)
        if secret.gone:
            return {"unknown"}
        if secret.former and over:
            return {"unknown", "expired", "revoked"} if model.revoked else {"unknown", "expired"}
        if model.revoked:
            return {"revoked"}
        if over:
            return {"expired"}
        if model.suspended:
            return {"suspended"}
        if not self.project_on:
            return {"project off"}
        return {"user off"} if model.owned and not self.user_on else {"works"}


TestTokenLife = TokenLife.TestCase
TestTokenLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
