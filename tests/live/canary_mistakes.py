"""People who put a secret where something else belongs: by the API, by pages, by commands, into files.

Two secrets, one with the shape of a key and one without any; `{key}` and `{word}` stand for them, and
`{pass}` for a password in an address.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.live.canary_home import Keeper

ROUTE = {"name": "mistaken", "targets": ["openai/"]}
_LIMIT = {"scope": "model", "name": "gpt-4o", "measure": "requests", "amount": 5}


def _override(name: str, value: object) -> dict[str, Any]:
    return {"route": {**ROUTE, "targets": [{"provider": "openai", "overrides": {name: value}}]}}


# Each is sent once with `{key}` and once with `{word}` in the place of `{...}`.
BODIES: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/projects", {"name": "{key}"}),
    ("POST", "/projects", {"name": "mistaken", "owner": "{key}"}),
    ("POST", "/projects", {"name": "mistaken", "{key}": True}),
    ("POST", "/projects", {"name": "mistaken", "hangup": "{key}"}),
    ("POST", "/projects", {"name": "mistaken", "policy": {"models": ["{key}"]}}),
    ("POST", "/projects", {"name": "mistaken", "policy": {"ips": ["{key}"]}}),
    ("POST", "/projects", {"name": "mistaken", "policy": {"origins": ["https://me:{pass}@app.example"]}}),
    ("POST", "/projects", {"name": "mistaken", "policy": {"parameters": {"{key}": {"max": 1}}}}),
    ("POST", "/projects", {"name": "mistaken", "policy": {"parameters": {"model": ["{key}"]}}}),
    ("PATCH", "/projects/demo", {"policy": {"endpoints": ["{key}"]}}),
    ("POST", "/tokens", {"project": "demo", "name": "{key}"}),
    ("POST", "/tokens", {"project": "{key}", "name": "mistaken"}),
    ("POST", "/tokens", {"project": "demo", "name": "mistaken", "user": "{key}"}),
    ("POST", "/tokens", {"project": "demo", "name": "mistaken", "expires": "{key}"}),
    ("POST", "/tokens", {"project": "demo", "name": "mistaken", "max_requests": "{key}"}),
    ("POST", "/tokens/batch", {"project": "demo", "name": "{key}", "count": 2}),
    ("POST", "/tokens/revoke", {"tokens": ["{key}"]}),
    ("POST", "/tokens/{key}/refresh", {}),
    ("POST", "/users", {"name": "{key}"}),
    ("POST", "/users", {"name": "mistaken", "email": "{key}@example.com"}),
    ("POST", "/users", {"name": "mistaken", "role": "{key}"}),
    ("POST", "/users/{key}/invite", {}),
    ("POST", "/api-tokens", {"name": "{key}"}),
    ("POST", "/api-tokens", {"name": "mistaken", "scope": "{key}"}),
    ("POST", "/credentials", {"provider": "openai", "name": "{key}", "key": "sk-right-0123456789"}),
    ("POST", "/credentials", {"provider": "{key}", "name": "mistaken", "key": "sk-right-0123456789"}),
    ("POST", "/credentials", {"provider": "openai", "name": "mistaken", "key": "sk-x", "pool": "{key}"}),
    ("POST", "/credentials", {"provider": "openai", "name": "mistaken", "key": ["{key}"]}),
    ("POST", "/credentials", {"provider": "openai", "name": "mistaken", "secret": "{key}"}),
    *(
        (method, path, {"provider": "openai", "name": "mistaken", "key": "sk-x", "base_url": url})
        for method, path in (("POST", "/credentials"), ("POST", "/credentials/test"))
        for url in (
            "https://me:{pass}@127.0.0.1:9/v1",
            "http://127.0.0.1:9/v1?key={key}",
            "http://127.0.0.1:9/{key}",
            "{key}",
        )
    ),
    ("POST", "/limits", {**_LIMIT, "name": "{key}"}),
    ("POST", "/limits", {**_LIMIT, "amount": "{key}"}),
    ("POST", "/limits", {**_LIMIT, "timezone": "{key}"}),
    ("POST", "/limits", {**_LIMIT, "{key}": 1}),
    ("POST", "/routes", {"route": {**ROUTE, "name": "{key}"}}),
    ("POST", "/routes", {"route": {**ROUTE, "targets": ["{key}"]}}),
    ("POST", "/routes", {"route": {**ROUTE, "targets": ["openai/{key}"]}}),
    ("POST", "/routes", {"route": {**ROUTE, "match": {"models": ["{key}"]}}}),
    ("POST", "/routes", {"route": {**ROUTE, "match": {"{key}": True}}}),
    ("POST", "/routes", _override("extra_headers", {"authorization": "Bearer {key}"})),
    ("POST", "/routes", _override("extra_headers", {"x-api-key": "{key}"})),
    ("POST", "/routes", _override("api_key", "{key}")),
    ("POST", "/routes", _override("tools", [{"type": "mcp", "authorization": "{key}"}])),
    ("POST", "/routes", _override("server_url", "https://me:{pass}@tools.example/")),
    ("POST", "/routes", _override("{key}", 1)),
    ("PUT", "/routes/mistaken", {**ROUTE, "targets": [{"provider": "openai", "overrides": {"x": "{key}"}}]}),
    ("POST", "/routes/explain", {"model": "{key}", "project": "demo"}),
    ("PUT", "/aliases", {"name": "{key}", "target": "openai/gpt-5"}),
    ("PUT", "/aliases", {"name": "mistaken", "target": "{key}"}),
    ("PUT", "/aliases", {"name": "mistaken", "target": "openai/{key}"}),
    ("POST", "/listeners", {"name": "{key}"}),
    ("POST", "/listeners", {"name": "mistaken", "provider": "{key}"}),
    ("POST", "/listeners", {"name": "mistaken", "mode": "upstream:http://me:{pass}@127.0.0.1:9"}),
    ("POST", "/listeners", {"name": "mistaken", "mode": "reverse:https://127.0.0.1:9/?key={key}"}),
    ("POST", "/listeners", {"name": "mistaken", "mode": "{key}"}),
    ("POST", "/listeners", {"name": "mistaken", "mode": "local:{key}"}),
    ("PATCH", "/listeners/{key}", {"provider": "{key}"}),
    ("PATCH", "/listeners/mistaken", {"mode": "upstream:http://me:{pass}@127.0.0.1:9"}),
    ("PUT", "/failures/project/demo", {"ip_filtering": {"block": ["{key}"]}}),
    ("PUT", "/failures/project/demo", {"{key}": {"enabled": True}}),
    ("PUT", "/failures/project/{key}", {"seed": 1}),
    ("POST", "/breakers/reset", {"provider": "{key}"}),
    ("POST", "/import/users", {"rows": [{"name": "{key}"}, {"name": "mistaken", "email": "{key}"}]}),
    ("POST", "/import/users", {"rows": [{"name": "mistaken", "password": "{key}"}]}),
    ("POST", "/import/projects", {"rows": [{"name": "mistaken", "policy": {"ips": ["{key}"]}}]}),
    ("POST", "/import/tokens", {"rows": [{"project": "demo", "name": "{key}", "expires": "{key}"}]}),
)
READS = (
    *("/tokens/{key}", "/tokens?project={key}", "/tokens?api_key={key}", "/users/{key}", "/projects/{key}"),
    *("/credentials/{key}", "/routes/{key}", "/aliases/{key}", "/listeners/{key}", "/audit/{key}"),
    *("/audit?actor={key}", "/usage/summary?model={key}", "/usage/summary?since={key}", "/{key}"),
    *("/maintenance/logs?text={key}", "/maintenance/logs?since={key}", "/maintenance/backups/{key}/file"),
    *("/usage/recent?cursor={key}", "/usage/summary?token={key}", "/usage/summary?timezone={key}"),
)
COMMANDS = (
    *("project create {key}", "project show {key}", "token create --project demo --name {key}"),
    *("token show {key}", "token revoke {key}", "user create {key}", "user invite {key}"),
    *("key remove openai --name {key} --yes", "key set openai --name {key} --weight 2"),
    *("key add {key} --key-env THEIRS", "key add openai --name {key} --key-env THEIRS"),
    *("key add openai --name mistaken --key-env {key}", "provider test {key}", "provider models {key}"),
    *("key add openai --name mistaken --key-env THEIRS --base-url https://me:{pass}@127.0.0.1:9/v1",),
    *("alias set mistaken openai/{key}", "alias set {key} openai/gpt-5", "alias remove {key}"),
    *("listener set {key} --cache on", "limit change {key} --amount 5", "user sessions --end {key}"),
    *("route show {key}", "route set mistaken --to {key}", "route explain {key}", "listener create {key}"),
    *("route set mistaken --to openai/ --set api_key={key}", "listener show {key}", "limit show {key}"),
    *("listener create mistaken --mode upstream:http://me:{pass}@127.0.0.1:9", "audit show {key}"),
    *("limit set --project {key} --requests 5 --per hour", "failure set --project {key} --hang"),
    *(
        "usage recent --model {key}",
        "nothing {key}",
        "key add openai --name x --{key}",
        "run --nothing {key}",
    ),
)
FORMS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("projects/new", {"name": "{key}"}),
    ("tokens/new", {"project": "demo", "name": "{key}"}),
    ("tokens/new", {"project": "demo", "name": "mistaken", "lifetime": "{key}"}),
    ("users/new", {"name": "mistaken", "email": "{key}@example.com", "role": "member"}),
    ("keys/new", {"provider": "openai", "name": "{key}", "secret": "sk-right-0123456789", "weight": "1"}),
    ("keys/new", {"provider": "{key}", "name": "mistaken", "secret": "sk-right-0123456789", "weight": "1"}),
    ("limits/new", {"scope": "model", "whom": "{key}", "measure": "requests", "amount": "{key}"}),
    ("routes/new", {"name": "mistaken", "targets": "openai/", "overrides": "api_key={key}"}),
    ("routes/new", {"name": "mistaken", "targets": "{key}"}),
    ("aliases/edit", {"name": "mistaken", "target": "{key}"}),
    ("listeners/new", {"name": "mistaken", "mode": "upstream:http://me:{pass}@127.0.0.1:9"}),
)


def words(keeper: Keeper) -> Iterator[dict[str, str]]:
    """What the places are filled with, one after the other."""
    known = keeper.aviary.canaries
    shaped = known.get("wrong.shaped") or keeper.aviary.new("wrong.shaped", "sk-proj-")
    plain = known.get("wrong.plain") or keeper.aviary.new("wrong.plain")
    password = known.get("wrong.password") or keeper.aviary.new("wrong.password")
    for key in (shaped, plain):
        yield {"{key}": key, "{pass}": password}


def filled(text: str, given: Mapping[str, str], number: int = 0) -> str:
    """`number` tells what is made apart, so that no name is taken."""
    text = text.replace("mistaken", f"mistaken-{number}")
    for place, word in given.items():
        text = text.replace(place, word)
    return text


def by_api(keeper: Keeper) -> None:
    for given in words(keeper):
        for number, (method, path, body) in enumerate(BODIES):
            sent = json.loads(filled(json.dumps(body), given, number))
            more = {"idempotency-key": f"mistake {number}"} if method == "POST" else {}
            keeper.api("admin", method, filled(path, given, number), sent, place=f"{path} {body}", **more)
            keeper.api("member", method, filled(path, given, number), sent, place=f"{path} {body}")
        for path in READS:
            keeper.api("admin", "GET", filled(path, given), place=path)
        key = given["{key}"]
        keeper.api("admin", "POST", "/users", {"name": "x"}, place="type", **{"content-type": f"text/{key}"})
        keeper.api("admin", "POST", "/users", {"name": "x"}, place="once", **{"idempotency-key": key * 5})
        keeper.api("admin", "PATCH", "/users/member", {}, place="match", **{"if-match": key})
        keeper.api("admin", "POST", "/users", place="no JSON", content=f'{{"name": "{key}" "x"')
        keeper.api("admin", "POST", "/users", place="a list", content=f'["{key}"]')
        keeper.api("admin", "GET", "/users", place="bearer", authorization=f"Bearer {key}")


def by_pages(keeper: Keeper) -> None:
    for given in words(keeper):
        for number, (path, form) in enumerate(FORMS, 200):
            data = {name: filled(text, given, number) for name, text in form.items()}
            keeper.visit("admin", "post", f"/-/llm/manage/{path}", data=data)
        key = given["{key}"]
        keeper.visit("admin", "get", "/-/llm/requests/nothing", params={"key": key})
        for name in ("login", "setup", "invite"):
            keeper.visit("anonymous", "get", f"/-/llm/{name}", params={"code": key})
        keeper.visit("anonymous", "get", "/-/llm/oidc/callback", params={"code": key, "state": key})
        for name, scope in ((key, "write"), ("x", key)):
            data = {"name": name, "scope": scope, "days": "30"}
            keeper.visit("viewer", "post", "/-/llm/account/tokens", data=data)


def by_commands(keeper: Keeper) -> None:
    for given in words(keeper):
        for number, text in enumerate(COMMANDS, 300):
            keeper.cli(
                *filled(text, given, number).split(), env={"THEIRS": "sk-right-0123456789"}, place=text
            )


def passwords(keeper: Keeper) -> None:
    """Changes that are refused, and logins at a wrong door."""
    new = keeper.aviary.new
    right, wrong, chosen = keeper.aviary.canaries["password.viewer"], new("password.old"), new("password.new")
    where = "/-/llm/account/password"
    keeper.visit("viewer", "post", where, data={"old": wrong, "password": chosen, "again": chosen})
    keeper.visit("viewer", "post", where, data={"old": right, "password": chosen, "again": "x" * 20})
    keeper.visit("viewer", "post", where, data={"old": right, "password": chosen * 40, "again": chosen * 40})
    keeper.visit("anonymous", "post", "/-/llm/login", data={"name": "viewer", "password": chosen})
    invited = {"code": wrong, "password": chosen, "again": chosen}
    keeper.visit("anonymous", "post", "/-/llm/invite", data=invited)
    keeper.cli("user", "password", "viewer", "--stdin", stdin="short")
    keeper.cli("user", "password", "viewer", "--stdin", stdin=f"{chosen}\n{wrong}\n")
