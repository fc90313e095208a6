"""Users: the list, making and changing them, links by which they set a password, and removing them."""

from typing import Any

from datasette import Response

from llm_dashboard.admin.forms import NAMES, Field, Form, Section, number_of
from llm_dashboard.admin.once import Once
from llm_dashboard.admin.visit import Visit
from llm_dashboard.login import INVITE_PATH
from llm_intercept.manage import Management
from llm_intercept.manage.accounts import Accounts
from llm_intercept.manage.lists import Lists
from llm_intercept.store.users import ROLES, User

PATH = "/-/llm/manage/users"
PAGE = 50
TONES = {"admin": "warn", "member": "good", "viewer": "quiet"}
_BLAME = (("cannot be the name", "name"), ("the name", "name"), ("email", "email"), ("last active", "role"))
_ROLES = (
    ("member", "Member: makes tokens for own projects"),
    ("viewer", "Viewer: sees own tokens and usage"),
    ("admin", "Admin: sees and changes everything"),
)

_invites: Once[tuple[User, str]] = Once()


async def page(visit: Visit) -> Response:
    search, role, after = visit.arg("q"), visit.arg("role"), visit.arg("after")

    def look(m: Management) -> tuple[list[User], dict[str, str]]:
        found = Lists(m.desk).users(visit.actor, search, role, after or None, PAGE + 1)
        return found, {user.id: _login(m, user) for user in found[:PAGE]}

    found, logins = await visit.ask(look)
    return await visit.page(
        "users",
        users=found[:PAGE],
        logins=logins,
        tones=TONES,
        roles=ROLES,
        q=search,
        role=role,
        paging=bool(after),
        next=found[PAGE - 1].name if len(found) > PAGE else "",
    )


def _login(m: Management, user: User) -> str:
    if m.control.accounts.has_password(user.id):
        return "by password"
    return "invited" if m.control.invites.open_for(user.id) else "not yet"


async def new(visit: Visit) -> Response:
    form = Form(_sections(new=True), {"role": "member"})
    if visit.posting:
        form.take(await visit.posted())
        options: dict[str, Any] = {"email": form.text("email") or None, "role": form.text("role")}
        name = form.text("name")
        made = await visit.submit(form, lambda m: m.users.create(visit.actor, name, **options), _BLAME)
        if made is not None:
            return await _invited(visit, made)
    return await visit.form(
        form,
        title="New user",
        about="A person who owns projects and tokens, and may log in here. You get a link for them by "
        "which they choose a password.",
        submit="Create user",
        back=PATH,
        place="Users",
    )


async def edit(visit: Visit) -> Response:
    user, invited = await visit.ask(lambda m: _with_invite(m, visit))
    values = {"email": user.email or "", "role": user.role, "active": "yes" if user.active else ""}
    form = Form(_sections(new=False), values)
    if visit.posting:
        form.take(await visit.posted())
        changes: dict[str, Any] = {
            "email": form.text("email"),
            "role": form.text("role"),
            "active": form.ticked("active"),
        }
        if await visit.submit(form, lambda m: m.users.change(visit.actor, user.id, **changes), _BLAME):
            return visit.to(PATH, f"The user {user.name} is changed, from the next request on.")
    return await visit.form(
        form,
        title=user.name,
        badge=("active", "good") if user.active else ("inactive", "quiet"),
        about=f"Owns {number_of(user.projects, 'project')}, has {number_of(user.tokens, 'working token')}.",
        submit="Save",
        back=PATH,
        place="Users",
        also=[
            (
                "Logins and API tokens",
                "Where the user is logged in, and what programs use; each can be ended.",
                f"{PATH}/{user.id}/logins",
                "Show logins",
            ),
            (
                "Password",
                "A link by which the user chooses a new password; links made before stop working.",
                f"{PATH}/{user.id}/invite",
                "Make a link",
            ),
            *([_withdrawing(user)] if invited else []),
            (
                "Remove",
                "For somebody who owns no project and has no working token.",
                f"{PATH}/{user.id}/delete",
                "Remove user",
            ),
        ],
    )


def _with_invite(m: Management, visit: Visit) -> tuple[User, bool]:
    user = m.users.get(visit.actor, visit.var("id"))
    return user, m.control.invites.open_for(user.id)


def _withdrawing(user: User) -> tuple[str, str, str, str]:
    about = "A link waits for the user. Withdrawn, it leads nowhere; a new one can be made at any time."
    return "Open invite", about, f"{PATH}/{user.id}/withdraw", "Withdraw the link"


async def withdraw(visit: Visit) -> Response:
    user = await visit.ask(lambda m: m.users.get(visit.actor, visit.var("id")))
    if visit.posting:
        await visit.ask(lambda m: Accounts(m.desk).withdraw_invite(visit.actor, user.id))
        return visit.to(PATH, f"The link for {user.name} does not work any more.")
    return await visit.page(
        "confirm",
        title=f"Withdraw the link for {user.name}?",
        sentences=["Whoever has it cannot choose a password any more."],
        button="Withdraw",
        back=f"{PATH}/{user.id}/edit",
        place="Users",
    )


async def invite(visit: Visit) -> Response:
    """Makes a link after it was asked for; shows it once."""
    user = await visit.ask(lambda m: m.users.get(visit.actor, visit.var("id")))
    if visit.posting:
        return await _invited(visit, user)
    return await visit.page(
        "confirm",
        title=f"Make a link for {user.name}?",
        sentences=[
            "Whoever has the link can choose a password for this user, once, within seven days.",
            "Links that were made before stop working.",
        ],
        button="Make the link",
        makes=True,
        back=f"{PATH}/{user.id}/edit",
        place="Users",
    )


async def _invited(visit: Visit, user: User) -> Response:
    code = await visit.ask(lambda m: Accounts(m.desk).invite(visit.actor, user.id))
    return visit.to(f"{PATH}/invited?once={_invites.put(visit.login, (user, code))}")


async def invited(visit: Visit) -> Response:
    """The one page on which the link can be copied."""
    found = _invites.take(visit.login, visit.arg("once"))
    user, code = found or (None, "")
    request = visit.request
    link = f"{request.scheme}://{request.host}{visit.path(INVITE_PATH)}?code={code}"
    return await visit.page("invited", 200 if found else 410, user=user, link=link)


async def delete(visit: Visit) -> Response:
    user = await visit.ask(lambda m: m.users.get(visit.actor, visit.var("id")))
    if visit.posting:
        await visit.ask(lambda m: m.users.delete(visit.actor, user.id))
        return visit.to(PATH, f"The user {user.name} is removed.")
    return await visit.page(
        "confirm",
        title=f"Remove {user.name}?",
        sentences=[
            "The user cannot log in any more. Old calls keep the name; tokens that have ended belong to "
            "nobody.",
            "To keep somebody out for a while, switch the user off instead.",
        ],
        button="Remove",
        back=f"{PATH}/{user.id}/edit",
        place="Users",
    )


def _sections(*, new: bool) -> list[Section]:
    name = Field("name", "Name", help=NAMES, placeholder="ada", required=True)
    email = Field("email", "Email", help="To log in with, if you like.", placeholder="ada@example.com")
    role = Field("role", "Role", "select", options=_ROLES)
    active = Field(
        "active", "Active; when off, nobody logs in as this user and its tokens are refused", "check"
    )
    return [Section("User", [name, email, role] if new else [email, role, active])]
