"""What a store does with a domain's versions in operation: pinning, going back, clearing out. One
suite, run on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from typing import Any, Callable, Iterator, List, Optional

import pytest
import sqlalchemy as sa

from rasa_onramp.errors import CheckpointError, ConfigError, NotFound
from rasa_onramp.store import Store, open_store, tables
from store_contract import PARCELS, corpus, dialogue

__all__ = ["VersionStoreContract"]

_SPAWN = multiprocessing.get_context("spawn")


class VersionStoreContract:
    """Subclasses give the fixture `url`: a database of the test's own, without tables."""

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        with open_store(url) as store:
            store.upgrade()
            store.dialogues.import_corpus(corpus(dialogue("a")))
            yield store

    def test_versions_say_what_is_active_pinned_and_has_run(self, store: Store) -> None:
        _add(store)
        _add(store, activate=False)
        store.adapters.pin("parcels", 2)
        first, second = store.adapters.versions("parcels")
        assert (first.active, first.pinned) == (True, False)
        assert first.switched_at is not None and first.switched_at >= first.created_at
        assert (second.active, second.pinned, second.switched_at) == (False, True, None)
        assert store.adapters.info("parcels", 2) == second
        store.adapters.activate("parcels", 2)
        again = store.adapters.versions("parcels")
        assert [info.active for info in again] == [False, True]
        assert again[1].switched_at is not None
        assert again[1].switched_at > first.switched_at

    def test_a_pinned_active_version_is_not_switched_from_but_by_hand(self, store: Store) -> None:
        _add(store)
        store.adapters.pin("parcels", 1)
        store.adapters.pin("parcels", 1)  # once more changes nothing
        revision = store.revision()
        assert _add(store) == 2
        assert _active(store) == 1
        assert store.revision() == revision
        store.adapters.activate("parcels", 2)
        assert _active(store) == 2
        assert _add(store) == 3  # the pinned one isn't active
        assert _active(store) == 3
        store.adapters.activate("parcels", 1)
        store.adapters.unpin("parcels", 1)
        store.adapters.unpin("parcels", 1)
        assert _add(store) == 4
        assert _active(store) == 4

    def test_rolling_back_goes_to_what_ran_before(self, store: Store) -> None:
        _add(store)
        _add(store, activate=False)  # never ran
        _add(store)
        revision = store.revision()
        assert store.adapters.rollback("parcels") == 1
        assert store.revision() == revision + 1
        assert _active(store) == 1
        with pytest.raises(NotFound, match="runs on version 1, and none before it was active; `ra"):
            store.adapters.rollback("parcels")
        store.adapters.activate("parcels", None)
        with pytest.raises(NotFound, match="runs on no version; `rasa-onramp versions list parc"):
            store.adapters.rollback("parcels")
        assert _active(store) is None

    def test_rolling_back_goes_back_from_what_is_active_when_it_does(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker switches to the version that it made while somebody rolls back."""
        _add(store)
        _add(store)
        check = store.adapters.get

        def meanwhile(*named: Any) -> Any:
            monkeypatch.undo()
            _add(store)
            return check(*named)

        monkeypatch.setattr(store.adapters, "get", meanwhile)
        assert store.adapters.rollback("parcels") == 2
        assert _active(store) == 2

    def test_rolling_back_goes_to_none_that_was_rolled_back_from(self, store: Store) -> None:
        for _ in range(3):
            _add(store)
        assert store.adapters.rollback("parcels") == 2  # 3 was bad
        _add(store)
        assert store.adapters.rollback("parcels") == 2  # as was 4
        assert store.adapters.rollback("parcels") == 1

    def test_rolling_back_twice_goes_further_back(self, store: Store) -> None:
        for _ in range(3):
            _add(store)
        assert [store.adapters.rollback("parcels") for _ in range(2)] == [2, 1]

    def test_a_switch_to_a_version_of_another_checkpoint_is_warned_of(self, store: Store) -> None:
        _add(store)
        _add(store, checkpoint="another")
        _add(store, checkpoint="another")
        assert store.adapters.switch_warning("parcels", 2) is None
        for before in (3, None, 9):
            assert store.adapters.switch_warning("parcels", before) is None
        said = store.adapters.switch_warning("parcels", 1)
        assert said is not None
        assert said.startswith("version 3 was made from another checkpoint than version 1: a bot w")
        store.adapters.activate("parcels", None)
        assert store.adapters.switch_warning("parcels", 1) is None

    @pytest.mark.parametrize("part", ["weights", "reply_weights"])
    def test_a_damaged_version_is_not_switched_to(self, store: Store, part: str) -> None:
        _add(store, reply=b"r")
        _add(store)
        with store._database.writing() as connection:
            first = tables.adapters.c.version == 1
            connection.execute(sa.update(tables.adapters).where(first).values({part: b"x"}))
        for call in (lambda: store.adapters.activate("parcels", 1), _rollback(store)):
            with pytest.raises(CheckpointError, match="version 1 of domain 'parcels' doesn't mat"):
                call()
        assert _active(store) == 2

    def test_clearing_out_keeps_the_newest_the_active_and_the_pinned(self, store: Store) -> None:
        for _ in range(7):
            _add(store)
        store.adapters.pin("parcels", 2)
        store.adapters.activate("parcels", 4)
        revision = store.revision()
        assert store.adapters.collect("parcels", 2, dry_run=True) == (1, 5)
        assert len(store.adapters.versions("parcels")) == 7
        assert store.adapters.collect("parcels", 2) == (1, 5)
        assert [info.version for info in store.adapters.versions("parcels")] == [2, 3, 4, 6, 7]
        assert store.adapters.collect("parcels", 2) == ()
        assert store.adapters.collect("parcels", 9) == ()
        assert store.revision() == revision  # nothing that runs has changed
        assert store.adapters.collect("parcels", 1) == (3, 6)  # nor is it kept to roll back to
        assert store.adapters.rollback("parcels") == 2  # 3, which ran before 4, is gone
        assert _add(store) == 8  # no number is given twice

    def test_clearing_out_keeps_what_is_rolled_back_to(self, store: Store) -> None:
        """Versions that were made, and not switched to, don't push it out."""
        _add(store)
        for _ in range(2):
            _add(store, activate=False)
        _add(store)
        assert store.adapters.collect("parcels", 2) == (2,)
        assert store.adapters.rollback("parcels") == 1

    def test_clearing_out_takes_marks_along_and_leaves_other_domains(self, store: Store) -> None:
        other = replace(PARCELS, name="letters")
        store.dialogues.import_corpus(corpus(schema=other))
        for domain in ("letters", "parcels"):
            for _ in range(2):
                _add(store, domain=domain)
        assert store.adapters.collect("parcels", 1) == (1,)
        with store._database.reading() as connection:
            ran = sa.select(tables.activations.c.domain, tables.activations.c.version)
            found = sorted(map(tuple, connection.execute(ran)))
        assert found == [("letters", 1), ("letters", 2), ("parcels", 2)]

    def test_none_can_be_kept_only_by_keeping_the_domain(self, store: Store) -> None:
        _add(store)
        with pytest.raises(ConfigError, match="0 versions can't be kept; keep 1 or more"):
            store.adapters.collect("parcels", 0)

    def test_what_is_not_there_is_named(self, store: Store) -> None:
        calls: List[Callable[[str], Any]] = [
            lambda name: store.adapters.pin(name, 1),
            lambda name: store.adapters.unpin(name, 1),
            lambda name: store.adapters.info(name, 1),
            lambda name: store.adapters.rollback(name),
            lambda name: store.adapters.collect(name, 1),
            lambda name: store.adapters.collect(name, 1, dry_run=True),
        ]
        for call in calls:
            with pytest.raises(NotFound, match=r"no domain 'parcel'; did you mean 'parcels'\?$"):
                call("parcel")
        for call in calls[:3]:
            with pytest.raises(NotFound, match="no adapter version 1; it has none yet"):
                call("parcels")

    def test_processes_pin_switch_and_clear_out_at_once(self, url: str, store: Store) -> None:
        _add(store)
        processes = [_SPAWN.Process(target=_work, args=(url,)) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0] * 3
        infos = store.adapters.versions("parcels")
        assert sum(info.active for info in infos) == 1
        assert infos[-1].version == 1 + 3 * 4
        store.adapters.collect("parcels", 1)
        left = store.adapters.versions("parcels")
        assert [i.version for i in left if not (i.active or i.pinned)] in ([], [13])
        assert not any(info.pinned for info in left)


def _add(
    store: Store,
    *,
    domain: str = "parcels",
    activate: bool = True,
    reply: Optional[bytes] = None,
    checkpoint: str = "checkpoint",
) -> int:
    return store.adapters.add(
        domain,
        b"weights",
        support_digest="support",
        checkpoint_digest=checkpoint,
        figures={},
        activate=activate,
        reply_weights=reply,
        reply_checkpoint_digest=None if reply is None else "base",
    )


def _active(store: Store) -> Optional[int]:
    active = store.adapters.active("parcels")
    return None if active is None else active.version


def _rollback(store: Store) -> Callable[[], int]:
    return lambda: store.adapters.rollback("parcels")


def _work(url: str) -> None:
    """What other processes do."""
    with open_store(url) as store:
        for _ in range(4):
            version = _add(store)
            try:
                store.adapters.pin("parcels", version)
            except NotFound:  # another had switched to its own and cleared this one out
                continue
            store.adapters.activate("parcels", version)
            store.adapters.collect("parcels", 1)
            store.adapters.unpin("parcels", version)
