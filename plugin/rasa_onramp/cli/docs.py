"""Writes docs/cli.md from the commands' own help:

python -m rasa_onramp.cli.docs > docs/cli.md
"""

from __future__ import annotations

from typing import Iterator

import click

from rasa_onramp.cli.main import COMMANDS, cli

__all__ = ["page"]

_HEAD = """\
# The command line

<!-- Written by `python -m rasa_onramp.cli.docs > docs/cli.md`; a test compares. -->

Each text below is what the command prints with `--help`.
"""
_WIDTH = 92


def page() -> str:
    """The page as Markdown: the help of `rasa-onramp`, of its commands and of theirs."""
    return "\n".join([_HEAD, *_sections()])


def _sections() -> Iterator[str]:
    top = click.Context(
        cli, info_name="rasa-onramp", terminal_width=_WIDTH, help_option_names=["-h", "--help"]
    )
    yield _section("rasa-onramp", cli.get_help(top))
    for name in COMMANDS:
        command = cli.get_command(top, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=top, terminal_width=_WIDTH)
        yield _section(f"rasa-onramp {name}", command.get_help(context))
        for part in command.commands.values() if isinstance(command, click.Group) else ():
            within = click.Context(part, info_name=part.name, parent=context, terminal_width=_WIDTH)
            yield _section(f"rasa-onramp {name} {part.name}", part.get_help(within))


def _section(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"## {title}\n\n```text\n{lines}\n```\n"


if __name__ == "__main__":
    print(page(), end="")
