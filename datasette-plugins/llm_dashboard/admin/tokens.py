"""Tokens: the list, making them, the page on which a secret is shown once, and everything done to one."""

import asyncio
from collections.abc import Sequence

from datasette import Response

from llm_dashboard.admin import policies, token_forms
from llm_dashboard.admin.forms import Form, whole
from llm_dashboard.admin.once import Once
from llm_dashboard.admin.visit import Visit
from llm_intercept import presence
from llm_intercept.manage import Management
from llm_intercept.manage.lists import Lists
from llm_intercept.policy.tokens import parse_duration, parse_lifetime
from llm_intercept.store import token_use
from llm_intercept.store.paging import TokenQuery
from llm_intercept.store.token_use import UsedToken
from llm_intercept.store.tokens import NewToken, Token

PATH = "/-/llm/manage/tokens"
PAGE = 50
STATES = ("active", "suspended", "expired", "revoked", "inactive")
TONES = {
    "active": "good",
    "suspended": "warn",
    "inactive": "quiet",
    "expired": "quiet",
    "exhausted": "warn",
    "revoked": "bad",
}
_FILTERS = ("project", "user", "state", "q")
_NAMED = 20
_SAID = {
    "suspend": "is suspended: it is refused until it is resumed",
    "resume": "is in use again",
}

_secrets: Once[Sequence[NewToken]] = Once()


async def page(visit: Visit) -> Response:
    chosen = {name: visit.arg(name) for name in _FILTERS}
    asked = TokenQuery(chosen["project"], chosen["user"], chosen["state"], chosen["q"])
    created, _, id_ = visit.arg("after").partition("~")

    def look(m: Management) -> tuple[list[Token], list[str]]:
        place = (created, id_) if id_ else None
        found = Lists(m.desk).tokens(visit.actor, asked, place, PAGE + 1)
        return found, [project.name for project in m.projects.list(visit.actor)]

    found, projects = await visit.ask(look)
    shown = found[:PAGE]
    last = shown[-1] if len(found) > PAGE else None
    return await visit.page(
        "tokens",
        tokens=await _used(visit, shown),
        summaries={token.id: policies.summary(token.policy) for token in shown},
        tones=TONES,
        states=STATES,
        projects=projects,
        chosen=chosen,
        filtered=any(chosen.values()),
        paging=bool(id_),
        next=f"{last.created_at}~{last.id}" if last else "",
    )


async def _used(visit: Visit, tokens: Sequence[Token]) -> list[UsedToken]:
    return await asyncio.to_thread(token_use.used, tokens, visit.home.usage_db, visit.home.limits_db)


async def new(visit: Visit) -> Response:
    projects, users = await visit.ask(lambda m: _choices(m, visit))
    longest = await visit.ask(lambda m: m.control.tokens.lifetimes.longest)
    form = Form(token_forms.sections(projects, users, longest), {"project": visit.arg("project")})
    if visit.posting:
        form.take(await visit.posted())
        wanted, count = token_forms.wanted(form), form.read("count", whole)
        project, name = form.text("project"), form.text("name")

        def make(m: Management) -> Sequence[NewToken]:
            if count not in (None, 1):
                return m.tokens.create_many(visit.actor, project, name, count or 0, wanted)
            options = {slot: getattr(wanted, slot) for slot in wanted.__slots__}
            return [m.tokens.create(visit.actor, project, name, **options)]

        made = await visit.submit(form, make, token_forms.BLAME)
        if made is not None:
            return shown_once(visit, made)
    return await visit.form(
        form,
        title="New token",
        about="A token stands in for the providers' keys: whoever has it can make calls in the name of "
        "its project, as far as you let it, until it withers.",
        submit="Create token",
        back=PATH,
        place="Tokens",
    )


def _choices(m: Management, visit: Visit) -> tuple[list[str], list[str]]:
    projects = [project.name for project in m.projects.list(visit.actor)]
    return projects, [user.name for user in m.users.list(visit.actor)]


def shown_once(visit: Visit, made: Sequence[NewToken]) -> Response:
    return visit.to(f"{PATH}/secret?once={_secrets.put(visit.login, made)}")


async def secret(visit: Visit) -> Response:
    """The one page on which it can be copied."""
    made = _secrets.take(visit.login, visit.arg("once"))
    proxy = presence.find(visit.home.path) or visit.stage.proxy
    return await visit.page(
        "secret", 200 if made else 410, made=made or (), proxy=proxy, home=visit.home.path
    )


async def edit(visit: Visit) -> Response:
    token = await _token(visit)
    _, users = await visit.ask(lambda m: _choices(m, visit))
    form = Form(token_forms.changing(users), token_forms.values(token))
    if visit.posting:
        form.take(await visit.posted())
        changes = token_forms.changes(form)
        changed = await visit.submit(
            form, lambda m: m.tokens.change(visit.actor, token.id, **changes), token_forms.BLAME
        )
        if changed is not None:
            return visit.to(
                _path(token, "edit"), f"The token {token.name} is changed, from the next call on."
            )
    (used,) = await _used(visit, [token])
    return await visit.page("token", 400 if form.failed else 200, token=used, form=form, tones=TONES)


async def refresh(visit: Visit) -> Response:
    """A new secret for the same token."""
    token, form = await _token(visit), Form(token_forms.REFRESH)
    if visit.posting:
        form.take(await visit.posted())
        options = {
            "lifetime": form.read("lifetime", parse_lifetime),
            "overlap": form.read("overlap", parse_duration),
        }
        made = await visit.submit(
            form, lambda m: m.tokens.refresh(visit.actor, token.id, **options), token_forms.BLAME
        )
        if made is not None:
            return shown_once(visit, [made])
    return await visit.form(
        form,
        title=f"Refresh {token.name}",
        about="It gets a new secret; its name, restrictions and what it has used stay.",
        submit="Make a new secret",
        back=_path(token, "edit"),
        place="Tokens",
    )


async def switch(visit: Visit) -> Response:
    """Suspend or resume."""
    if not visit.posting:
        return visit.to(PATH)
    action, id_ = visit.var("action"), visit.var("id")

    def work(m: Management) -> Token:
        return (m.tokens.suspend if action == "suspend" else m.tokens.resume)(visit.actor, id_)

    token = await visit.ask(work)
    return visit.to(_path(token, "edit"), f"The token {token.name} {_SAID[action]}.")


async def switch_many(visit: Visit) -> Response:
    """Those that are picked in the list. What is suspended already stays so, and the other way round."""
    if not visit.posting:
        return visit.to(PATH)
    picked, action = list(dict.fromkeys((await visit.posted()).get("id", []))), visit.var("action")

    def work(m: Management) -> list[Token]:
        change = m.tokens.suspend if action == "suspend" else m.tokens.resume
        found = [m.tokens.get(visit.actor, id_) for id_ in picked]
        wanted = [token for token in found if bool(token.suspended_at) != (action == "suspend")]
        return [change(visit.actor, token.id) for token in wanted if token.revoked_at is None]

    done = await visit.ask(work)
    if not done:
        text = f"Nothing to {action} among them." if picked else f"Pick the tokens to {action} first."
        return visit.to(PATH, text, bad=True)
    return visit.to(PATH, f"{_number(done)} {'suspended' if action == 'suspend' else 'in use again'}.")


async def revoke(visit: Visit) -> Response:
    """One from its page, or those that are picked in the list; asked for once more."""
    posted = await visit.posted() if visit.posting else {}
    picked = list(dict.fromkeys(posted.get("id", []))) or [visit.arg("id")]
    found = await visit.ask(lambda m: [m.tokens.get(visit.actor, id_) for id_ in picked if id_])
    live = [token for token in found if token.revoked_at is None]
    if not live:
        text = "It is revoked already." if found else "Pick the tokens to revoke first."
        return visit.to(PATH, text, bad=True)
    if "confirmed" in posted:
        await visit.ask(lambda m: m.tokens.revoke_many(visit.actor, [token.id for token in live]))
        return visit.to(PATH, f"{_number(live)} revoked.")
    return await visit.page(
        "confirm",
        title=f"Revoke {'this token' if len(live) == 1 else f'these {len(live)} tokens'}?",
        names=[f"{token.project} / {token.name} ({token.hint})" for token in live[:_NAMED]],
        more=max(0, len(live) - _NAMED),
        sentences=[
            "It stops with the next call, for good. To stop one for a while, suspend it."
            if len(live) == 1
            else "They stop with the next call, for good."
        ],
        hidden=[("id", token.id) for token in live],
        button="Revoke",
        back=PATH,
        place="Tokens",
    )


def _number(tokens: Sequence[Token]) -> str:
    return f"The token {tokens[0].name} is" if len(tokens) == 1 else f"{len(tokens)} tokens are"


async def _token(visit: Visit) -> Token:
    return await visit.ask(lambda m: m.tokens.get(visit.actor, visit.var("id")))


def _path(token: Token, page: str) -> str:
    return f"{PATH}/{token.id}/{page}"
