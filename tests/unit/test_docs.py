"""The README and the docs name what there is: files, headings, commands and their options."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Iterator, List, Set

import click
import pytest

from rasa_onramp.cli.main import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/components", "training_data", "plugin/rasa_onramp")
    for path in (ROOT / folder).glob("**/*.md" if folder.startswith("plugin") else "*.md")
    if path.name != "cli.md"  # the commands wrote it themselves
)
SCRIPT = re.compile(r"python ((?:bench|demo|scripts|training_data)/[\w/]+\.py)([^\n`|]*)")
PROGRAM = re.compile(r"rasa-onramp ([a-z-]+)([^\n`|]*)")
OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")


def code_in(page: Path) -> str:
    """What is code on a page, with commands that go on over several lines on one."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


def anchors(page: Path) -> Set[str]:
    """Its headings as GitHub makes links of them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.strip().lower()).replace(" ", "-") for each in headings}


def broken_links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")) or re.fullmatch(r"\w+", target):
            continue  # the latter is a marked value in an example: [Friday](day)
        name, _, heading = target.partition("#")
        path = Path(os.path.normpath(page.parent / name)) if name else page
        if not path.exists() or (heading and heading not in anchors(path)):
            yield target


def unknown_options(words: str, command: click.Command) -> List[str]:
    """Options in a command line, up to a comment or the next command, that `command` hasn't."""
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    line = re.split(r"\s#|;|&&", words)[0]
    return [option for option in OPTION.findall(line) if option not in {*known, "--help"}]


def test_there_are_pages() -> None:
    assert len(PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_what_there_is(page: Path) -> None:
    assert list(broken_links(page)) == []
    for name, words in PROGRAM.findall(code_in(page)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, f"rasa-onramp {name}: one of {', '.join(COMMANDS)}?"
        if isinstance(command, click.Group):
            part = re.match(r"\s+([a-z-]+)", words)
            command = command.commands[part[1]] if part else command
        assert unknown_options(words, command) == [], f"rasa-onramp {name}{words}"
    for name, words in SCRIPT.findall(code_in(page)):
        source = with_shared_options(ROOT / name)
        options = OPTION.findall(re.split(r"\s#|;", words)[0])
        assert [each for each in options if f'"{each}"' not in source] == [], f"{name}{words}"


def with_shared_options(script: Path) -> str:
    """Its source, and that of the modules beside it that it has options of."""
    source = script.read_text(encoding="utf-8")
    shared = re.findall(r"^from (\w+) import [\w, ]*_options\b", source, re.MULTILINE)
    beside = [script.parent / f"{name}.py" for name in shared]
    return "".join([source, *(path.read_text(encoding="utf-8") for path in beside)])


def logged_events() -> Set[str]:
    """Those of the plugin's log lines: its texts like `onramp.turn` that are no file's name."""
    return {
        node.value
        for path in (ROOT / "plugin" / "rasa_onramp").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"onramp(\.[a-z_]+)+", node.value)
        and not node.value.endswith((".db", ".yml"))
    }


def test_every_event_has_its_row() -> None:
    pages = [ROOT / "docs" / name for name in ("monitoring.md", "jobs.md")]
    rows = [
        line.split("|")[1]
        for page in pages
        for line in page.read_text("utf-8").splitlines()
        if line.startswith("| `")
    ]
    told = {event for row in rows for event in re.findall(r"`(onramp\.[a-z_.]+)`", row)}
    assert len(told) > 20
    assert logged_events() == told


def test_the_check_itself(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One head, two\n[a](page.md#one-head-two) [b](page.md#two) [c](no.md) [d](e)")
    assert list(broken_links(page)) == ["page.md#two", "no.md"]
    chat = cli.get_command(click.Context(cli), "chat")
    assert chat is not None
    assert unknown_options(" --no-replies --loud # --silent", chat) == ["--loud"]
