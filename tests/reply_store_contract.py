"""What a store does with the replies' weights, with judgements, and with a store of version 0001:
one suite, run on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import multiprocessing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Iterator, List, Set

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import rasa_onramp.store.migrations
from rasa_onramp.errors import CheckpointError, NotFound, StoreError, StoreUnavailable
from rasa_onramp.store import Pick, ReplyAdapter, Store, Tally, open_store, tables
from rasa_onramp.store.connect import make_engine, parse_url
from rasa_onramp.store.digest import bytes_digest
from store_contract import corpus, dialogue

__all__ = ["ReplyStoreContract"]

REPLY_COLUMNS = {"reply_weights", "reply_digest", "reply_checkpoint_digest"}
FIRST = Pick("pair-1", "Hotels_4", "adapted", "retrieval", "method_a", "Ann")
SECOND = Pick("pair-2", "Hotels_4", "adapted", "retrieval", "tie", "Ann")
_SPAWN = multiprocessing.get_context("spawn")


class ReplyStoreContract:
    """Subclasses give the fixture `url`: a database of the test's own, without tables."""

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        with open_store(url) as store:
            store.upgrade()
            store.dialogues.import_corpus(corpus(dialogue("a")))
            yield store

    # The replies' weights

    def test_a_version_may_have_reply_weights(self, store: Store) -> None:
        assert _add(store, b"one") == 1
        assert _add(store, b"two", reply_weights=b"\0\xffr", reply_checkpoint_digest="base") == 2
        digest = bytes_digest(b"\0\xffr")
        assert store.adapters.reply("parcels", 1) is None
        reply = ReplyAdapter("parcels", 2, b"\0\xffr", digest, "base")
        assert store.adapters.reply("parcels", 2) == reply
        for found in (store.adapters.active("parcels"), store.adapters.get("parcels", 2)):
            assert found is not None
            assert (found.weights, found.checkpoint_digest) == (b"two", "checkpoint")
            assert (found.reply_digest, found.reply_checkpoint_digest) == (digest, "base")
        infos = store.adapters.versions("parcels")
        assert [info.reply_digest for info in infos] == [None, digest]
        assert [info.reply_checkpoint_digest for info in infos] == [None, "base"]

    def test_the_summary_says_which_reply_weights_are_active(self, store: Store) -> None:
        assert store.dialogues.summary()[0].active_reply_digest is None
        _add(store, b"same", reply_weights=b"r", reply_checkpoint_digest="base")
        (before,) = store.dialogues.summary()
        assert before.active_reply_digest == bytes_digest(b"r")
        # Made anew, with the same number and the same tracker: only this tells them apart.
        store.dialogues.delete_domain("parcels")
        store.dialogues.import_corpus(corpus(dialogue("a")))
        _add(store, b"same", reply_weights=b"s", reply_checkpoint_digest="base")
        (after,) = store.dialogues.summary()
        assert (after.active_version, after.active_digest) == (1, before.active_digest)
        assert after.active_reply_digest == bytes_digest(b"s")

    def test_ten_megabytes_come_back_and_are_read_only_when_asked_for(self, store: Store) -> None:
        weights = bytes(range(256)) * 40_000
        _add(store, b"w", reply_weights=weights, reply_checkpoint_digest="base")
        said: List[str] = []
        engine = store._database._engine
        sa.event.listen(engine, "before_cursor_execute", lambda *given: said.append(given[2]))
        store.adapters.active("parcels")
        store.adapters.get("parcels", 1)
        store.adapters.versions("parcels")
        store.dialogues.summary()
        store.adapters.activate("parcels", None)
        assert said
        assert [text for text in said if "reply_weights" in text] == []
        reply = store.adapters.reply("parcels", 1)
        assert reply is not None
        assert reply.weights == weights

    @pytest.mark.parametrize(
        "change",
        [
            {"reply_weights": b"weightz"},
            {"reply_weights": None},
            {"reply_digest": None},
            {"reply_digest": "0" * 64},
        ],
    )
    def test_damaged_reply_weights_are_refused(self, store: Store, change: dict) -> None:
        _add(store, b"w", reply_weights=b"weights", reply_checkpoint_digest="base")
        with store._database.writing() as connection:
            connection.execute(sa.update(tables.adapters).values(**change))
        mend = r"reply part of adapter version 1 of domain 'parcels' doesn't.*`rasa-onramp adapt p"
        with pytest.raises(CheckpointError, match=mend):
            store.adapters.reply("parcels", 1)
        assert store.adapters.get("parcels", 1).weights == b"w"  # the tracker's are whole

    def test_reply_weights_that_cannot_be_kept_are_refused(self, store: Store) -> None:
        with pytest.raises(StoreError, match="empty"):
            _add(store, b"w", reply_weights=b"", reply_checkpoint_digest="base")
        for half in ({"reply_weights": b"r"}, {"reply_checkpoint_digest": "base"}):
            with pytest.raises(StoreError, match="give both or neither"):
                _add(store, b"w", **half)
        assert store.adapters.versions("parcels") == ()

    def test_the_reply_part_of_what_is_not_there_is_named(self, store: Store) -> None:
        with pytest.raises(NotFound, match="no domain 'parcel'; did you mean 'parcels'"):
            store.adapters.reply("parcel", 1)
        with pytest.raises(NotFound, match="no adapter version 1; it has none yet"):
            store.adapters.reply("parcels", 1)

    # Judgements

    def test_adding_picks_again_changes_nothing(self, store: Store) -> None:
        revision = store.revision()
        assert store.judgements.add([FIRST, FIRST]) == 1
        assert store.judgements.add([FIRST, SECOND]) == 1
        before = _judgements(store)
        assert store.judgements.add([SECOND, FIRST]) == 0
        assert store.judgements.add([]) == 0
        assert _judgements(store) == before
        assert len(before) == 2
        assert store.revision() == revision  # a running bot has nothing to do with it

    def test_judges_pick_each_for_themselves(self, store: Store) -> None:
        others = [_changed(FIRST, winner="method_b", judge=judge) for judge in ("", "Bo")]
        assert store.judgements.add([FIRST, *others]) == 3
        assert store.judgements.tally() == (Tally("adapted", "retrieval", 1, 2, 0),)

    def test_picks_that_contradict_are_refused_with_all_others(self, store: Store) -> None:
        store.judgements.add([FIRST])
        before = _judgements(store)
        wrong = _changed(FIRST, winner="tie")
        for picks in ([SECOND, wrong], [SECOND, _changed(SECOND, winner="method_b")]):
            with pytest.raises(StoreError, match="judge 'Ann' picked otherwise on pair"):
                store.judgements.add(picks)
            assert _judgements(store) == before

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"winner": "adapted"}, "pair 'pair-1' has winner 'adapted'.*method_a, method_b, tie"),
            ({"method_b": "adapted"}, "name two methods"),
            ({"judge": "nul \0"}, "judge 'nul .*NUL"),
            ({"judge": "half \ud83d"}, "judge 'half .*surrogate"),
        ],
    )
    def test_picks_that_cannot_be_kept_are_refused(
        self, store: Store, change: dict, message: str
    ) -> None:
        with pytest.raises(StoreError, match=message):
            store.judgements.add([SECOND, _changed(FIRST, **change)])
        assert store.judgements.tally() == ()

    def test_the_tally_is_by_pair_of_methods_whatever_their_order(self, store: Store) -> None:
        def picks(first: str, second: str, winners: str) -> List[Pick]:
            names = {"a": "method_a", "b": "method_b", "t": "tie"}
            return [
                Pick(f"{first} {second} {number}", "S", first, second, names[winner])
                for number, winner in enumerate(winners)
            ]

        store.judgements.add(picks("adapted", "retrieval", "aabt"))
        store.judgements.add(picks("retrieval", "adapted", "abbb"))
        store.judgements.add(picks("zero", "adapted", "a"))
        assert store.judgements.tally() == (
            Tally("adapted", "retrieval", wins=5, losses=2, ties=1),
            Tally("adapted", "zero", wins=0, losses=1, ties=0),
        )

    def test_processes_add_the_same_picks_at_once(self, url: str, store: Store) -> None:
        processes = [_SPAWN.Process(target=_judge, args=(url,)) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0] * 3
        assert len(_judgements(store)) == 100

    # The migration

    def test_a_store_of_version_0001_is_upgraded_and_keeps_everything(self, url: str) -> None:
        _migrate(url, command.upgrade, "0001")
        assert not _columns(url) & REPLY_COLUMNS
        old = _fill(url)
        with open_store(url) as store:
            with pytest.raises(StoreUnavailable, match=r"older version \(0001.*`rasa-onramp init`"):
                store.revision()
            store.upgrade()
            assert _columns(url) >= REPLY_COLUMNS
            assert _content(url) == old
            active = store.adapters.active("parcels")
            assert active is not None
            assert (active.version, active.weights, active.reply_digest) == (1, b"one", None)
            assert store.adapters.reply("parcels", 1) is None
            assert store.judgements.tally() == ()
            made = [info.created_at for info in store.adapters.versions("parcels")]
            assert [i.switched_at for i in store.adapters.versions("parcels")] == made
            assert _add(store, b"3", reply_weights=b"r", reply_checkpoint_digest="base") == 3
            assert store.judgements.add([FIRST]) == 1

    def test_downgrading_keeps_all_that_version_0001_had(self, url: str) -> None:
        _migrate(url, command.upgrade, "0001")
        shape, old = _shape(url), _fill(url)
        with open_store(url) as store:
            store.upgrade()
            store.judgements.add([FIRST])
        _migrate(url, command.downgrade, "0001")
        assert _shape(url) == shape
        assert _content(url) == old
        with open_store(url) as store:
            store.upgrade()
            assert store.adapters.active("parcels").version == 1  # type: ignore[union-attr]
            assert store.judgements.tally() == ()


def _add(store: Store, weights: bytes, **more: Any) -> int:
    return store.adapters.add(
        "parcels",
        weights,
        support_digest="support",
        checkpoint_digest="checkpoint",
        figures={},
        **more,
    )


def _changed(pick: Pick, **fields: str) -> Pick:
    return Pick(**{**pick.__dict__, **fields})


def _judgements(store: Store) -> List[str]:
    with store._database.reading() as connection:
        return sorted(map(repr, connection.execute(sa.select(tables.judgements))))


def _judge(url: str) -> None:
    with open_store(url) as store:
        store.judgements.add(Pick(f"pair-{n}", "S", "adapted", "zero", "tie") for n in range(100))


def _migrate(url: str, direction: Callable[[Config, str], None], revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(rasa_onramp.store.migrations.__path__[0])))
    engine = make_engine(parse_url(url))
    with engine.execution_options(onramp_write=True).begin() as connection:
        config.attributes["connection"] = connection
        direction(config, revision)
    engine.dispose()


#: The tables that version 0001 hasn't.
_LATER = ("activations", "changes", "curves", "embeddings", "feedback", "jobs")
_LATER += ("judgements", "labels", "pins")
#: The columns that it has.
_OLD = {
    table: [c for c in table.columns if c.name not in (*REPLY_COLUMNS, "review")]
    for name, table in tables.metadata.tables.items()
    if name not in _LATER
}


def _fill(url: str) -> dict:
    """Write a row or two into each table, as the program of version 0001 did; all content."""
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    adapter = {
        "domain": "parcels",
        "support_digest": "support",
        "checkpoint_digest": "checkpoint",
        "figures": {"after": {"jga": 0.5}},
        "created_at": now,
    }
    turn = {"domain": "parcels", "dialogue": "a", "position": 0, "speaker": "user", "text": "hi"}
    schema = {"name": "parcels", "description": "", "slots": [], "intents": [], "actions": []}
    dated = {"digest": "d", "updated_at": now}
    rows = [
        (tables.domains, {"name": "parcels", "schema": schema, **dated}),
        (tables.dialogues, {"domain": "parcels", "id": "a", "position": 0, **dated}),
        (tables.turns, {**turn, "parameters": {}, "results": [], "spans": []}),
        (
            tables.adapters,
            {**adapter, "version": 1, "weights": b"one", "digest": bytes_digest(b"one")},
        ),
        (
            tables.adapters,
            {**adapter, "version": 2, "weights": b"two", "digest": bytes_digest(b"two")},
        ),
        (tables.active_adapters, {"domain": "parcels", "version": 1}),
    ]
    engine = make_engine(parse_url(url))
    with engine.execution_options(onramp_write=True).begin() as connection:
        for table, row in rows:
            connection.execute(sa.insert(table).values(**row))
    engine.dispose()
    return _content(url)


def _content(url: str) -> dict:
    engine = make_engine(parse_url(url))
    with engine.connect() as connection:
        found = {
            table.name: sorted(map(repr, connection.execute(sa.select(*columns))))
            for table, columns in _OLD.items()
        }
    engine.dispose()
    assert all(found.values())
    return found


def _columns(url: str) -> Set[str]:
    engine = make_engine(parse_url(url))
    with engine.connect() as connection:
        found = {column["name"] for column in sa.inspect(connection).get_columns("adapters")}
    engine.dispose()
    return found


def _shape(url: str) -> dict:
    """Tables with their columns and foreign keys."""
    engine = make_engine(parse_url(url))
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        found = {
            name: (
                [(column["name"], column["nullable"]) for column in inspector.get_columns(name)],
                inspector.get_pk_constraint(name)["constrained_columns"],
                [key["options"] for key in inspector.get_foreign_keys(name)],
            )
            for name in inspector.get_table_names()
        }
    engine.dispose()
    return found
