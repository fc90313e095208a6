"""Everywhere that a secret could be seen: pages, answers, commands, files, processes, servers of others."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from llm_intercept.cli import main
from tests.dashboard.api.cases import CASES
from tests.live.canary import files
from tests.live.canary_home import Keeper
from tests.live.loopback import Upstream
from tests.live.stack import Process, free_port, get, wait_for

ROLES = ("anonymous", "owner", "admin", "member", "viewer")
_SHOWS = (
    "list",
    "show",
    "show-age",
    "usage",
    "explain",
    "verify",
    "status",
    "check",
    "path",
    "search",
    "tail",
)
_HARMLESS = ("doctor", "usage", "export", "env", "config", "logs", "provider models", "provider test")


def upstreams(keeper: Keeper, served: Mapping[str, Upstream]) -> None:
    for name, server in served.items():
        for request in server.requests:
            body = request.body
            keeper.aviary.look_at(f"upstream {name} head", request.head)
            keeper.aviary.look_at(f"upstream {name} body", body)


def processes(keeper: Keeper, name: str, pid: int) -> None:
    """What other people on this machine see of a process and its children (`ps`), and what it inherited."""
    for process in (pid, *_children(pid)):
        folder = Path("/proc") / str(process)
        keeper.aviary.look_at(f"ps {name}", (folder / "cmdline").read_bytes())
        keeper.aviary.look_at(f"environ {name}", (folder / "environ").read_bytes())


def _children(pid: int) -> Iterator[int]:
    for text in (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split():
        yield int(text)
        yield from _children(int(text))


def home(keeper: Keeper, name: str) -> None:
    """Copied by another process: SQLite loses its locks when its own process closes the file elsewhere."""
    copy = keeper.home.parent / name
    words = ["cp", "-a", f"{keeper.home}/.", str(copy)]
    wait_for(lambda: subprocess.run(words, check=False).returncode == 0, "files come and go all the time")
    for file, data in files(copy):
        keeper.aviary.look_at(f"file {file}", data)


# --- commands


def commands(keeper: Keeper) -> None:
    """Everything that only shows something, as text and as JSON."""
    for words, command in _leaves(main, ()):
        if words[-1] not in _SHOWS and not " ".join(words).startswith(_HARMLESS):
            continue
        if "import-env" in words or "-f" in words:
            continue
        arguments = _arguments(words, command)
        options = {option for one in command.params for option in one.opts}
        for more in ([], ["--json"]) if "--json" in options else ([],):
            keeper.cli(*words, *arguments, *more)


def _leaves(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from _leaves(found, (*path, name))
        elif found is not None:
            yield (*path, name), found


def _arguments(words: tuple[str, ...], command: click.Command) -> list[str]:
    given = {
        "user show": ["member"],
        "project show": ["demo"],
        "token show": ["cli", "--project", "demo"],
        "audit show": ["1"],
        "limit show": ["nothing"],
        "route show": ["canaries"],
        "route explain": ["gpt-4o-mini"],
        "listener show": ["door"],
        "provider models": ["openai"],
        "provider test": ["openai"],
        "export": ["--format", "ndjson"],
        "logs search": ["e"],
    }
    return given.get(" ".join(words), [])


# --- pages and the API


def ids(keeper: Keeper) -> dict[str, str]:
    """What the parameters of paths stand for."""
    calls = keeper.api("admin", "GET", "/usage/recent?limit=200").json()["items"]
    found = {"call": calls[-1]["request_id"], "project": "demo", "route": "canaries", "row": "1"}
    for name in ("users", "tokens", "limits", "credentials"):
        items = keeper.api("admin", "GET", f"/{name}").json()["items"]
        found[name] = items[0]["id"] if items else "nothing"
    return found | {"calls": " ".join(call["request_id"] for call in calls)}


def pages(keeper: Keeper, known: Mapping[str, str]) -> None:
    """Every route of the plugin and Datasette's own pages of the database, for each role."""
    plugin = sys.modules["llm_dashboard"]
    datasette = keeper.visitors["admin"].datasette
    routes = [pattern for pattern, _ in plugin.register_routes(datasette)]
    paths = [path for pattern in routes for path in _paths(pattern, known)]
    tables = [row["name"] for row in _tables(keeper)]
    paths += [f"/usage/{table}{kind}?_size=max" for table in tables for kind in ("", ".json", ".csv")]
    paths += ["/usage", "/-/actor.json", "/-/settings.json", "/-/plugins.json", "/-/databases.json"]
    paths += ["/usage/-/query?sql=select+*+from+requests", "/-/metadata.json", "/-/config.json"]
    for who in ROLES:
        keeper.visitors[who].cookies.pop("ds_messages", None)  # what mistakes have left for the next page
        for path in paths:
            keeper.visit(who, "get", path)


def _tables(keeper: Keeper) -> list[dict[str, Any]]:
    sql = "SELECT name FROM sqlite_master WHERE type = 'table'"
    answer = keeper.visit("admin", "get", "/usage/-/query.json", html=False, params={"sql": sql})
    return list(answer.json()["rows"])


def _paths(pattern: str, known: Mapping[str, str]) -> list[str]:
    """Addresses that a route takes: those of every call, one example for the others."""
    if "/logout" in pattern or ("/api" in pattern and "<rest>" in pattern):
        return []
    values = {"name": "main" if "/keys/" in pattern else "demo", "provider": "openai", "kind": "csv"}
    values |= {"action": "test" if "/keys/" in pattern else "suspend", "scope": "project"}
    values["id"] = next((known[n] for n in ("users", "tokens", "limits") if f"/{n}/" in pattern), "1")
    if "/routes/" in pattern:
        values["name"] = "canaries"
    several = known["calls"].split() if "request_id" in pattern else [""]
    return [_filled(pattern, values | {"request_id": call}) for call in several]


def _filled(pattern: str, values: Mapping[str, str]) -> str:
    bare = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", lambda found: values[found[1]], pattern)
    return bare.strip("^$").replace("\\", "")


def api(keeper: Keeper, known: Mapping[str, str]) -> None:
    """Everything that can be looked at, for each role; and what can go wrong with a body."""
    operations = {one.id: one for one in sys.modules["llm_dashboard.api.operations"].ALL}
    for who in ("owner", "admin", "member", "viewer"):
        for name, case in CASES.items():
            if operations[name].method == "GET":
                keeper.api(who, "GET", re.sub(r"\{(\w+)\}", lambda f: _known(f[1], known), case.path))
    for name in ("tokens", "credentials", "users", "projects"):
        for found in _every(keeper, name):
            keeper.api("admin", "GET", f"/{name}/{found}")
    for name in ("csv", "json", "ndjson"):
        keeper.api("admin", "GET", f"/usage/export?format={name}")
        keeper.api("admin", "GET", f"/audit/export?format={name}")


def _known(name: str, known: Mapping[str, str]) -> str:
    return {"request": known["call"], "row": "1"}.get(name, known["users"])


def _every(keeper: Keeper, name: str) -> list[str]:
    return [one["id"] for one in keeper.api("admin", "GET", f"/{name}?limit=200").json()["items"]]


def signing_on(keeper: Keeper) -> None:
    """At a provider that repeats the client's secret."""
    begun = keeper.visit("anonymous", "get", "/-/llm/oidc/start")
    state = re.search(r"state=([^&]+)", begun.headers["location"])
    assert state is not None
    keeper.visit("anonymous", "get", f"/-/llm/oidc/callback?code=c&state={state[1]}")


# --- what runs, and what is taken away


def everything_up(keeper: Keeper, environ: Mapping[str, str]) -> None:
    """`up`: what it, the proxy and the dashboard write on the terminal, with people coming in."""
    port, dashboard = free_port(), free_port()
    words = ["up", "--port", str(port), "--dashboard-port", str(dashboard)]
    log = keeper.home.parent / "up.log"
    process = Process([sys.executable, "-m", "llm_intercept.cli", *words], dict(environ), log)
    process.start()
    try:
        wait_for(lambda: get(f"http://127.0.0.1:{port}/ready")[0] == 200, "the proxy is not ready")
        wait_for(lambda: get(f"http://127.0.0.1:{dashboard}/-/llm/login")[0] == 200, "no dashboard")
        _come_in(keeper, f"http://127.0.0.1:{dashboard}")
        _run(keeper, {**environ, "LLM_INTERCEPT_PORT": str(port)})
        assert process.popen is not None
        processes(keeper, "up", process.popen.pid)
        keeper.aviary.look_at("metrics", get(f"http://127.0.0.1:{port}/metrics")[1])
        keeper.aviary.look_at("health", get(f"http://127.0.0.1:{port}/health")[1])
    finally:
        process.stop(signal.SIGTERM)
    keeper.aviary.look_at("terminal up", log.read_bytes())


def _come_in(keeper: Keeper, url: str) -> None:
    """Links in addresses, which a server would write into its access log."""
    with keeper.control() as control:
        login = keeper.aviary.keep("link.over http", control.sessions.create_link())
        invite = keeper.aviary.keep("link.invite over http", control.invites.create("viewer"))
    for path in (f"login?code={login}", f"invite?code={invite}", f"setup?code={login}"):
        get(f"{url}/-/llm/{path}")
    get(f"{url}/-/api/users", {"authorization": f"Bearer {keeper.bearers['viewer']}"})
    get(f"{url}/", {"cookie": f"llm_intercept_session={keeper.aviary.canaries['cookie.viewer']}"})
    get(f"{url}/-/api/users?token={keeper.bearers['viewer']}")
    for path in (
        "nothing",
        "usage/nothing",
        "usage/-/query?sql=nothing",
        "-/llm/requests/nothing",
        "usage.json",
    ):
        _fail(keeper, f"{url}/{path}")


def _run(keeper: Keeper, environ: Mapping[str, str]) -> None:
    """A program by `run`, with a token made for it: what is printed, and how it goes on without it."""
    kept = keeper.home.parent / "variables.json"
    program = f"import json, os; json.dump(dict(os.environ), open({str(kept)!r}, 'w'))"
    words = [sys.executable, "-m", "llm_intercept.cli", "run", "--project", "demo", "--"]
    done = subprocess.run(
        [*words, sys.executable, "-c", program],
        env=dict(environ),
        capture_output=True,
        check=True,
        timeout=90,
    )
    given = urlsplit(json.loads(kept.read_text())["HTTPS_PROXY"]).password
    keeper.aviary.keep("token.run", str(given))
    keeper.aviary.look_at("terminal run", done.stdout + done.stderr)


def _fail(keeper: Keeper, url: str) -> None:
    """Pages that end with an exception, with secrets in their local variables."""
    cookie = f"llm_intercept_session={keeper.aviary.canaries['cookie.admin']}"
    body = f"name=admin&password={keeper.aviary.canaries['password.admin']}".encode()
    for data in (None, body):
        asked = urllib.request.Request(url, data, {"cookie": cookie, "origin": "http://127.0.0.1:1"})
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(asked, timeout=30).close()


def archives(keeper: Keeper) -> None:
    """Backups and the export of a project, in a folder of their own."""
    folder = keeper.home.parent / "taken"
    folder.mkdir(exist_ok=True)
    secret = {"PASSPHRASE": keeper.aviary.new("passphrase")}
    keeper.cli("backup", str(folder / "plain.tar"))
    keeper.cli(
        "backup", str(folder / "sealed.tar"), "--with-secrets", "--passphrase-env", "PASSPHRASE", env=secret
    )
    keeper.cli(
        "restore", str(folder / "sealed.tar"), "--home", str(folder / "wrong"), env={"PASSPHRASE": "x"}
    )
    keeper.cli("project", "export", "demo", str(folder / "project"))
    phrase = keeper.aviary.new("passphrase.api")
    keeper.api("admin", "POST", "/maintenance/backups", {"passphrase": phrase})
    keeper.api("admin", "POST", "/maintenance/backups", {"passphrase": [phrase]})
    for name, data in files(folder):
        keeper.aviary.look_at(f"archive {name}", data)
