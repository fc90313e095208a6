"""One example of each operation: a request that works, and what others than admins get for it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """`{name}` in the path is filled in from the world's ids. `viewer` and `member` are statuses."""

    path: str
    body: Any = None
    viewer: int = 403
    member: int = 403
    status: int = 200


def seen(path: str, member: int = 200, viewer: int = 200) -> Case:
    """A list, which holds what one may see, or something that others are not told of."""
    return Case(path, viewer=viewer, member=member)


POLICY = {"models": ["gpt-5*"], "parameters": {"max_tokens": {"max": 1000}}, "ips": ["10.0.0.0/8"]}
LIMIT = {"scope": "user", "name": "mia", "measure": "cost", "amount": 5_000_000_000, "per": "month"}
ROUTE = {"name": "made", "match": {"models": ["gpt-*"]}, "targets": ["openai/gpt-5", "sim/sim-chat*2"]}
FAILURES = {"error_injection": {"enabled": True, "error_rates": {"429": 0.1}}, "seed": 7}

CASES: dict[str, Case] = {
    "system.health": seen("/health"),
    "system.version": seen("/version"),
    "system.openapi": seen("/openapi.json"),
    "users.list": seen("/users?search=mia&role=member"),
    "users.create": Case("/users", {"name": "nia", "email": "nia@example.com", "role": "viewer"}, status=201),
    "users.me": seen("/users/me"),
    "users.my_quota": seen("/users/me/quota"),
    "users.my_usage": seen("/users/me/usage?since=7d"),
    "users.get": seen("/users/out@example.com", member=404, viewer=404),
    "users.change": Case("/users/changed", {"email": "new@example.com", "role": "viewer", "active": False}),
    "users.delete": Case("/users/doomed"),
    "accounts.list_tokens": seen("/api-tokens?all=true"),
    "accounts.create_token": Case(
        "/api-tokens", {"name": "ci", "scope": "usage", "expires": "30d"}, viewer=201, member=201, status=201
    ),
    "accounts.revoke_token": Case("/api-tokens/second/revoke", viewer=404, member=404),
    "accounts.list_sessions": seen("/sessions"),
    "accounts.end_session": Case("/sessions/{session}", viewer=404, member=404),
    "accounts.end_sessions": Case("/sessions/revoke", {"user": "guest"}, viewer=404, member=404),
    "accounts.invite": Case("/users/guest/invite", {"expires": "12h"}, status=201),
    "accounts.withdraw_invite": Case("/users/second-admin/invite"),
    "projects.list": seen("/projects?search=a&active=true"),
    "projects.create": Case(
        "/projects",
        {"name": "made", "owner": "mia", "members": ["guest"], "cache": "opt-in", "policy": POLICY},
        status=201,
    ),
    "projects.get": seen("/projects/beta", member=404, viewer=404),
    "projects.change": Case(
        "/projects/gamma", {"hangup": "drain", "capture": "errors", "cache": "off", "policy": POLICY}
    ),
    "projects.delete": Case("/projects/unwanted?confirm=unwanted", viewer=404, member=404),
    "projects.members": seen("/projects/beta/members", member=404, viewer=404),
    "projects.add_member": Case("/projects/beta/members/guest"),
    "projects.remove_member": Case("/projects/alpha/members/guest"),
    "projects.revoke_tokens": Case("/projects/gamma/tokens/revoke", viewer=404, member=404),
    "tokens.list": seen("/tokens?project=alpha&state=active&prefix=t-"),
    "tokens.create": Case(
        "/tokens",
        {"project": "beta", "name": "made", "expires": "12h", "max_requests": 10, "policy": POLICY},
        viewer=404,
        member=404,
        status=201,
    ),
    "tokens.create_batch": Case(
        "/tokens/batch", {"project": "beta", "name": "many", "count": 3}, viewer=404, member=404, status=201
    ),
    "tokens.revoke_batch": Case("/tokens/revoke", {"tokens": ["{b-one}", "{t-batch-a}"]}, 404, 404),
    "tokens.get": seen("/tokens/{b-one}", member=404, viewer=404),
    "tokens.change": Case("/tokens/{t-set}", {"max_requests": 5, "expires": "never"}, viewer=404, member=200),
    "tokens.revoke": Case("/tokens/{t-revoke}/revoke", viewer=404, member=200),
    "tokens.delete": Case("/tokens/{t-delete}", viewer=404, member=200),
    "tokens.refresh": Case("/tokens/{t-refresh}/refresh", {"overlap": "1h"}, viewer=404, member=200),
    "tokens.suspend": Case("/tokens/{t-suspend}/suspend", viewer=404, member=200),
    "tokens.resume": Case("/tokens/{t-resume}/resume", viewer=404, member=200),
    "limits.list": seen("/limits?scope=project"),
    "limits.create": Case("/limits", LIMIT, status=201),
    "limits.usage": seen("/limits/usage"),
    "limits.get": seen("/limits/{limit}", viewer=404),
    "limits.usage_of_one": seen("/limits/{limit}/usage", viewer=404),
    "limits.change": Case("/limits/{limit-set}", {"amount": 7, "soft": True, "enabled": False}, viewer=404),
    "limits.delete": Case("/limits/{limit-del}"),
    "credentials.providers": seen("/providers?limit=200"),
    "credentials.list": seen("/credentials?provider=openai"),
    "credentials.create": Case(
        "/credentials",
        {"provider": "anthropic", "name": "made", "key": "sk-ant-{secret}", "pool": "team"},
        status=201,
    ),
    "credentials.get": Case("/credentials/{key-default}"),
    "credentials.change": Case(
        "/credentials/{key-changed}",
        {"weight": 3, "pool": "team", "enabled": False, "key": "sk-{secret}", "base_url": "{provider}"},
    ),
    "credentials.delete": Case("/credentials/{key-doomed}"),
    "credentials.test_unsaved": Case(
        "/credentials/test", {"provider": "openai", "key": "sk-{secret}", "base_url": "{provider}"}
    ),
    "credentials.models_unsaved": Case(
        "/credentials/models", {"provider": "openai", "key": "sk-{secret}", "base_url": "{provider}"}
    ),
    "credentials.test": Case("/credentials/{key-local}/test"),
    "credentials.models": Case("/credentials/{key-local}/models"),
    "routes.list": seen("/routes"),
    "routes.create": Case("/routes", {"route": ROUTE, "position": 1}, status=201),
    "routes.get": Case("/routes/r-show"),
    "routes.put": Case("/routes/r-put", {"name": "r-put", "targets": ["anthropic/claude-sonnet-4-5"]}),
    "routes.change": Case("/routes/r-move", {"position": 1, "enabled": False}),
    "routes.delete": Case("/routes/r-del"),
    "aliases.list": seen("/aliases"),
    "aliases.put": Case("/aliases", {"name": "fast", "target": "openai/gpt-5-mini", "project": "alpha"}),
    "aliases.get": Case("/aliases/a-show"),
    "aliases.delete": Case("/aliases/a-del?project=alpha"),
    "breakers.show": Case("/breakers"),
    "breakers.reset": Case("/breakers/reset", {"provider": "openai"}),
    "listeners.list": seen("/listeners"),
    "listeners.create": Case("/listeners", {"name": "made", "provider": "openai", "cache": "on"}, status=201),
    "listeners.change": Case("/listeners/l-set", {"name": "l-new", "cache": "on", "project": "alpha"}),
    "listeners.get": Case("/listeners/l-show"),
    "listeners.start": Case("/listeners/l-start/start"),
    "listeners.stop": Case("/listeners/l-stop/stop"),
    "listeners.delete": Case("/listeners/l-del"),
    "cache.totals": seen("/cache?project=alpha&model=gpt-*"),
    "cache.list": seen("/cache/answers?provider=openai&limit=1&older_than=1h"),
    "cache.get": seen("/cache/answers/{answer}?body=true", member=404, viewer=404),
    "cache.purge": Case("/cache/purge", {"project": "beta", "older_than": "1d"}, viewer=404, member=404),
    "failures.list": seen("/failures"),
    "failures.get": Case("/failures/project/alpha"),
    "failures.put": Case("/failures/listener/l-show", FAILURES),
    "failures.delete": Case("/failures/project/beta"),
    "routes.explain": Case("/routes/explain", {"model": "gpt-5", "project": "alpha", "tokens": 5000}),
    "audit.list": Case("/audit?action=token.*&since=2d&timezone=Europe/Berlin"),
    "audit.export": Case("/audit/export?format=ndjson&action=user.*"),
    "audit.verify": Case("/audit/verify"),
    "audit.get": Case("/audit/{row}"),
    "maintenance.cleanup": Case("/maintenance/cleanup", {"dry_run": False}),
    "projects.export": seen("/projects/beta/export", member=404, viewer=404),
    "import.users": Case("/import/users", {"rows": [{"name": "imported", "role": "viewer"}]}),
    "import.projects": Case(
        "/import/projects", {"rows": [{"name": "imported", "owner": "mia", "policy": POLICY}]}
    ),
    "import.tokens": Case(
        "/import/tokens",
        {"rows": [{"project": "beta", "name": "imported", "expires": "12h"}]},
        member=422,
    ),
    "maintenance.settings": Case("/maintenance/settings"),
    "maintenance.logs": Case("/maintenance/logs?text=user&since=7d&kind=audit"),
    "maintenance.keys": Case("/maintenance/secret"),
    "maintenance.rotate": Case("/maintenance/secret/rotate", {"new_key": True}),
    "maintenance.databases": Case("/maintenance/databases"),
    "maintenance.make": Case("/maintenance/backups", {"passphrase": "one two three four"}, status=201),
    "maintenance.backups": Case("/maintenance/backups"),
    "maintenance.verify": Case("/maintenance/backups/{backup}/verify"),
    "maintenance.file": Case("/maintenance/backups/{backup}/file"),
    "usage.summary": seen("/usage/summary?since=7d&timezone=Europe/Berlin&stream=true"),
    "usage.daily": seen("/usage/daily?start_date=2026-11-15&end_date=2026-11-18&timezone=Asia/Kolkata"),
    "usage.hourly": seen("/usage/hourly?since=24h"),
    "usage.timeseries": seen("/usage/timeseries?since=24h&interval=hour&timezone=America/New_York"),
    "usage.by_key": seen("/usage/by-key", member=403, viewer=403),
    "usage.by_provider": seen("/usage/by-provider?outcome=error"),
    "usage.by_model": seen("/usage/by-model?status=4xx"),
    "usage.by_project": seen("/usage/by-project?user=mia"),
    "usage.by_token": seen("/usage/by-token?project=checkout"),
    "usage.by_user": seen("/usage/by-user"),
    "usage.cost_breakdown": seen("/usage/cost-breakdown?since=30d"),
    "usage.errors": seen("/usage/errors"),
    "usage.recent": seen("/usage/recent?limit=5&provider=openai"),
    "usage.request": seen("/usage/requests/{request}", member=404, viewer=404),
    "usage.export": seen("/usage/export?format=ndjson&since=2d"),
}
