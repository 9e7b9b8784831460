"""Stores with many domains, made of our own, in PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import sqlalchemy as sa
from tqdm import tqdm

from cost_measures import seconds_of
from rasa_onramp.dialogue import Corpus, Dialogue, Schema
from rasa_onramp.formats import read
from rasa_onramp.memory import MEGABYTE
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.store import Store, open_store
from rasa_onramp.store.connect import make_engine, parse_url

__all__ = ["Domain", "Figures", "base_domains", "companies", "filled", "variants"]

ROOT = Path(__file__).resolve().parent.parent

#: Of each domain's dialogues: support, those that are imported, and all with the copies.
SUPPORT, IMPORTED, DIALOGUES = 5, 6, 100

Figures = Dict[str, Any]
Domain = Tuple[Schema, Tuple[Dialogue, ...]]


def base_domains(most: Optional[int] = None) -> List[Domain]:
    """Our own domains with seven dialogues or more: the first `most`, or all."""
    found: List[Domain] = []
    folders = ("dialogue_data", "training_data/dev", "training_data/dialogues")
    paths = [path for folder in folders for path in sorted((ROOT / folder).glob("*.yml"))]
    for path in tqdm(paths[:most], desc="read", unit="file"):
        tasks = tasks_of(read(path))
        found += [(task.schema, task.alone) for task in tasks if len(task.alone) > IMPORTED]
    return found


def companies() -> Iterator[str]:
    """Names of companies that there aren't."""
    heads = ("Alder", "Brisk", "Cinder", "Dorn", "Ember", "Fallow", "Gannet", "Heron", "Isolde")
    tails = ("worth", "ley", "gate", "mere", "stone", "brook", "field", "wick", "ton")
    for tail in tails:
        for head in heads:
            yield f"{head}{tail}"


def variants(domains: Sequence[Domain], count: int) -> List[Domain]:
    """`count` domains of different names, each variant with a company of its own."""
    names, found = list(companies()), []
    for number in range(count):
        schema, dialogues = domains[number % len(domains)]
        company = names[number // len(domains) % len(names)]
        name = f"{schema.name}_{number:07}"
        made = tuple(
            replace(
                dialogue,
                id=f"d{place}",
                domain=name,
                split="support" if place < SUPPORT else "held-out",
                turns=tuple(
                    # behind the text, so that marks stay where they are
                    replace(turn, text=f"{turn.text} - {company}") if turn.is_user else turn
                    for turn in dialogue.turns
                ),
            )
            for place, dialogue in enumerate(dialogues[:IMPORTED])
        )
        found.append((replace(schema, name=name), made))
    return found


def copied(store: Store, most: int) -> None:
    """Copy the held-out dialogues of every domain inside the database, up to `most` dialogues."""
    copies = f"FROM generate_series(1, {most - IMPORTED}) AS k, "
    with store._database.writing() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO dialogues (domain, id, split, position, digest, updated_at) "
                f"SELECT domain, id || '-' || k, split, position + k, md5(domain || k) || "
                f"md5(id || k), updated_at {copies} dialogues AS d WHERE d.split = 'held-out'"
            )
        )
        columns = "speaker, text, state, action, parameters, results, spans"
        connection.execute(
            sa.text(
                f"INSERT INTO turns (domain, dialogue, position, {columns}) "
                f"SELECT t.domain, t.dialogue || '-' || k, t.position, {columns} {copies} "
                f"turns AS t WHERE t.dialogue = 'd{IMPORTED - 1}'"
            )
        )


def adapters(store: Store, domain: str, weights: bytes, checkpoint: str) -> None:
    """An active adapter version for every domain: `weights`, which are all of a kind."""
    store.adapters.add(domain, weights, support_digest="", checkpoint_digest=checkpoint, figures={})
    with store._database.writing() as connection:
        names = ("version", "weights", "digest", "support_digest", "checkpoint_digest", "figures")
        columns = ", ".join([*names, "created_at"])
        given = ", ".join(f"a.{name}" for name in [*names, "created_at"])
        connection.execute(
            sa.text(
                f"INSERT INTO adapters (domain, {columns}) SELECT d.name, {given} FROM domains AS "
                "d, adapters AS a WHERE d.name <> a.domain"
            )
        )
        connection.execute(
            sa.text(
                "INSERT INTO active_adapters (domain, version) SELECT name, 1 FROM domains WHERE "
                "name NOT IN (SELECT domain FROM active_adapters)"
            )
        )


def filled(url: str, domains: Sequence[Domain], weights: bytes, checkpoint: str) -> Figures:
    """A store with these domains; how long the import took."""
    corpus = Corpus({s.name: s for s, _ in domains}, tuple(d for _, ds in domains for d in ds))
    with open_store(url) as store:
        store.upgrade()
        seconds = seconds_of(lambda: store.dialogues.import_corpus(corpus))
        copied(store, DIALOGUES)
        adapters(store, domains[0][0].name, weights, checkpoint)
    engine = make_engine(parse_url(url)).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
        counted = {
            table: connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar()
            for table in ("domains", "dialogues", "turns")
        }
        size = connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar()
    engine.dispose()
    return {
        **counted,
        "database_mb": round((size or 0) / MEGABYTE),
        "imported_a_second": round(len(corpus.dialogues) / seconds),
    }
