"""`docs/cli.md`, made of every command's --help: `python -m llm_intercept.cli.reference > docs/cli.md`."""

from collections.abc import Iterator

import click

from llm_intercept.cli import COMMANDS, main

_WIDTH = 88
_HEAD = """# Command line

Every command's `--help`, in the order of `llm-intercept --help`. This page is generated:
`python -m llm_intercept.cli.reference > docs/cli.md`.
"""


def markdown() -> str:
    root = click.Context(main, info_name="llm-intercept", terminal_width=_WIDTH, **main.context_settings)
    parts = [_HEAD, _block("llm-intercept", root)]
    for name in (name for section in COMMANDS.values() for name in section):
        command = main.get_command(root, name)
        if command is not None:
            parts += _pages(command, name, root)
    return "\n".join(parts)


def _pages(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, parent=parent, info_name=name, terminal_width=_WIDTH)
    yield _block(context.command_path, context)
    if isinstance(command, click.Group):
        for inner, sub in sorted(command.commands.items()):
            yield from _pages(sub, inner, context)


def _block(title: str, context: click.Context) -> str:
    level = "##" if title.count(" ") < 2 else "###"
    return f"{level} {title}\n\n```\n{context.get_help().rstrip()}\n```\n"


if __name__ == "__main__":
    click.echo(markdown(), nl=False)
