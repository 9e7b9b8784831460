"""rasa-onramp import"""

from __future__ import annotations

from typing import Optional, Tuple

import click

from rasa_onramp.cli.corpora import read_all
from rasa_onramp.cli.options import progress_bar, progress_option
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats import FORMATS
from rasa_onramp.store import open_store

__all__ = ["command"]


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option(
    "--format",
    "name",
    metavar="NAME",
    default=None,
    help=f"One of {', '.join(FORMATS)}. Default: guessed from the path.",
)
@click.option(
    "--services",
    metavar="NAMES",
    default=None,
    help="Only these services, separated by commas (sgd folders).",
)
@progress_option
def command(
    paths: Tuple[str, ...], name: Optional[str], services: Optional[str], progress: Optional[bool]
) -> None:
    """Import dialogue files or folders (PATHS) into the store: all of them, or none.

    A folder holds a corpus in SGD's format, or YAML files. Importing the same content again
    changes nothing.
    """
    wanted = None
    if services is not None:
        wanted = tuple(s.strip() for s in services.split(",") if s.strip())
        if not wanted:
            raise ConfigError("--services names no service; give names separated by commas")
    with open_store() as store:
        store.revision()  # a store that isn't there is said before any work
        corpus = read_all(paths, name, wanted)
        total = len(corpus.dialogues)
        with progress_bar(progress, total=total, desc="import", unit="dialogue") as bar:

            def after_dialogues(done: int, count: int) -> None:
                bar.update(done - bar.n)

            report = store.dialogues.import_corpus(corpus, progress=after_dialogues)
    click.echo(
        f"{', '.join(report.domains)}: {report.added} dialogues added, "
        f"{report.replaced} replaced, {report.unchanged} unchanged"
    )
    for domain in report.updated:
        click.echo(f"{domain}: its schema was replaced")
