"""What the API can do the command line can, and the reverse; what one side lacks has its reason here."""

import sys
from collections.abc import Iterator

import click

from llm_intercept.cli import main
from tests.dashboard.api.conftest import World

_THIS_MACHINE = "it is about programs, files and certificates of the machine it runs on"
_FILES = "it writes files of this machine, or judges them before anything is started with them"
_AT_REST = "it replaces databases, for which the dashboard has to be at rest"
ONLY_COMMANDS = {
    **dict.fromkeys(("init", "up", "proxy", "dashboard", "sim", "doctor", "addons"), _THIS_MACHINE),
    **dict.fromkeys(("run", "record", "replay", "env", "translate"), _THIS_MACHINE),
    **dict.fromkeys(("ca export", "ca path", "ca rotate", "ca show", "ca trust"), _THIS_MACHINE),
    **dict.fromkeys(("config check", "config import-env"), _FILES),
    **dict.fromkeys(("restore", "migrate up"), _AT_REST),
    "route test": "it makes a call that costs money, through the proxy",
    "user password": "passwords are not sent through the API: `accounts.invite` lets people set their own",
}
ONLY_OPERATIONS = {
    "system.health": "`doctor` says more, for people",
    "system.version": "`--version`",
    "system.openapi": "`--help`",
    "users.me": "who runs commands is the operating system's user",
    "users.my_quota": "the same; `limit usage` has all of them",
    "users.my_usage": "the same; `usage summary --user` has anybody's",
}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """(command, its options) of everything below."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        elif found is not None:
            options = {opt for one in found.params for opt in (*one.opts, *one.secondary_opts)}
            yield " ".join((*path, name)), options


def test_both_sides_can_do_the_same(world: World) -> None:
    known = dict(commands(main))
    named: set[str] = set()
    for operation in sys.modules["llm_dashboard.api.operations"].ALL:
        if operation.id in ONLY_OPERATIONS:
            assert not operation.command, f"{operation.id} has a command, and a reason why it has none"
            continue
        for said in (operation.command, *operation.commands):
            words = said.split()
            options = {word for word in words if word.startswith("--")}
            command = " ".join(word for word in words if word not in options)
            assert command in known, f"{operation.id}: there is no command {command!r}"
            assert options <= known[command], f"{operation.id}: {command} has no {options}"
            named.add(command)
    assert set(known) - named == set(ONLY_COMMANDS), "commands without an operation, or with a stale reason"
    assert not named & set(ONLY_COMMANDS)
