"""rasa-onramp export"""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import click
from tqdm import tqdm

from rasa_onramp.cli.options import progress_bar, progress_option, refuse_names_and_all
from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats.sgd_corpus import write_sgd
from rasa_onramp.formats.sgd_write import check_no_json
from rasa_onramp.formats.yaml import TooLarge, yaml_file
from rasa_onramp.store import open_store

__all__ = ["command"]

#: Dialogues a YAML file; fewer where they are so long that they don't fit into one.
_A_FILE = 500

_YAML = (".yml", ".yaml")

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
    help="Only the dialogues of this split; those of no split are among the support dialogues. "
    "SGD's format can't say which split they are.",
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
    refuse_names_and_all(domains, everything)
    with open_store() as store:
        chosen = store.dialogues.domains() if everything else tuple(dict.fromkeys(domains))
        if not chosen:
            raise ConfigError("no domain given; name domains, or use --all")
        waiting = {s.name: s.n_waiting for s in store.dialogues.summary() if s.n_waiting}
        found = store.dialogues.with_schemas(chosen, split)
    total = sum(len(dialogues) for _, dialogues in found)
    with progress_bar(progress, total=total, desc="export", unit="dialogue") as bar:
        (_write_sgd if name == "sgd" else _write_yaml)(found, Path(out), bar)
    click.echo(f"{out}: {', '.join(chosen)}, {total} dialogues")
    for domain in chosen:
        if domain in waiting:
            click.echo(f"{domain}: {waiting[domain]} wait for labels and were left out")


def _write_yaml(found: _Domains, out: Path, bar: tqdm) -> None:
    if out.suffix.lower() in _YAML:
        if len(found) > 1:
            raise ConfigError(f"{out} is one file for {len(found)} domains; name a folder")
        ((schema, dialogues),) = found
        with _whole(out.parent) as folder, _refused(schema, "name a folder instead"):
            _check_free([out])
            (folder / out.name).write_bytes(yaml_file(schema, dialogues))
        bar.update(len(dialogues))
        return
    stems = _stems([schema.name for schema, _ in found])
    taken = {stem.lower(): schema.name for stem, (schema, _) in zip(stems, found)}
    with _whole(out) as folder:
        _check_free(out / f"{stem}{suffix}" for stem in stems for suffix in (".yml", "_001.yml"))
        for stem, (schema, dialogues) in zip(stems, found):
            with _refused(schema, "try --format sgd"):
                files = list(_files(schema, dialogues, bar))
            for number, data in enumerate(files, start=1):
                name = f"{stem}_{number:03}" if len(files) > 1 else stem
                if taken.get(name.lower(), schema.name) != schema.name:
                    raise _one_file(taken[name.lower()], schema.name)
                (folder / f"{name}.yml").write_bytes(data)


def _files(schema: Schema, dialogues: Sequence[Dialogue], bar: tqdm) -> Iterator[bytes]:
    """What the files of a domain hold, in order: one at least."""
    starts = range(0, len(dialogues), _A_FILE) or (0,)
    pieces: List[Sequence[Dialogue]] = [dialogues[at : at + _A_FILE] for at in reversed(starts)]
    while pieces:
        piece = pieces.pop()
        try:
            yield yaml_file(schema, piece)
        except TooLarge:
            if len(piece) < 2:
                raise
            pieces += [piece[len(piece) // 2 :], piece[: len(piece) // 2]]
            continue
        bar.update(len(piece))


def _stems(domains: Sequence[str]) -> List[str]:
    """What the files of `domains` are called."""
    taken: Dict[str, str] = {}
    stems = []
    for domain in domains:
        # a name may hold anything where it came from a foreign file
        stems.append(re.sub(r"[^\w.-]", "_", domain).lstrip(".") or "domain")
        if taken.setdefault(stems[-1].lower(), domain) != domain:
            raise _one_file(taken[stems[-1].lower()], domain)
    return stems


def _one_file(domain: str, other: str) -> ConfigError:
    return ConfigError(f"{domain!r} and {other!r} would be one file; export them one by one")


def _write_sgd(found: _Domains, out: Path, bar: tqdm) -> None:
    check_no_json(out)
    schemas = {schema.name: schema for schema, _ in found}
    with _whole(out) as folder:
        try:
            write_sgd(folder, schemas, (d for _, dialogues in found for d in dialogues))
        except ValueError as error:
            raise ConfigError(f"{error}; try --format yaml") from error
    bar.update(bar.total)


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A folder to write into. At the end its files are moved into the folder `out`; after an error
    there are none. Raises ConfigError.
    """
    try:
        # on the same disk, as far as one can tell
        there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
        with TemporaryDirectory(dir=there, prefix=".onramp-export-") as made:
            yield Path(made)
            files = sorted(Path(made).iterdir())
            _check_free(out / file.name for file in files)
            out.mkdir(parents=True, exist_ok=True)
            for file in files:
                file.rename(out / file.name)
    except OSError as error:
        message = f"{out} can't be written ({error.strerror}); choose another place"
        raise ConfigError(message) from error


@contextmanager
def _refused(schema: Schema, instead: str) -> Iterator[None]:
    """Says what our YAML can't say."""
    try:
        yield
    except TooLarge as error:
        raise ConfigError(f"{schema.name}: {error}; {instead}") from error
    except ValueError as error:
        raise ConfigError(f"{schema.name}: {error}; try --format sgd") from error


def _check_free(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path} is there already; choose another place")
