"""rasa-onramp export"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import click
from tqdm import tqdm

from rasa_onramp.cli.options import progress_bar, progress_option
from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats.sgd_corpus import write_sgd
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.store import open_store

__all__ = ["command"]

#: Dialogues a YAML file: well below the most bytes that one may hold.
_A_FILE = 500

_Domains = Sequence[Tuple[Schema, Sequence[Dialogue]]]


@click.command("export")
@click.argument("domains", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Export every domain of the store.")
@click.option(
    "--format",
    "name",
    type=click.Choice(["yaml", "sgd"]),
    default="yaml",
    show_default=True,
    help="Our YAML, which says all that the store holds, or SGD's format.",
)
@click.option(
    "--out",
    type=click.Path(),
    required=True,
    help="Where to: a folder, or for one domain as YAML a file that ends in .yml. Nothing that is "
    "there is overwritten.",
)
@click.option(
    "--split",
    type=click.Choice(["support", "held-out"]),
    default=None,
    help="Only the dialogues of this split. SGD's format can't say which split they are.",
)
@progress_option
def command(
    domains: Tuple[str, ...],
    everything: bool,
    name: str,
    out: str,
    split: Optional[str],
    progress: Optional[bool],
) -> None:
    """Write DOMAINS and their dialogues as files, which `import` reads back.

    Dialogues that wait for labels are left out.
    """
    with open_store() as store:
        chosen = store.dialogues.domains() if everything else tuple(dict.fromkeys(domains))
        if not chosen:
            raise ConfigError("no domain given; name domains, or use --all")
        waiting = {s.name: s.n_waiting for s in store.dialogues.summary() if s.n_waiting}
        found = [
            (store.dialogues.schema(domain), store.dialogues.dialogues(domain, split))
            for domain in chosen
        ]
    total = sum(len(dialogues) for _, dialogues in found)
    with progress_bar(progress, total=total, desc="export", unit="dialogue") as bar:
        (_write_sgd if name == "sgd" else _write_yaml)(found, Path(out), bar)
    click.echo(f"{out}: {', '.join(chosen)}, {total} dialogues")
    for domain in chosen:
        if domain in waiting:
            click.echo(f"{domain}: {waiting[domain]} wait for labels and were left out")


def _write_yaml(found: _Domains, out: Path, bar: tqdm) -> None:
    parts = list(_parts(found, out))
    for path, _, _ in parts:
        if path.exists():
            raise ConfigError(f"{path} is there already; choose another place")
    try:
        (out.parent if _names_a_file(out) else out).mkdir(parents=True, exist_ok=True)
        for path, schema, dialogues in parts:
            write_yaml(path, schema, dialogues)
            bar.update(len(dialogues))
    except OSError as error:
        message = f"{out} can't be written ({error.strerror}); choose another place"
        raise ConfigError(message) from error
    except ValueError as error:
        message = f"{schema.name}: {error}; try --format sgd"
        raise ConfigError(message) from error


def _parts(found: _Domains, out: Path) -> Iterator[Tuple[Path, Schema, Sequence[Dialogue]]]:
    """The files to write, with what each is to hold."""
    if _names_a_file(out):
        if len(found) > 1:
            raise ConfigError(f"{out} is one file for {len(found)} domains; name a folder")
        yield (out, *found[0])
        return
    taken: Dict[str, str] = {}
    for schema, dialogues in found:
        # a name may hold anything where it came from a foreign file
        stem = re.sub(r"[^\w.-]", "_", schema.name).lstrip(".") or "domain"
        if taken.setdefault(stem.lower(), schema.name) != schema.name:
            message = f"{taken[stem.lower()]!r} and {schema.name!r} would be one file"
            raise ConfigError(f"{message}; export them one by one")
        pieces: List[Sequence[Dialogue]] = [
            dialogues[start : start + _A_FILE] for start in range(0, len(dialogues), _A_FILE)
        ]
        for number, piece in enumerate(pieces or [()], start=1):
            suffix = f"_{number:03}" if len(pieces) > 1 else ""
            yield out / f"{stem}{suffix}.yml", schema, piece


def _names_a_file(out: Path) -> bool:
    return out.suffix.lower() in (".yml", ".yaml")


def _write_sgd(found: _Domains, out: Path, bar: tqdm) -> None:
    schemas = {schema.name: schema for schema, _ in found}
    try:
        write_sgd(out, schemas, (d for _, dialogues in found for d in dialogues))
    except ValueError as error:
        raise ConfigError(f"{error}; try --format yaml") from error
    bar.update(bar.total)
