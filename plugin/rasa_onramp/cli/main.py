"""`rasa-onramp`: one command a module. Errors are one line on stderr and exit code 2."""

from __future__ import annotations

import os
import sys
from typing import Optional, Sequence

# what imports transformers' tokenizers or torch after us must not fetch TensorFlow too
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import click  # noqa: E402

from .. import __version__  # noqa: E402
from ..errors import OnrampError  # noqa: E402

__all__ = ["cli", "main"]

#: Command → (module, one line for the list). Modules load when their command runs.
COMMANDS = {
    "init": ("init", "Create or upgrade the store; with --bot, add us to an existing bot."),
    "import": ("import_", "Import dialogue files into the store."),
    "domains": ("domains", "List the store's domains, or the adapter versions of one."),
    "adapt": ("adapt", "Adapt domains to their support dialogues and switch to the result."),
    "evaluate": ("evaluate", "Measure the tracker by the few-shot protocol on a corpus."),
    "chat": ("chat", "Talk to the store's domains in the terminal, without Rasa."),
    "meta-train": ("meta_train", "Meta-train an initialisation on a corpus."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> Sequence[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        module = import_module(f"{__package__}.{COMMANDS[cmd_name][0]}")
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rasa-onramp")
def cli() -> None:
    """Onboard new domains to a Rasa bot from a few dialogues in SQL.

    The store is the database at $RASA_ONRAMP_DATABASE_URL, or a SQLite file in $RASA_ONRAMP_HOME
    (default ~/.rasa-onramp).
    """


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line; exits with 0, 1 (a check failed), 2 (bad input) or 130 (interrupted)."""
    try:
        code = cli.main(
            args=list(arguments) if arguments is not None else None,
            prog_name="rasa-onramp",
            standalone_mode=False,
        )
    except OnrampError as error:
        click.echo(f"rasa-onramp: {error}", err=True)
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("rasa-onramp: interrupted", err=True)
        code = 130
    except BrokenPipeError:
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
