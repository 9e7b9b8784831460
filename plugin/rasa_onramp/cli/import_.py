"""rasa-onramp import"""

from __future__ import annotations

from typing import Optional, Tuple

import click

from rasa_onramp.advice import advice
from rasa_onramp.cli.corpora import chosen_schema, has_states, read_all
from rasa_onramp.cli.options import names_in, progress_bar, progress_option
from rasa_onramp.cli.tracker_stores import FORMAT, import_tracker_stores, is_tracker_store
from rasa_onramp.dialogue import Corpus, Dialogue, unlabelled
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats import FORMATS
from rasa_onramp.store import ImportReport, Intake, Store, open_store

__all__ = ["command"]


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option(
    "--format",
    "name",
    metavar="NAME",
    default=None,
    help=f"One of {', '.join((*FORMATS, FORMAT))}. Default: guessed from the path.",
)
@click.option(
    "--services",
    metavar="NAMES",
    default=None,
    help="Only these services, separated by commas (folders of sgd or multiwoz).",
)
@click.option(
    "--schema",
    "schema_file",
    type=click.Path(),
    default=None,
    help="YAML file whose domain the conversations are about, for formats that bring no schema.",
)
@click.option(
    "--domain",
    metavar="NAME",
    default=None,
    help="The same, by the name of a domain that the store has.",
)
@click.option(
    "--check/--no-check",
    default=None,
    help="Have the dialogues wait for `rasa-onramp label` before they are learned from. Default: "
    "those of a tracker store, and those that say nothing of what users want.",
)
@click.option(
    "--replace-labelled",
    is_flag=True,
    help="Replace dialogues that a person labelled too. Without it they stay as labelled.",
)
@click.option(
    "--skip-bad",
    is_flag=True,
    help="Leave sessions of a tracker store that can't be read out, and say so, rather than stop.",
)
@click.option(
    "--prefix",
    default="",
    help="What the ids of a tracker store's dialogues begin with: bots that are imported into one "
    "domain may have the same senders.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and import nothing.")
@progress_option
def command(
    paths: Tuple[str, ...],
    name: Optional[str],
    services: Optional[str],
    schema_file: Optional[str],
    domain: Optional[str],
    check: Optional[bool],
    replace_labelled: bool,
    skip_bad: bool,
    prefix: str,
    dry_run: bool,
    progress: Optional[bool],
) -> None:
    """Import dialogue files or folders (PATHS) into the store: all of them, or none.

    A folder holds a corpus in SGD's format, or YAML files. Importing the same content again
    changes nothing.

    Conversations of a Rasa bot are read from its SQL tracker store: PATH is its SQLAlchemy URL or,
    with --format tracker-store, the name of an environment variable that holds it (so that no
    password stands on the command line), or an SQLite file.
    """
    wanted = None
    if services is not None:
        wanted = names_in(services)
        if not wanted:
            raise ConfigError("--services names no service; give names separated by commas")
    from_bot = name == FORMAT or (name is None and any(map(is_tracker_store, paths)))
    if skip_bad and not from_bot:
        raise click.UsageError("--skip-bad is for tracker stores")
    if prefix and not from_bot:
        raise click.UsageError("--prefix is for tracker stores")
    if wanted and from_bot:
        raise click.UsageError("--services is for folders of several; a tracker store has one")
    with open_store() as store:
        store.revision()  # a store that isn't there is said before any work
        schema = chosen_schema(store, schema_file, domain)
        if from_bot:
            intake = Intake(
                lambda dialogue: check is not False, replace_labelled, dry_run, domain is not None
            )
            report = import_tracker_stores(store, paths, schema, intake, skip_bad, progress, prefix)
        else:
            corpus = read_all(paths, name, wanted, schema)

            def waits(dialogue: Dialogue) -> bool:
                if check is not None:
                    return check
                # conversations, unlike files with a schema, may come without any state
                return unlabelled(dialogue) or (schema is not None and not has_states(dialogue))

            intake = Intake(waits, replace_labelled, dry_run, domain is not None)
            report = _import_corpus(store, corpus, intake, progress)
            for line in advice(corpus, waits):
                click.echo(f"warning: {line}", err=True)
    _show(report)
    if dry_run:
        click.echo("nothing was imported: that is what it would do")


def _import_corpus(
    store: Store, corpus: Corpus, how: Intake, progress: Optional[bool]
) -> ImportReport:
    total = len(corpus.dialogues)
    with progress_bar(progress, total=total, desc="import", unit="dialogue") as bar:

        def after_dialogues(done: int, count: Optional[int]) -> None:
            bar.update(done - bar.n)

        return store.dialogues.import_corpus(corpus, after_dialogues, how)


def _show(report: ImportReport) -> None:
    kept = f", {report.kept} kept as labelled" if report.kept else ""
    click.echo(
        f"{', '.join(report.domains)}: {report.added} dialogues added, "
        f"{report.replaced} replaced, {report.unchanged} unchanged{kept}"
    )
    for domain in report.updated:
        click.echo(f"{domain}: its schema was replaced")
    if report.waiting:
        (domain,) = report.domains if len(report.domains) == 1 else ("DOMAIN",)
        click.echo(f"{report.waiting} wait for labels: rasa-onramp label {domain}")
