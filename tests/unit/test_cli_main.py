"""The command line as a whole: its help, its page in the docs, one line for each mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from command_line import environment, invoke, spawn
from rasa_onramp import __version__
from rasa_onramp.cli.docs import page
from rasa_onramp.cli.main import COMMANDS, cli


def one_line(text: str) -> bool:
    return text.startswith("rasa-onramp: ") and text.count("\n") == 1 and text.endswith("\n")


def test_help_lists_every_command() -> None:
    done = invoke("--help")
    assert done.code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in done.out] == []


def test_version() -> None:
    assert invoke("--version").out.strip() == f"rasa-onramp, version {__version__}"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_says_what_each_option_takes(name: str) -> None:
    assert invoke(name, "--help").code == 0
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_docs_page_is_what_the_commands_say(repository: Path) -> None:
    """After a change: python -m rasa_onramp.cli.docs > docs/cli.md"""
    assert (repository / "docs" / "cli.md").read_text(encoding="utf-8") == page()


def test_docs_page_is_printed_whatever_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = page()
    done = subprocess.run(
        [sys.executable, "-m", "rasa_onramp.cli.docs"],
        env=environment(COLUMNS="40"),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == wanted
    monkeypatch.setenv("COLUMNS", "200")
    assert page() == wanted


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["init", "--frobnicate"],
        ["import"],
        ["evaluate"],
        ["evaluate", "--data", "x", "--shots", "five"],
        ["evaluate", "--data", "x", "--shots", "-1"],
        ["evaluate", "--data", "x", "--seeds", "0"],
        ["evaluate", "--data", "x", "--method", "magic"],
        ["evaluate", "--data", "x", "--dialogues", "some"],
        ["adapt", "parcel_delivery", "--steps", "0"],
        ["adapt", "parcel_delivery", "--steps", "2147483648"],  # more than PostgreSQL holds
        ["jobs", "add", "parcel_delivery", "--steps", "2147483648"],
        ["chat", "--results", "guess"],
        ["meta-train", "--data", "x", "--run", "y", "--algorithm", "magic"],
    ],
)
def test_usage_errors_are_one_line(arguments: list) -> None:
    done = invoke(*arguments)
    assert (done.code, done.out) == (2, "")
    assert one_line(done.err)
    assert "--help" in done.err


def test_exit_codes_of_the_program() -> None:
    assert spawn("--version").code == 0
    wrong = spawn("frobnicate")
    assert wrong.code == 2
    assert one_line(wrong.err)
