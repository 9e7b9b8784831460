"""Rasa's SQL tracker stores as a source of dialogues: by URL, or by a variable that holds it."""

from __future__ import annotations

import os
import re
from contextlib import closing
from pathlib import Path
from typing import Collection, Generator, List, Optional, Sequence

import click
from tqdm import tqdm

from rasa_onramp.cli.options import progress_bar
from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.environment import is_variable
from rasa_onramp.errors import ConfigError, FormatError
from rasa_onramp.formats.rasa_events import Skip, read_conversation
from rasa_onramp.store import ImportReport, Intake, RasaEvents, Store
from rasa_onramp.store.connect import sqlite_url

__all__ = ["FORMAT", "import_tracker_stores", "is_tracker_store"]

#: What `--format` calls it.
FORMAT = "tracker-store"

_SHOWN = 20  # sessions left out that are said one by one


def is_tracker_store(path: str) -> bool:
    """Whether a path is a database: its URL, a variable that holds one, or an SQLite file. So is
    what isn't there and may be a URL with a slip in it, which `_url` doesn't repeat.
    """
    if "://" in path or "://" in os.environ.get(path, ""):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return re.search(":.*@", path) is not None


def import_tracker_stores(
    store: Store,
    sources: Sequence[str],
    schema: Optional[Schema],
    how: Intake,
    skip_bad: bool,
    progress: Optional[bool],
    prefix: str = "",
) -> ImportReport:
    """Import the conversations of tracker stores as dialogues of `schema`'s domain, whose ids begin
    with `prefix`, one after the other: all of them or none. Nothing is written while they are read.
    Raises ConfigError, StoreUnavailable, FormatError, StoreError.
    """
    if schema is None:
        raise ConfigError(
            "a tracker store says nothing of the domain; "
            "name its schema (--schema FILE, or --domain NAME of the store)"
        )
    stores = [RasaEvents(_url(source)) for source in sources]
    skipped: List[FormatError] = []

    def skip(problem: FormatError) -> None:
        skipped.append(problem)
        if len(skipped) <= _SHOWN:
            bar.write(f"left out: {problem}", file=click.get_text_stream("stderr"))

    known = store.dialogues.ids(schema.name)
    total = sum(events.count() for events in stores)
    with progress_bar(progress, total=total, desc="import", unit="conversation") as bar:
        dialogues = _dialogues(stores, schema, bar, skip if skip_bad else None, prefix, known)
        with closing(dialogues):
            report = store.dialogues.import_dialogues([schema], dialogues, how)
    if skipped:
        click.echo(f"{len(skipped)} sessions were left out", err=True)
    return report


def _dialogues(
    stores: Sequence[RasaEvents],
    schema: Schema,
    bar: tqdm,
    skip: Optional[Skip],
    prefix: str,
    known: Collection[str],
) -> Generator[Dialogue, None, None]:
    for events in stores:
        with closing(events):
            for sender in events.senders():
                yield from read_conversation(
                    sender, events.events(sender), schema, events.name, skip, prefix, known
                )
                bar.update()


def _url(source: str) -> str:
    """The URL that a PATH stands for."""
    if "://" in source:
        return source
    named = os.environ.get(source)
    if named:
        return named
    if Path(source).is_file():
        return sqlite_url(source)
    # what may be a URL with a slip in it isn't repeated: it may hold a password
    what = "PATH" if re.search("[:=@]", source) else repr(source)
    name = source if is_variable(source) else "BOT_URL"
    raise ConfigError(
        f"{what} is neither a database URL nor a file, and no environment variable of that name is "
        f"set; set one and name it, for example {name}=postgresql://user:password@host/rasa"
    )
