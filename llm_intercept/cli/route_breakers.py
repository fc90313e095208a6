"""`llm-intercept route breakers`: targets that are left alone, keys that cool down, and how to end that."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click

from llm_intercept.cli.output import json_option, moment, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.store.database import as_text
from llm_intercept.store.pools import BreakerRow, KeyRow, read_breakers, read_keys

_BREAKERS = {
    "target": "target",
    "credential": "key",
    "state": "breaker",
    "failures": "failures in a row",
    "until": "tried again",
    "reason": "last failure",
}
_KEYS = {
    "provider": "provider",
    "credential": "key",
    "model": "model",
    "until": "cools down until",
    "reason": "because of",
    "headroom": "left",
}


@click.command("breakers")
@click.option("--reset", is_flag=True, help="Close breakers and end cool-downs, with the next call.")
@click.option("--provider", default="", help="Only those of this provider.")
@click.option("--key", "credential", default="", metavar="NAME", help="Only those of this key.")
@click.option("--model", default="", help="Only those of this model.")
@json_option
@pass_session
def show_breakers(
    session: Session, reset: bool, provider: str, credential: str, model: str, as_json: bool
) -> None:
    """Show which targets are left alone because they failed, and which keys cool down.

    \b
    llm-intercept route breakers
    llm-intercept route breakers --reset --provider openai
    """
    wanted = (session.provider(provider).name if provider else "", credential, model)
    if reset:
        session.manage.breakers.reset(session.actor, *wanted)
    open_ = [row for row in read_breakers(session.usage) if _is_wanted(row, wanted)]
    cooling = [row for row in read_keys(session.usage) if _is_wanted(row, wanted)]
    if as_json:
        print_json(_record(session, reset, open_, cooling))
    elif reset:
        what = ", ".join(f"{name} {value}" for name, value in _named(wanted)) or "everything"
        click.echo(f"Asked the proxy to reset {what}; it does so with its next call, or when it starts.")
    else:
        _print(session.now_us, open_, cooling)


def _is_wanted(row: BreakerRow | KeyRow, wanted: tuple[str, str, str]) -> bool:
    """A row without a model is about the whole key."""
    provider, credential, model = wanted
    return (
        provider in ("", row.provider)
        and credential in ("", row.credential)
        and (model in ("", row.model) or not row.model)
    )


def _named(wanted: tuple[str, str, str]) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in zip(("provider", "key", "model"), wanted, strict=True) if value)


def _record(
    session: Session, reset: bool, breakers: list[BreakerRow], keys: list[KeyRow]
) -> dict[str, object]:
    return {
        "reset": reset,
        "breakers": [asdict(row) for row in breakers],
        "keys": [{**asdict(row), "headroom": _headroom(row)} for row in keys],
        "now_us": session.now_us,
    }


def _print(now_us: int, breakers: list[BreakerRow], keys: list[KeyRow]) -> None:
    if not breakers and not keys:
        click.echo("Nothing has failed, and nothing is known of the keys' limits.")
        return
    if breakers:
        lines = sorted(breakers, key=lambda row: (row.state == "closed", -row.changed_us))
        print_table(_BREAKERS, [_breaker(row) for row in lines], {"until": moment})
    else:
        click.echo("No breaker has been open lately.")
    if keys:
        click.echo()
        print_table(_KEYS, [_key(row, now_us) for row in keys], {"until": moment})


def _breaker(row: BreakerRow) -> dict[str, object]:
    until = as_text(row.until_us / 1e6) if row.state == "open" else None
    return {**asdict(row), "target": f"{row.provider}/{row.model}", "until": until}


def _key(row: KeyRow, now_us: int) -> dict[str, object]:
    cools = row.cooling_until_us > now_us
    return {
        **asdict(row),
        "model": row.model or "all",
        "until": as_text(row.cooling_until_us / 1e6) if cools else None,
        "reason": row.reason if cools else "",
        "headroom": _left(_headroom(row)),
    }


def _headroom(row: KeyRow) -> dict[str, Any]:
    """What the provider said is left of each limit."""
    found = json.loads(row.headroom) if row.headroom else None
    return found if isinstance(found, dict) else {}


def _left(headroom: dict[str, Any]) -> str:
    rooms = ((kind, room) for kind, room in headroom.items() if room)
    return ", ".join(f"{_count(room)} {kind.replace('_', ' ')}" for kind, room in rooms)


def _count(room: dict[str, Any]) -> str:
    limit = room.get("limit")
    of = f" of {limit:,}" if isinstance(limit, int) else ""
    return f"{room.get('remaining', 0):,}{of}"
