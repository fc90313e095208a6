"""What is left for somebody: every limit that calls with the person's own tokens count against."""

from collections.abc import Iterator, Mapping

from llm_intercept.manage.limit_usage import UsageLine, line_of
from llm_intercept.policy.actor import Actor
from llm_intercept.policy.limits import Applied, Limit, LimitBook, Parties, StoredLimit
from llm_intercept.policy.windows import Counter
from llm_intercept.store.control import Control
from llm_intercept.store.scopes import scope_of
from llm_intercept.store.tokens import Token

_AT_ITS_END = ("revoked", "expired")


def quota(control: Control, counters: Mapping[str, Counter], actor: Actor, now: float) -> list[UsageLine]:
    """Those for everybody first, then by user, project and token.

    What counts by address, model, provider or listener depends on the call and is not among them.
    """
    tokens = [
        token
        for token in (control.tokens.list(user_id=actor.user_id) if actor.user_id else [])
        if token.state not in _AT_ITS_END
    ]
    applied = {found.key: found for found in _applied(control, actor, tokens)}
    lines = []
    for key, found in applied.items():
        counter = counters.get(key) or Counter()
        counter.expire(now)
        lines.append(line_of(found.stored.id, found.limit, found.member, counter, now))
    return lines


def _applied(control: Control, actor: Actor, tokens: list[Token]) -> Iterator[Applied]:
    book = LimitBook(control.limits.active())
    for parties in _parties(control, actor, tokens):
        yield from book.applicable(parties)
    for token in tokens:
        if token.max_requests is not None:
            name = f"{token.project}/{token.name}"
            limit = Limit(scope="token", name=name, measure="requests", amount=token.max_requests)
            yield Applied(StoredLimit(token.id, limit), "")


def _parties(control: Control, actor: Actor, tokens: list[Token]) -> Iterator[Parties]:
    user = control.users.find(actor.user_id) if actor.user_id else None
    yield Parties(user=user.name if user else "")
    # An admin's own projects, like anybody's: what is left is about oneself.
    for project in sorted(scope_of(control.database, "member", actor.user_id).projects):
        yield Parties(project=project)
    for token in tokens:
        yield Parties(project=token.project, token=f"{token.project}/{token.name}")
