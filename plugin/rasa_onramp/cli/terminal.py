"""What a user types, in a terminal or through a pipe."""

from __future__ import annotations

import sys
from typing import Optional

import click

from rasa_onramp.errors import ConfigError

__all__ = ["read_line", "somebody_types"]


def somebody_types() -> bool:
    """Whether input comes from a terminal, rather than from a file or a pipe."""
    return sys.stdin.isatty()


def read_line(prompt: str) -> Optional[str]:
    """A line of the user's, None at the end of the input. Piped input is shown as if typed."""
    try:
        if somebody_types():
            line = input(prompt)
        else:
            line = sys.stdin.readline()
            line.encode("utf-8")
            if not line:
                return None
            click.echo(prompt + line.rstrip("\r\n"))
    except EOFError:
        click.echo()
        return None
    except UnicodeError:
        raise ConfigError("the input isn't UTF-8; send the messages as UTF-8") from None
    return line.rstrip("\r\n")
