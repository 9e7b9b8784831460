"""rasa-onramp import"""

from __future__ import annotations

from typing import Optional, Tuple

import click
from tqdm import tqdm

from ..errors import ConfigError
from ..formats import FORMATS, read
from ..store import open_store

__all__ = ["command"]


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option(
    "--format",
    "name",
    default=None,
    help=f"One of {', '.join(FORMATS)}. Default: guessed from the path.",
)
@click.option(
    "--services", default=None, help="Only these services, separated by commas (sgd folders)."
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    paths: Tuple[str, ...], name: Optional[str], services: Optional[str], quiet: bool
) -> None:
    """Import dialogue files or folders (PATHS) into the store.

    All paths are read and checked before the first is written; each path is one transaction.
    Importing the same content again changes nothing.
    """
    wanted = None
    if services is not None:
        wanted = tuple(s.strip() for s in services.split(",") if s.strip())
        if not wanted:
            raise ConfigError("--services names no service; give names separated by commas")
    corpora = [(path, read(path, format=name, services=wanted)) for path in paths]
    with open_store() as store:
        for path, corpus in corpora:
            total = len(corpus.dialogues)
            with tqdm(total=total, desc=path, unit="dialogue", disable=quiet) as bar:

                def progress(done: int, count: int) -> None:
                    bar.update(done - bar.n)

                report = store.dialogues.import_corpus(corpus, progress=progress)
            click.echo(
                f"{path}: {', '.join(report.domains)}: {report.added} dialogues added, "
                f"{report.replaced} replaced, {report.unchanged} unchanged"
            )
