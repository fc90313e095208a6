"""What is done to listeners; the list is the page of listeners."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from datasette import Response

from llm_dashboard.admin.forms import NAMES, STORED_ANSWERS, Field, Form, Section, plain_options, whole
from llm_dashboard.admin.visit import Visit
from llm_intercept import presence
from llm_intercept.cli.ports import is_free
from llm_intercept.errors import ConfigError
from llm_intercept.manage import Management
from llm_intercept.policy import listeners as rules
from llm_intercept.store.listeners import Listener

PATH = "/-/llm/listeners"
ANSWERS_S = 3.0
_LOOKS_S = 0.05
_BLAME = (
    ("name of a listener", "name"),
    ("a listener named", "name"),
    ("port", "port"),
    ("mode of a listener", "mode"),
    ("cannot be listened on", "host"),
    ("provider", "provider"),
    ("URL", "mode"),
    ("local needs", "mode"),
    ("cache answers", "cache"),
)
_AUTH = (("", "As in settings"), ("required", "Every call needs a token"), ("open", "Calls may come without"))
_CACHE = (("", "As the project or settings say"), *STORED_ANSWERS)


async def new(visit: Visit) -> Response:
    start = {"mode": "regular", "host": "127.0.0.1", "start": "yes"}
    form = Form(await _sections(visit), start)
    if visit.posting:
        form.take(await visit.posted())
        options = _options(form)
        made = await visit.submit(form, lambda m: _create(m, visit, form, options), _BLAME)
        if made is not None and form.ticked("start"):
            return visit.to(PATH, await _started(visit, made.name))
        if made is not None:
            return visit.to(PATH, f"The listener {made.name} is made. It is stopped.")
    return await visit.form(
        form,
        title="New listener",
        about="One more port of the running proxy, with a project, a provider and rules for tokens of its "
        "own. Calls that come by it are counted under its name.",
        submit="Create listener",
        back=PATH,
        place="Listeners",
    )


async def edit(visit: Visit) -> Response:
    """Its defaults at any time; its name and where it listens while it is stopped."""
    listener = await visit.ask(lambda m: m.listeners.get(visit.actor, visit.var("name")))
    form = Form(await _sections(visit, listener), _values(listener))
    if visit.posting:
        form.take(await visit.posted())
        options = _options(form) if not listener.running else _defaults(form)
        changed = await visit.submit(form, lambda m: _change(m, visit, listener, form, options), _BLAME)
        if changed is not None:
            return visit.to(PATH, f"The listener {changed.name} is changed, from the next call on.")
    where = f"port {listener.port}" if listener.port else listener.mode
    return await visit.form(
        form,
        title=listener.name,
        badge=("in use", "good") if listener.running else ("stopped", "quiet"),
        about=f"On {where}. Its name and where it listens can be changed only while it is stopped."
        if listener.running
        else f"On {where}.",
        submit="Save",
        back=PATH,
        place="Listeners",
    )


async def switch(visit: Visit) -> Response:
    """Start or stop."""
    if not visit.posting:
        return visit.to(PATH)
    name = visit.var("name")
    if visit.var("action") == "start":
        return visit.to(PATH, await _started(visit, name))
    alive = presence.find(visit.home.path) is not None
    await visit.ask(lambda m: m.listeners.stop(visit.actor, name, alive=alive))
    listener = await _answered(visit, name, "stopped")
    if listener.state == "running":
        return visit.to(PATH, f"The proxy has not stopped {name} yet.", bad=True)
    return visit.to(PATH, f"The listener {name} is stopped; calls under way go on to their end.")


async def delete(visit: Visit) -> Response:
    listener = await visit.ask(lambda m: m.listeners.get(visit.actor, visit.var("name")))
    if visit.posting:
        await visit.ask(lambda m: m.listeners.delete(visit.actor, listener.name))
        return visit.to(PATH, f"The listener {listener.name} is deleted.")
    return await visit.page(
        "confirm",
        title=f"Delete the listener {listener.name}?",
        sentences=[
            f"Nothing listens on port {listener.port} any more; clients that use it cannot connect."
            if listener.port
            else "Programs are not captured any more.",
            "Old calls keep its name. Failures that are simulated for it are forgotten with it.",
        ],
        button="Delete",
        back=PATH,
        place="Listeners",
    )


async def _sections(visit: Visit, made: Listener | None = None) -> list[Section]:
    projects = await visit.ask(lambda m: [project.name for project in m.projects.list(visit.actor)])
    providers = sorted(visit.stage.registry.providers)
    port = "Empty: the first that is free." if made is None else "Empty: as it is."
    place = Section(
        "Listener",
        (
            Field("name", "Name", help=NAMES, placeholder="team-a", required=True),
            Field("port", "Port", "number", port, placeholder="8101"),
            Field("mode", "Mode", help=f"One of {rules.FORMS}."),
            Field("host", "Address", help="Off this machine every call needs a token."),
        ),
    )
    start = () if made is not None else (Field("start", "Start it as well", "check"),)
    return [
        *(() if made is not None and made.running else (place,)),
        Section(
            "Its defaults",
            (
                Field("project", "Project", "select", "For calls without a token.",
                      options=plain_options(projects, "None of its own")),
                Field("provider", "Provider", "select", "For calls whose path names none.",
                      options=plain_options(providers, "Any")),
                Field("auth", "Tokens", "select", options=_AUTH),
                Field("cache", "Stored answers", "select", "Goes before what the project says.", _CACHE),
                *start,
            ),
        ),
    ]  # fmt: skip


def _values(listener: Listener) -> dict[str, str]:
    names = ("name", "mode", "host", "provider", "project", "auth", "cache")
    return {name: getattr(listener, name) for name in names} | {"port": str(listener.port or "")}


def _options(form: Form) -> dict[str, Any]:
    return {
        "port": form.read("port", whole),
        "mode": form.text("mode") or "regular",
        "host": form.text("host") or "127.0.0.1",
        **_defaults(form),
    }


def _defaults(form: Form) -> dict[str, Any]:
    return {
        "provider": form.text("provider"),
        "project": form.text("project"),
        "auth": form.text("auth"),
        "cache": form.text("cache"),
    }


def _create(m: Management, visit: Visit, form: Form, options: dict[str, Any]) -> Listener:
    mode = rules.parse(options["mode"])
    return m.listeners.create(
        visit.actor,
        form.text("name"),
        is_free=lambda port: is_free(options["host"], port, udp=mode.transport == "udp"),
        reserved=_reserved(m, visit),
        **options,
    )


def _change(m: Management, visit: Visit, listener: Listener, form: Form, options: dict[str, Any]) -> Listener:
    return m.listeners.change(
        visit.actor,
        listener.name,
        is_free_at=lambda host, port, udp: is_free(host, port, udp=udp),
        reserved=_reserved(m, visit),
        new_name=form.text("name") or None,
        **options,
    )


def _reserved(m: Management, visit: Visit) -> dict[int, str]:
    """Ports of our own, as settings and the running processes have them."""
    found = {m.settings.dashboard.port: "the dashboard", m.settings.port: "the proxy itself"}
    here = visit.request.scope.get("server") or ("", None)
    actual = urlsplit(presence.find(visit.home.path) or visit.stage.proxy).port
    found |= {here[1]: "the dashboard"} if here[1] else {}
    return found | ({actual: "the proxy itself"} if actual else {})


async def _started(visit: Visit, name: str) -> str:
    """Sentence about what came of it; the list says why where nothing did."""
    await visit.ask(lambda m: m.listeners.start(visit.actor, name))
    if presence.find(visit.home.path) is None:
        return f"No proxy is running: {name} starts with the next one."
    listener = await _answered(visit, name, "running")
    if listener.state == "error":
        raise ConfigError(f"{name} could not be started: {listener.problem}")
    return f"The listener {name} is {'running' if listener.state == 'running' else 'starting'}."


async def _answered(visit: Visit, name: str, wanted: str) -> Listener:
    """As the proxy reports it, once it has; as it stands after a few seconds otherwise."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ANSWERS_S
    listener = await visit.ask(lambda m: m.listeners.get(visit.actor, name))
    while listener.state not in (wanted, "error") and loop.time() < deadline:
        if presence.find(visit.home.path) is None:
            break
        await asyncio.sleep(_LOOKS_S)
        listener = await visit.ask(lambda m: m.listeners.get(visit.actor, name))
    return listener
