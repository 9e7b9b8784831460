"""`rasa-onramp`: one command a module. Errors are one line on stderr and exit code 2."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any, List, Optional, Sequence

# tokenizers warns on stderr, which is ours, where a process forks after its threads have run
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# torch's threads wait for one another by spinning. Where other processes keep the cores busy they
# wait for threads that don't run, and adapting took over ten times as long; so briefly only.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import click

from rasa_onramp import __version__
from rasa_onramp.errors import OnrampError
from rasa_onramp.formats.wording import quote, visible

__all__ = ["COMMANDS", "cli", "main"]

#: Command → (module, one line for the list). Modules load when their command runs.
COMMANDS = {
    "init": ("init", "Create or upgrade the store; with --bot, add us to an existing bot."),
    "doctor": ("doctor", "Check installation, weights, store and bot, and say the mend."),
    "import": ("import_", "Import dialogue files into the store."),
    "label": ("label", "Label or correct the states of dialogues, one by one, in the terminal."),
    "export": ("export", "Write domains and their dialogues as files."),
    "domains": ("domains", "List the store's domains."),
    "adapt": ("adapt", "Adapt domains to their support dialogues and switch to the result."),
    "curve": ("curve", "Measure a domain with none, a few and all of its support dialogues."),
    "worker": ("worker", "Adapt what changed in the store, beside other workers, and go on."),
    "jobs": ("jobs", "List, ask for and cancel what workers adapt."),
    "versions": ("versions", "List, compare, switch, pin and clear out adapter versions."),
    "feedback": ("feedback", "Say how the bot should have replied, for adapt to learn from."),
    "remove": ("remove", "Delete a domain with all that belongs to it."),
    "evaluate": ("evaluate", "Measure tracker or replies by the few-shot protocol on a corpus."),
    "judge": ("judge", "Judge replies by hand, blind: make a page, import its picks, tally."),
    "chat": ("chat", "Talk to the store's domains in the terminal, without Rasa."),
    "weights": ("weights", "Fetch the pretrained weights that replies and tracking build on."),
    "meta-train": ("meta_train", "Meta-train the tracker's initialisation on a corpus."),
    "pack-replies": ("pack_replies", "Draw and pack the episodes that replies are learned from."),
    "meta-train-replies": ("meta_train_replies", "Meta-train the replies' initialisation."),
    "meta-train-jointly": ("meta_train_jointly", "Meta-train tracker and replies together."),
}


#: Characters of a complaint: some quote what they were given.
_LONGEST = 800


class _Commands(click.Group):
    """A group whose commands load when they are needed, and whose errors are one line."""

    def list_commands(self, ctx: click.Context) -> List[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__package__}.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # the texts stand here, so that the list doesn't load every command
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and exit with 0, 1 (a check failed), 2 (bad input) or 130 (interrupted)."""
        kwargs["standalone_mode"] = False
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # file names needn't be text that can be written
                stream.reconfigure(errors="backslashreplace")
        try:
            code = super().main(*args, **kwargs)
        except OnrampError as error:
            code = _complain(str(error), 2)
        except click.ClickException as error:
            code = _complain(_usage(error), error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            code = _complain("interrupted", 130)
        except OSError as error:
            code = _refused_by_system(error)
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":  # torch's, which needn't be loaded
                raise
            code = _complain("the GPU has no memory left; free some, or try --device cpu", 2)
        sys.exit(code if isinstance(code, int) else 0)


def _complain(text: str, code: int) -> int:
    line = visible(" ".join(text.split()))
    if len(line) > _LONGEST:  # what is wrong stands first, the mend last
        line = f"{line[: _LONGEST - 300]} … {line[-250:]}"
    click.echo(f"rasa-onramp: {line}", err=True)
    return code


def _refused_by_system(error: OSError) -> int:
    """A path that no command thought of; or nobody reads our output any more."""
    if error.errno == errno.EPIPE:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains when it ends
        return 1
    what = "" if error.filename is None else f" {quote(os.fsdecode(error.filename))}"
    reason = error.strerror or str(error) or type(error).__name__
    return _complain(f"the system refuses{what}: {reason}; give another path, or mend that", 2)


def _usage(error: click.ClickException) -> str:
    """A wrong option or argument in one line, with where to look."""
    text = error.format_message().rstrip().rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        text += f"; see {error.ctx.command_path} --help"
    return text


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rasa-onramp")
def cli() -> None:
    """Onboard new domains to a Rasa bot from a few dialogues in SQL.

    The store is the database at $RASA_ONRAMP_DATABASE_URL, or a SQLite file in $RASA_ONRAMP_HOME
    (default ~/.rasa-onramp).

    Exit codes: 0 done, 1 a check failed or was declined, 2 bad input (one line on stderr says
    which), 130 interrupted.
    """


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line on `arguments` (default: the process's own) and exit."""
    cli.main(args=list(arguments) if arguments is not None else None, prog_name="rasa-onramp")
