"""What a store must do on every database: one suite, run on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, List, Optional

import pytest
import sqlalchemy as sa

from rasa_onramp.dialogue import (
    Action,
    Corpus,
    Dialogue,
    Intent,
    Schema,
    Slot,
    Span,
    State,
    Turn,
)
from rasa_onramp.errors import (
    CheckpointError,
    ConfigError,
    FormatError,
    NotFound,
    StoreError,
    StoreUnavailable,
)
from rasa_onramp.store import (
    Embeddings,
    ImportReport,
    Intake,
    Label,
    Store,
    open_store,
    support_digest,
    tables,
)
from rasa_onramp.store.connect import make_engine, parse_url
from servers import wait_for

__all__ = ["PARCELS", "StoreContract", "corpus", "count", "dialogue"]

PARCELS = Schema(
    "parcels",
    "Track and redirect parcels",
    slots=(
        Slot("number", "Number on the delivery note"),
        Slot("window", "Part of the day", ("morning", "afternoon")),
        Slot("status", "Where the parcel is"),
    ),
    intents=(
        Intent("track", "Find out where a parcel is", ("number",)),
        Intent("redirect", "Send it elsewhere", ("number",), {"window": "dontcare"}),
    ),
    actions=(Action("find", "Look it up", ("number",), ("status",), "http://localhost/find"),),
)
_SPAWN = multiprocessing.get_context("spawn")


def count(store: Store) -> int:
    """How often its content has changed."""
    return store.revision() % 2**32


def dialogue(name: str, text: str = "hi, RX48", split: Optional[str] = "support") -> Dialogue:
    """A dialogue of PARCELS that fills every field."""
    return Dialogue(
        id=name,
        domain="parcels",
        split=split,
        turns=(
            Turn(
                "user",
                text,
                state=State(
                    {"window": ("morning",), "number": ("RX48", "rx 48")}, "track", ("status",)
                ),
                spans=(Span("number", 4, 8),),
            ),
            Turn(
                "system",
                "It is “in transit” 📦, O'Brien; 100% % -- \\ \n\ttab",
                action="find",
                parameters={"number": "RX48"},
                results=({"status": "in transit"}, {"status": "lost"}),
                spans=(Span("status", 7, 17),),
            ),
            Turn("user", "what's the weather"),
        ),
    )


def corpus(*dialogues: Dialogue, schema: Schema = PARCELS) -> Corpus:
    """A corpus of one domain."""
    return Corpus({schema.name: schema}, dialogues)


def many(count: int, text: str = "hi, RX48") -> Corpus:
    """A corpus of `count` dialogues."""
    return corpus(*(dialogue(f"parcel-{number:04}", text) for number in range(count)))


class StoreContract:
    """Subclasses give the fixture `url`: a database of the test's own, without tables."""

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        with open_store(url) as store:
            store.upgrade()
            yield store

    def test_trying_to_write_changes_nothing(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a")))
        before = store.revision()
        store.try_writing()
        assert store.revision() == before
        store.dialogues.import_corpus(corpus(dialogue("b")))
        assert store.revision() > before

    # Dialogues

    def test_what_is_imported_comes_back_equal(self, store: Store) -> None:
        given = corpus(dialogue("b"), dialogue("a", split="held-out"), dialogue("c", split=None))
        store.dialogues.import_corpus(given)
        assert store.dialogues.schema("parcels") == PARCELS
        assert store.dialogues.dialogues("parcels") == given.dialogues  # in the corpus's order
        assert store.dialogues.domains() == ("parcels",)

    def test_a_mapping_keeps_its_order(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a")))
        state = store.dialogues.dialogues("parcels")[0].turns[0].state
        assert state is not None
        assert list(state.values) == ["window", "number"]

    @pytest.mark.parametrize("text", ["", r"a \u0000 b", "\\", "\x01\x7f\ufeff\u2028", "🚚é中"])
    def test_any_text_comes_back(self, store: Store, text: str) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a", text)))
        assert store.dialogues.dialogues("parcels") == (dialogue("a", text),)

    def test_a_schema_alone_and_a_dialogue_without_turns_are_kept(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus())
        assert store.dialogues.dialogues("parcels") == ()
        empty = Dialogue("e", "parcels", ())
        store.dialogues.import_corpus(corpus(empty))
        assert store.dialogues.dialogues("parcels") == (empty,)

    def test_one_split_is_read_at_a_time(self, store: Store) -> None:
        store.dialogues.import_corpus(
            corpus(dialogue("a"), dialogue("b", split="held-out"), dialogue("c", split=None))
        )
        ids = {
            split: [found.id for found in store.dialogues.dialogues("parcels", split)]
            for split in (None, "support", "held-out")
        }
        assert ids == {None: ["a", "b", "c"], "support": ["a", "c"], "held-out": ["b"]}
        with pytest.raises(ConfigError, match="'support' or 'held-out'"):
            store.dialogues.dialogues("parcels", "test")

    def test_importing_again_changes_nothing(self, store: Store) -> None:
        first = store.dialogues.import_corpus(many(3))
        assert first == ImportReport(("parcels",), added=3, replaced=0, unchanged=0)
        before = (store.revision(), self._rows(store))
        again = store.dialogues.import_corpus(many(3))
        assert again == ImportReport(("parcels",), added=0, replaced=0, unchanged=3)
        assert (store.revision(), self._rows(store)) == before

    def test_a_changed_dialogue_is_replaced_and_the_others_stay(self, store: Store) -> None:
        a, b = dialogue("a"), dialogue("b")
        store.dialogues.import_corpus(corpus(a, b))
        shorter = replace(a, turns=a.turns[:1], split="held-out")
        report = store.dialogues.import_corpus(corpus(dialogue("c"), shorter))
        assert report == ImportReport(("parcels",), added=1, replaced=1, unchanged=0)
        assert store.dialogues.dialogues("parcels") == (shorter, b, dialogue("c"))

    def test_a_changed_schema_is_updated(self, store: Store) -> None:
        store.dialogues.import_corpus(many(2))
        wider = replace(PARCELS, slots=(*PARCELS.slots, Slot("depot")))
        revision = store.revision()
        report = store.dialogues.import_corpus(corpus(schema=wider))
        assert report == ImportReport(("parcels",), 0, 0, 0, updated=("parcels",))
        assert store.dialogues.schema("parcels") == wider
        assert len(store.dialogues.dialogues("parcels")) == 2
        assert store.revision() > revision

    def test_a_schema_that_was_read_before_must_be_the_same_still(self, store: Store) -> None:
        known = Intake(schemas_known=True)
        with pytest.raises(
            StoreError, match="'parcels' was changed or deleted meanwhile; run this"
        ):
            store.dialogues.import_corpus(corpus(dialogue("a")), how=known)
        store.dialogues.import_corpus(corpus(dialogue("a")))
        assert store.dialogues.import_corpus(corpus(dialogue("b")), how=known).added == 1
        changed = replace(PARCELS, description="Parcels of ours")
        store.dialogues.import_corpus(Corpus({"parcels": changed}, ()))
        with pytest.raises(StoreError, match="run this again"):
            store.dialogues.import_corpus(corpus(dialogue("c")), how=known)
        assert store.dialogues.schema("parcels") == changed

    @pytest.mark.parametrize(
        ("narrower", "what"),
        [
            (replace(PARCELS, slots=PARCELS.slots[1:]), "slot 'number'"),
            (
                replace(PARCELS, slots=(*PARCELS.slots[::2], Slot("window", "", ("night",)))),
                "value 'morning' of slot 'window'",
            ),
            (replace(PARCELS, intents=PARCELS.intents[1:]), "intent 'track'"),
            (
                replace(
                    PARCELS,
                    intents=tuple(replace(one, required_slots=()) for one in PARCELS.intents),
                ),
                "slot 'number' among its intents' slots",
            ),
            (replace(PARCELS, actions=()), "action 'find'"),
        ],
    )
    def test_a_schema_may_not_drop_what_other_dialogues_use(
        self, store: Store, narrower: Schema, what: str
    ) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a")))
        before = (store.revision(), self._rows(store))
        other = Dialogue("b", "parcels", (Turn("user", "hello"),))
        with pytest.raises(StoreError, match=rf"lacks the {what}.*'a' uses in turn [12]; keep"):
            store.dialogues.import_corpus(corpus(other, schema=narrower))
        assert (store.revision(), self._rows(store)) == before
        # Together with a version of the dialogue that doesn't use it, it may.
        plain = Dialogue("a", "parcels", (Turn("user", "hello"),))
        store.dialogues.import_corpus(corpus(plain, schema=narrower))
        assert store.dialogues.schema("parcels") == narrower

    @pytest.mark.parametrize(
        "call", [{"parameters": {"status": "lost"}}, {"results": ({}, {"status": "lost"})}]
    )
    def test_a_schema_may_not_drop_what_a_call_alone_uses(self, store: Store, call: dict) -> None:
        turns = (Turn("user", "hello"), Turn("system", "One moment", action="find", **call))
        store.dialogues.import_corpus(corpus(Dialogue("a", "parcels", turns)))
        narrower = replace(PARCELS, slots=PARCELS.slots[:2])
        with pytest.raises(
            StoreError, match=r"lacks the slot 'status', .*'a' uses in turn 2; keep"
        ):
            store.dialogues.import_corpus(corpus(schema=narrower))

    def test_a_slot_may_come_to_take_any_value(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a")))
        free = replace(PARCELS, slots=(*PARCELS.slots[::2], Slot("window", "Part of the day")))
        store.dialogues.import_corpus(corpus(schema=free))
        assert store.dialogues.schema("parcels") == free

    def test_a_slot_that_comes_to_list_values_lists_those_there_are(self, store: Store) -> None:
        state = State({"number": ("Rx1", "Rx 1")})
        store.dialogues.import_corpus(corpus(Dialogue("a", "parcels", (Turn("user", "h", state),))))

        def listing(*values: str) -> Schema:
            (slot, *others) = PARCELS.slots
            assert slot.name == "number"
            return replace(PARCELS, slots=(replace(slot, values=values), *others))

        with pytest.raises(StoreError, match=r"lacks the value 'Rx 1' of slot 'number', .*turn 1"):
            store.dialogues.import_corpus(corpus(schema=listing("two")))
        store.dialogues.import_corpus(corpus(schema=listing("rx1", "two")))

    def test_what_is_labelled_may_be_replaced_or_removed_for_a_new_schema(
        self, store: Store
    ) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a")))
        mend = r"--replace-labelled .*`rasa-onramp remove parcels --dialogue ID`"
        with pytest.raises(StoreError, match=mend):
            store.dialogues.import_corpus(corpus(schema=replace(PARCELS, actions=())))

    def test_dialogues_of_one_id_may_stand_in_two_domains(self, store: Store) -> None:
        other = replace(PARCELS, name="letters")
        twin = replace(dialogue("a", "other text"), domain="letters")
        store.dialogues.import_corpus(
            Corpus({"parcels": PARCELS, "letters": other}, (dialogue("a"), twin))
        )
        assert store.dialogues.domains() == ("letters", "parcels")
        assert store.dialogues.dialogues("letters") == (twin,)
        assert store.dialogues.dialogues("parcels") == (dialogue("a"),)

    def test_summary_counts_and_says_what_is_active(self, store: Store) -> None:
        a, b = dialogue("a"), dialogue("b", split="held-out")
        store.dialogues.import_corpus(corpus(b, a))
        digest = support_digest(PARCELS, [a])
        (summary,) = store.dialogues.summary()
        assert (summary.name, summary.description) == ("parcels", "Track and redirect parcels")
        assert (summary.n_dialogues, summary.n_support, summary.n_held_out) == (2, 1, 1)
        assert (summary.active_version, summary.support_digest) == (None, digest)
        assert not summary.stale
        self._add(store, b"weights", digest=digest)
        (summary,) = store.dialogues.summary()
        assert (summary.active_version, summary.active_support_digest) == (1, digest)
        assert not summary.stale
        store.dialogues.import_corpus(corpus(dialogue("a", "another text")))
        (summary,) = store.dialogues.summary()
        assert summary.stale

    def test_a_version_that_waits_knows_what_a_stale_domain_is_now(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a")))
        digest = store.dialogues.glance("parcels").support_digest
        self._add(store, b"w", digest="of something else")
        assert store.dialogues.remade(store.dialogues.summary()) == {}
        for _ in range(2):
            self._add(store, b"w", digest=digest, activate=False)
        assert store.dialogues.remade(store.dialogues.summary()) == {"parcels": 3}
        store.adapters.add(
            *("parcels", b"w"),
            support_digest=digest,
            checkpoint_digest="another, with which a bot would abstain",
            figures={},
            activate=False,
        )
        assert store.dialogues.remade(store.dialogues.summary()) == {"parcels": 3}
        store.adapters.activate("parcels", 2)
        assert store.dialogues.remade(store.dialogues.summary()) == {}

    def test_progress_reaches_the_total(self, store: Store) -> None:
        calls: List[tuple] = []
        store.dialogues.import_corpus(many(1))
        store.dialogues.import_corpus(many(450), lambda *call: calls.append(call))
        assert calls == [(200, 450), (400, 450), (450, 450)]

    def test_dialogues_may_come_from_a_stream(self, store: Store) -> None:
        made: List[int] = []

        def stream() -> Iterator[Dialogue]:
            for number in range(450):
                made.append(number)
                yield dialogue(f"parcel-{number:04}")

        seen: List[tuple] = []

        def progress(done: int, total: Optional[int]) -> None:
            seen.append((done, len(made), total))

        report = store.dialogues.import_dialogues([PARCELS], stream(), progress=progress)
        assert report == ImportReport(("parcels",), added=450, replaced=0, unchanged=0)
        # all are read before anything is written
        assert seen == [(200, 450, None), (400, 450, None), (450, 450, None)]
        assert store.dialogues.dialogues("parcels") == many(450).dialogues

    def test_other_writers_do_not_wait_for_a_stream(self, store: Store) -> None:
        def stream() -> Iterator[Dialogue]:
            yield dialogue("a")
            store.dialogues.import_corpus(corpus(dialogue("b")))
            yield dialogue("c")

        store.dialogues.import_dialogues([PARCELS], stream())
        found = store.dialogues.dialogues("parcels")
        assert found == (dialogue("b"), dialogue("a"), dialogue("c"))
        assert store.dialogues.ids("parcels") == {"a", "b", "c"}
        assert store.dialogues.ids("none") == frozenset()

    def test_a_stream_without_room_is_one_clear_error(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any, **__: Any) -> Any:
            return Path("/dev/full").open("w", encoding="ascii")

        monkeypatch.setattr("rasa_onramp.store.import_buffer.TemporaryFile", full)
        with pytest.raises(StoreError, match=r"temporary file .*No space left.*TMPDIR"):
            store.dialogues.import_dialogues([PARCELS], iter([dialogue("a")]))

    def test_a_stream_that_breaks_leaves_the_store_as_it_was(self, store: Store) -> None:
        store.dialogues.import_corpus(many(2))
        before = (store.revision(), self._rows(store))

        def stream() -> Iterator[Dialogue]:
            yield from many(300, "a new text").dialogues
            raise FormatError("not readable", path="x", mend="mend it")

        with pytest.raises(FormatError):
            store.dialogues.import_dialogues([PARCELS], stream())
        assert (store.revision(), self._rows(store)) == before

    # Labels

    def test_dialogues_that_wait_for_labels_do_not_count(self, store: Store) -> None:
        a, b, c = dialogue("a"), dialogue("b"), dialogue("c", split="held-out")
        how = Intake(lambda dialogue: dialogue.id != "a")
        report = store.dialogues.import_corpus(corpus(a, b, c), how=how)
        assert (report.added, report.waiting) == (3, 2)
        assert store.dialogues.dialogues("parcels") == (a,)
        assert store.dialogues.dialogues("parcels", "held-out") == ()
        assert store.dialogues.dialogues("parcels", waiting=True) == (b, c)
        assert store.dialogues.dialogues("parcels", "held-out", waiting=True) == (c,)
        assert store.dialogues.dialogues("parcels", waiting=None) == (a, b, c)
        (summary,) = store.dialogues.summary()
        assert (summary.n_dialogues, summary.n_support, summary.n_held_out) == (3, 1, 0)
        assert summary.n_waiting == 2
        assert summary.support_digest == support_digest(PARCELS, [a])
        # the same content again, as it is: now they count
        report = store.dialogues.import_corpus(corpus(a, b))
        assert (report.unchanged, report.replaced, report.waiting) == (1, 1, 0)
        assert store.dialogues.dialogues("parcels") == (a, b)

    def test_labels_are_kept_as_such(self, store: Store) -> None:
        a = dialogue("a", split=None)
        wait = Intake(lambda dialogue: True)
        store.dialogues.import_corpus(corpus(a, dialogue("b")), how=wait)
        revision = store.revision()
        guess, right = State({"number": ("RX",)}), State({"number": ("RX48",)}, "track")
        turns = (replace(a.turns[0], state=right), *a.turns[1:])
        after = replace(a, turns=turns, split="support")
        store.labels.save(a, after, {0: guess, 2: State()}, version=3)
        assert store.revision() > revision
        assert store.dialogues.dialogues("parcels") == (after,)
        assert store.dialogues.dialogues("parcels", waiting=True) == (dialogue("b"),)
        labels = (Label("a", 0, guess, right, 3), Label("a", 2, State(), None, 3))
        assert store.labels.of("parcels") == labels
        assert [label.corrected for label in labels] == [True, True]
        # the file again, with whatever it says
        for again in (a, dialogue("a", "another text")):
            report = store.dialogues.import_corpus(corpus(again), how=wait)
            assert (report.kept, report.replaced, report.waiting) == (1, 0, 0)
        report = store.dialogues.import_corpus(corpus(after), how=wait)
        assert (report.kept, report.unchanged) == (0, 1)
        assert store.labels.of("parcels") == labels
        # labelled again
        store.labels.save(after, a, {0: guess})
        assert store.labels.of("parcels") == (Label("a", 0, guess, a.turns[0].state, None),)
        report = store.dialogues.import_corpus(
            corpus(dialogue("a", "another text")), how=Intake(replace_labelled=True)
        )
        assert report.replaced == 1
        assert store.labels.of("parcels") == ()

    def test_labels_go_with_their_domain(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a")))
        store.labels.save(dialogue("a"), dialogue("a"), {0: State()})
        store.dialogues.delete_domain("parcels")
        with pytest.raises(NotFound):
            store.labels.of("parcels")
        store.dialogues.import_corpus(corpus(dialogue("a")))
        assert store.labels.of("parcels") == ()

    def test_a_dialogue_that_changed_meanwhile_is_not_labelled(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a", "another text")))
        before = (store.revision(), self._rows(store))
        for name in ("a", "b"):
            with pytest.raises(StoreError, match="changed or deleted meanwhile"):
                store.labels.save(dialogue(name), dialogue(name), {0: State()})
        assert (store.revision(), self._rows(store)) == before

    # All or nothing

    def test_an_error_half_way_leaves_the_store_as_it_was(self, store: Store) -> None:
        store.dialogues.import_corpus(many(2))
        before = (store.revision(), self._rows(store))

        def fail_half_way(done: int, total: int) -> None:
            if done >= 400:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.dialogues.import_corpus(many(600, "a new text"), fail_half_way)
        assert (store.revision(), self._rows(store)) == before

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (corpus(dialogue("a"), dialogue("a", "again")), "'a' .* comes twice"),
            (corpus(replace(dialogue("a"), domain="other")), "without its schema"),
            (corpus(dialogue("a", split="test")), "'a' .* split 'test'; name"),
            (corpus(Dialogue("a", "parcels", (Turn("bot", ""),))), "'a' .* speaker 'bot'; name"),
            (corpus(dialogue("a", "nul \0")), "dialogue 'a' .* NUL"),
            (corpus(dialogue("a", "nul \\\0")), "dialogue 'a' .* NUL"),
            (corpus(dialogue("a", "half \ud83d")), "dialogue 'a' .* surrogate"),
            (corpus(dialogue("é" * 501)), "the dialogue id 'é{40}'… has 1002 bytes; shorten it"),
            (corpus(schema=replace(PARCELS, name="x" * 1001)), "domain name 'x{40}'… has 1001"),
            (corpus(schema=replace(PARCELS, description="\0")), "schema .* 'parcels' .* NUL"),
        ],
    )
    def test_what_tables_cannot_hold_is_refused(
        self, store: Store, bad: Corpus, message: str
    ) -> None:
        with pytest.raises(StoreError, match=message):
            store.dialogues.import_corpus(bad)
        assert store.dialogues.domains() == ()
        assert count(store) == 0

    def test_a_killed_import_leaves_nothing(self, url: str, store: Store, tmp_path: Path) -> None:
        store.dialogues.import_corpus(many(2))
        before = (store.revision(), self._rows(store))
        signal = tmp_path / "half-way"
        process = _SPAWN.Process(target=_import_and_hang, args=(url, str(signal)))
        process.start()
        wait_for(signal.exists)
        process.kill()
        process.join()
        assert process.exitcode == -9
        assert (store.revision(), self._rows(store)) == before
        # The lock went with it.
        report = store.dialogues.import_corpus(many(600, "a new text"))
        assert (report.added, report.replaced) == (598, 2)

    # Adapters

    def test_versions_count_up_and_the_last_is_active(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus())
        assert store.adapters.active("parcels") is None
        assert store.adapters.versions("parcels") == ()
        revision = store.revision()
        assert self._add(store, b"one", figures={"jga": [0.5, (1, 2)], "nan": float("nan")}) == 1
        assert store.revision() > revision
        assert self._add(store, b"\0\xfftwo") == 2
        active = store.adapters.active("parcels")
        assert active is not None
        assert (active.version, active.weights) == (2, b"\0\xfftwo")
        first = store.adapters.get("parcels", 1)
        assert (first.domain, first.version, first.weights) == ("parcels", 1, b"one")
        assert (first.support_digest, first.checkpoint_digest) == ("support", "checkpoint")
        assert first.figures == {"jga": [0.5, [1, 2]], "nan": None}
        assert first.created_at.utcoffset().total_seconds() == 0  # type: ignore[union-attr]
        assert abs(time.time() - first.created_at.timestamp()) < 60
        assert [info.version for info in store.adapters.versions("parcels")] == [1, 2]
        assert store.adapters.versions("parcels")[0].digest == first.digest
        with pytest.raises(FrozenInstanceError):
            first.version = 3  # type: ignore[misc]

    def test_switching_raises_the_revision_once(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus())
        self._add(store, b"one")
        revision = store.revision()
        assert self._add(store, b"two", activate=False) == 2
        assert store.revision() == revision
        assert store.adapters.active("parcels").version == 1  # type: ignore[union-attr]
        store.adapters.activate("parcels", 2)
        assert store.revision() == revision + 1
        store.adapters.activate("parcels", 2)
        assert store.revision() == revision + 1
        assert store.adapters.active("parcels").version == 2  # type: ignore[union-attr]
        store.adapters.activate("parcels", None)
        assert store.adapters.active("parcels") is None
        assert store.revision() == revision + 2

    def test_damaged_weights_are_refused(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus())
        self._add(store, b"weights")
        self._execute(store, sa.update(tables.adapters).values(weights=b"weightz"))
        mend = r"version 1 of domain 'parcels' doesn't match .*`rasa-onramp adapt parcels`$"
        with pytest.raises(CheckpointError, match=mend):
            store.adapters.active("parcels")
        with pytest.raises(CheckpointError, match=mend):
            store.adapters.get("parcels", 1)

    def test_adapters_that_cannot_be_kept_are_refused(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus())
        with pytest.raises(StoreError, match="empty"):
            self._add(store, b"")
        with pytest.raises(StoreError, match="figures"):
            self._add(store, b"w", figures={"loss": object()})
        assert store.adapters.versions("parcels") == ()

    def test_deleting_a_domain_takes_all_that_is_its_own(self, store: Store) -> None:
        letters = replace(PARCELS, name="letters")
        store.dialogues.import_corpus(Corpus({"p": PARCELS, "l": letters}, (dialogue("a"),)))
        self._add(store, b"one")
        revision = store.revision()
        store.dialogues.delete_domain("parcels")
        assert store.revision() > revision
        assert store.dialogues.domains() == ("letters",)
        rows = self._rows(store)
        # that it was deleted is known of it
        assert {name for name, found in rows.items() if found} == {"changes", "domains"}
        store.dialogues.import_corpus(corpus(dialogue("a")))
        assert store.adapters.active("parcels") is None

    def test_what_changed_since_is_known(self, store: Store) -> None:
        letters = replace(PARCELS, name="letters")
        both = Corpus({"p": PARCELS, "l": letters}, (dialogue("a"),))
        begin = store.revision()
        store.dialogues.import_corpus(both)
        seen = [store.revision()]
        assert set(store.dialogues.changed_since(begin)) == {"parcels", "letters"}
        steps = [
            lambda: store.dialogues.import_corpus(replace(both, dialogues=(dialogue("b"),))),
            lambda: self._add(store, b"one"),
            lambda: store.adapters.activate("parcels", None),
            lambda: store.dialogues.delete_domain("parcels"),
        ]
        for step in steps:
            step()
            assert store.dialogues.changed_since(seen[-1]) == ("parcels",)
            seen.append(store.revision())
        assert store.dialogues.changed_since(seen[-1]) == ()
        assert set(store.dialogues.changed_since(begin)) == {"parcels", "letters"}
        store.dialogues.import_corpus(replace(both, dialogues=()))  # letters stays as it is
        assert store.dialogues.changed_since(seen[-1]) == ("parcels",)

    def test_some_domains_at_a_glance_are_those_of_all(self, store: Store) -> None:
        names = [f"domain-{number}" for number in range(5)]
        schemas = {name: replace(PARCELS, name=name) for name in names}
        found = tuple(replace(dialogue("a"), domain=name) for name in names)
        store.dialogues.import_corpus(Corpus(schemas, found))
        every = store.dialogues.summary()
        assert store.dialogues.summary(["domain-3", "gone", "domain-1"]) == (every[1], every[3])
        assert store.dialogues.summary([]) == ()
        assert store.dialogues.summary([*names, *map(str, range(1000))]) == every

    def test_support_comes_without_what_is_held_out(self, store: Store) -> None:
        support, loose = dialogue("a", split="support"), dialogue("b", split=None)
        store.dialogues.import_corpus(corpus(support, loose, dialogue("c", split="held-out")))
        whole, part = store.support("parcels"), store.support("parcels", held_out=False)
        assert part.dialogues == whole.dialogues == (support, loose)
        assert (len(whole.held_out), part.held_out) == (1, ())
        assert part.digest == whole.digest

    def test_embeddings_are_kept_and_are_no_change(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a")))
        revision = store.revision()
        assert store.embeddings.read(["parcels", "gone"]) == {}
        one, two = Embeddings("1" * 64, b"rows"), Embeddings("2" * 64, b"\0others")
        store.embeddings.keep({"parcels": one, "gone": one})
        store.embeddings.keep({"parcels": two})
        assert store.embeddings.read(["parcels", "gone"]) == {"parcels": two}
        assert store.revision() == revision
        store.dialogues.delete_domain("parcels")
        assert store.embeddings.read(["parcels"]) == {}

    def test_embeddings_arent_kept_while_somebody_writes(self, url: str, store: Store) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a")))
        kept = {"parcels": Embeddings("1" * 64, b"rows")}
        with open_store(url) as other, other._database.writing() as connection:
            connection.execute(sa.delete(tables.domains))
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="another process is writing to the store"):
                store.embeddings.keep(kept)
            assert time.monotonic() - began < 10
            connection.rollback()
        store.embeddings.keep(kept)
        assert store.embeddings.read(["parcels"]) == kept

    def test_two_keep_the_same_embeddings_at_once(self, url: str, store: Store) -> None:
        """As neither waits for the other, one may come to nothing, and say so."""
        names = [f"domain-{number}" for number in range(20)]
        schemas = {name: replace(PARCELS, name=name) for name in names}
        store.dialogues.import_corpus(Corpus(schemas, ()))
        start = threading.Barrier(2, timeout=60)

        def keep(own: Store, given: List[str], digest: str) -> List[str]:
            said = []
            for _ in range(10):
                start.wait()
                try:
                    own.embeddings.keep({name: Embeddings(digest, b"rows") for name in given})
                except StoreUnavailable as error:
                    said.append(str(error))
            return said

        with open_store(url) as other, ThreadPoolExecutor(2) as pool:
            one = pool.submit(keep, store, names, "1" * 64)
            two = pool.submit(keep, other, names[::-1], "2" * 64)
            said = {*one.result(), *two.result()}
        busy = f"another process is writing to the store at {store.name}; try again when it is done"
        assert said <= {busy}
        kept = store.embeddings.read(names)
        assert sorted(kept) == sorted(names)
        assert len(set(kept.values())) == 1  # one's or the other's, not some of each

    def test_what_is_not_there_is_named(self, store: Store) -> None:
        store.dialogues.import_corpus(corpus())
        calls: Iterable[Callable[[], Any]] = (
            lambda: store.dialogues.schema("parcel"),
            lambda: store.dialogues.glance("parcel"),
            lambda: store.dialogues.dialogues("parcel"),
            lambda: store.dialogues.delete_domain("parcel"),
            lambda: store.adapters.active("parcel"),
            lambda: store.adapters.versions("parcel"),
            lambda: store.adapters.get("parcel", 1),
            lambda: store.adapters.activate("parcel", 1),
            lambda: store.adapters.activate("parcel", None),
            lambda: store.adapters.add(
                "parcel", b"w", support_digest="", checkpoint_digest="", figures={}
            ),
        )
        for call in calls:
            with pytest.raises(NotFound, match=r"no domain 'parcel'; did you mean 'parcels'\?$"):
                call()
        with pytest.raises(NotFound, match="no adapter version 1; it has none yet"):
            store.adapters.activate("parcels", 1)
        self._add(store, b"one")
        with pytest.raises(NotFound, match="no adapter version 7; it has 1"):
            store.adapters.get("parcels", 7)
        with pytest.raises(NotFound, match="`rasa-onramp domains` lists"):
            store.dialogues.schema("zzz")

    @pytest.mark.parametrize("name", ["a\udcff", "\ud800", "a\0b"])
    def test_names_that_no_database_holds(self, store: Store, name: str) -> None:
        store.dialogues.import_corpus(corpus())
        calls: Iterable[Callable[[], Any]] = (
            lambda: store.dialogues.schema(name),
            lambda: store.adapters.get(name, 1),
            lambda: store.adapters.get("parcels", 2**80),
            lambda: store.jobs.enqueue(name, asked_by="me"),
        )
        for call in calls:
            with pytest.raises(StoreError) as caught:
                call()
            assert not isinstance(caught.value, StoreUnavailable)

    def test_a_domain_made_anew_while_it_is_looked_at_is_found(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.dialogues.import_corpus(corpus(dialogue("a")))
        (found,) = store.dialogues.summary()
        assert store.dialogues.glance("parcels") == found
        summary, looked = store.dialogues.summary, []

        def between(names: Any) -> Any:  # deleted, and made anew right after
            looked.append(names)
            return () if len(looked) == 1 else summary(names)

        monkeypatch.setattr(store.dialogues, "summary", between)
        assert store.dialogues.glance("parcels") == found
        assert len(looked) == 2

    # Rows that were changed by hand

    def test_an_edited_row_has_one_digest_whoever_reads_it(self, store: Store) -> None:
        """Of the summary, too; else whoever looks what changed would find no end."""
        given = corpus(dialogue("a"), dialogue("b", split="held-out"), dialogue("c", split=None))
        store.dialogues.import_corpus(given)
        wait = Intake(lambda dialogue: True)
        store.dialogues.import_corpus(corpus(dialogue("d")), how=wait)
        (before,) = store.dialogues.summary()
        self._execute(store, sa.update(tables.turns).values(text="by hand"))
        assert store.support("parcels").dialogues[0].turns[0].text == "by hand"
        assert store.support("parcels").digest == before.support_digest
        assert store.dialogues.summary() == (before,)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"state": {"values": {"number": "RX48"}}}, "column 'state'.*'number' that isn't a li"),
            ({"state": [1]}, "column 'state', isn't a JSON object"),
            ({"results": {}}, "has 'results' that isn't a list"),
            ({"spans": [{"slot": "a", "start": "0", "end": 1}]}, "'start' that isn't a whole num"),
            ({"parameters": {"a": 1}}, "'parameters', has 'a' that isn't text"),
        ],
    )
    def test_a_malformed_row_is_named(self, store: Store, change: dict, message: str) -> None:
        store.dialogues.import_corpus(corpus(dialogue("x")))
        self._execute(
            store, sa.update(tables.turns).where(tables.turns.c.position == 1).values(**change)
        )
        where = "^turn 2 of dialogue 'x' of domain 'parcels'"
        with pytest.raises(StoreError, match=f"{where}.*{message}"):
            store.dialogues.dialogues("parcels")

    # Several at once

    def test_readers_see_the_former_state_while_another_writes(
        self, url: str, store: Store, tmp_path: Path
    ) -> None:
        store.dialogues.import_corpus(many(2))
        before = store.dialogues.dialogues("parcels")
        signal = tmp_path / "half-way"
        process = _SPAWN.Process(target=_import_and_hang, args=(url, str(signal)))
        process.start()
        try:
            wait_for(signal.exists)
            began = time.monotonic()
            assert count(store) == 1
            assert store.dialogues.dialogues("parcels") == before
            assert time.monotonic() - began < 10  # nobody waited for the writer
        finally:
            process.kill()
            process.join()

    def test_a_reading_transaction_sees_one_moment(self, url: str, store: Store) -> None:
        count = sa.select(sa.func.count()).select_from(tables.dialogues)
        with open_store(url) as other, other._database.reading() as connection:
            assert connection.execute(count).scalar() == 0
            store.dialogues.import_corpus(many(3))
            assert connection.execute(count).scalar() == 0
        assert len(store.dialogues.dialogues("parcels")) == 3

    def test_a_writer_that_waits_too_long_says_so(
        self, url: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("connect", "database", "failures"):
            monkeypatch.setattr(f"rasa_onramp.store.{module}.WAIT_SECONDS", 1)
        signal = tmp_path / "half-way"
        process = _SPAWN.Process(target=_import_and_hang, args=(url, str(signal)))
        process.start()
        try:
            wait_for(signal.exists)
            with open_store(url) as impatient, pytest.raises(
                StoreUnavailable, match=r"another process has been writing .* for 1 s; try again"
            ):
                impatient.dialogues.import_corpus(many(1))
        finally:
            process.kill()
            process.join()

    def test_processes_import_and_switch_at_once(self, url: str, store: Store) -> None:
        store.dialogues.import_corpus(many(5))
        processes = [_SPAWN.Process(target=_work, args=(url, number)) for number in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0] * 4
        found = store.dialogues.dialogues("parcels")
        assert len({each.id for each in found}) == len(found) == 5 + 4 * 3
        assert store.dialogues.domains() == ("own-0", "own-1", "own-2", "own-3", "parcels")
        # The dialogue that all of them replaced is one of theirs, whole.
        contested = next(each for each in found if each.id == "parcel-0000")
        assert contested in [
            dialogue("parcel-0000", f"text {n} {k}") for n in range(4) for k in range(3)
        ]
        versions = store.adapters.versions("parcels")
        assert [info.version for info in versions] == list(range(1, 13))
        active = store.adapters.active("parcels")
        assert active is not None
        assert active.version in range(1, 13)
        # Each process: its domain, 3 imports, 3 new versions, and up to 3 switches.
        assert 1 + 4 * 7 <= count(store) <= 1 + 4 * 10

    def test_threads_share_a_store(self, store: Store) -> None:
        store.dialogues.import_corpus(many(3))
        failures: List[BaseException] = []

        def work(number: int) -> None:
            try:
                for turn in range(5):
                    self._add(store, f"{number}-{turn}".encode())
                    assert store.adapters.active("parcels") is not None
                    assert len(store.dialogues.dialogues("parcels")) == 3
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert [info.version for info in store.adapters.versions("parcels")] == list(range(1, 21))

    def test_processes_create_the_tables_at_once(self, url: str) -> None:
        processes = [_SPAWN.Process(target=_upgrade, args=(url,)) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0] * 4
        with open_store(url) as store:
            assert count(store) == 0

    # The tables themselves

    def test_without_tables_everything_names_the_command_that_makes_them(self, url: str) -> None:
        with open_store(url) as store:
            for call in (store.revision, store.dialogues.summary, self._import_nothing(store)):
                with pytest.raises(StoreUnavailable, match=r"created yet; .*`rasa-onramp init`$"):
                    call()
            store.upgrade()
            assert count(store) == 0

    def test_upgrading_again_keeps_everything(self, store: Store) -> None:
        store.dialogues.import_corpus(many(1))
        before = (store.revision(), self._rows(store))
        store.upgrade()
        assert (store.revision(), self._rows(store)) == before

    @pytest.mark.parametrize(
        ("stamp", "message"),
        [
            ("9999", "newer version .*install the version of rasa-onramp that made it"),
            (None, "created yet; .*`rasa-onramp init`"),
        ],
    )
    def test_tables_of_another_version_are_refused(
        self, url: str, store: Store, stamp: Optional[str], message: str
    ) -> None:
        change = sa.delete(tables.version) if stamp is None else None
        if change is None:
            change = sa.update(tables.version).values(version_num=stamp)
        self._execute(store, change)
        with open_store(url) as fresh:
            for call in (fresh.revision, fresh.dialogues.domains, self._import_nothing(fresh)):
                with pytest.raises(StoreUnavailable, match=message):
                    call()
            if stamp is not None:
                with pytest.raises(StoreUnavailable, match=message):
                    fresh.upgrade()

    def test_a_process_goes_on_after_a_migration(self, store: Store) -> None:
        """Errors don't end that, not even a name that isn't there."""
        store.dialogues.import_corpus(corpus())
        self._execute(store, sa.update(tables.version).values(version_num="9999"))
        for _ in range(2):
            with pytest.raises(NotFound, match="no domain 'parcel'"):
                store.dialogues.schema("parcel")
            assert count(store) == 1
        with pytest.raises(StoreUnavailable, match="newer version"):
            store.upgrade()
        assert count(store) == 1
        self._execute(store, sa.delete(tables.version))
        for call in (lambda: store.dialogues.schema("parcel"), store.revision):
            with pytest.raises((NotFound, StoreUnavailable)) as caught:
                call()
        assert "hasn't been created yet" in str(caught.value)

    def test_tables_of_an_older_version_are_refused(
        self, url: str, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tables, "REVISIONS", (*tables.REVISIONS, "0099"))
        with open_store(url) as fresh, pytest.raises(
            StoreUnavailable, match=r"older version .*`rasa-onramp init`"
        ):
            fresh.revision()

    def test_tables_of_another_program_are_left_alone(self, url: str) -> None:
        engine = make_engine(parse_url(url))
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE dialogues (theirs INTEGER)")
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('theirs')")
        with open_store(url) as store:
            with pytest.raises(StoreUnavailable, match="another program's table 'dialogues'"):
                store.upgrade()
            with engine.begin() as connection:
                connection.exec_driver_sql("DROP TABLE dialogues")
            store.upgrade()
            assert count(store) == 0
        engine.dispose()

    def test_migrations_make_the_tables_that_the_code_declares(self, store: Store) -> None:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        def ours(_object: Any, name: str, kind: str, *_: Any) -> bool:
            return (kind, name) != ("table", tables.VERSION_TABLE)

        engine = make_engine(parse_url(self._url(store)))
        with engine.connect() as connection:
            options = {"compare_type": True, "include_object": ours}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, tables.metadata) == []
            found = sa.MetaData()
            found.reflect(connection)
        engine.dispose()
        # What alembic doesn't compare: keys, what deleting does, and conditions.
        for name, table in tables.metadata.tables.items():
            assert _constraints(found.tables[name]) == _constraints(table)

    # Helpers

    @staticmethod
    def _import_nothing(store: Store) -> Callable[[], Any]:
        return lambda: store.dialogues.import_corpus(corpus())

    @staticmethod
    def _url(store: Store) -> str:
        url = store._database._engine.url
        return url.render_as_string(hide_password=False)

    def _execute(self, store: Store, statement: Any) -> None:
        """What somebody may do to the tables with other tools."""
        engine = make_engine(parse_url(self._url(store)))
        with engine.begin() as connection:
            assert connection.execute(statement).rowcount > 0
        engine.dispose()

    def _rows(self, store: Store) -> dict:
        """Everything in our tables but the revision."""
        engine = make_engine(parse_url(self._url(store)))
        with engine.connect() as connection:
            rows = {
                name: sorted(map(repr, connection.execute(sa.select(table))))
                for name, table in tables.metadata.tables.items()
                if name != "revision"
            }
        engine.dispose()
        return rows

    @staticmethod
    def _add(
        store: Store,
        weights: bytes,
        *,
        digest: str = "support",
        figures: Optional[dict] = None,
        activate: bool = True,
    ) -> int:
        return store.adapters.add(
            "parcels",
            weights,
            support_digest=digest,
            checkpoint_digest="checkpoint",
            figures={} if figures is None else figures,
            activate=activate,
        )


def _constraints(table: sa.Table) -> set:
    found = {("key", tuple(column.name for column in table.primary_key))}
    for constraint in table.constraints:
        if isinstance(constraint, sa.ForeignKeyConstraint):
            target = tuple(element.target_fullname for element in constraint.elements)
            found.add((tuple(constraint.column_keys), target, constraint.ondelete))
        elif isinstance(constraint, sa.CheckConstraint):
            found.add(("check", constraint.name))
    return found | {(column.name, column.nullable) for column in table.columns}


# What other processes do.


def _upgrade(url: str) -> None:
    with open_store(url) as store:
        store.upgrade()


def _import_and_hang(url: str, signal: str) -> None:
    """Import until half way, say so by making the file `signal`, and stay there."""

    def hang(done: int, total: int) -> None:
        if done >= 400:
            Path(signal).write_text(json.dumps([done, total, os.getpid()]))
            time.sleep(120)

    with open_store(url) as store:
        store.dialogues.import_corpus(many(600, "a new text"), hang)


def _work(url: str, number: int) -> None:
    own = replace(PARCELS, name=f"own-{number}")
    with open_store(url) as store:
        store.dialogues.import_corpus(Corpus({own.name: own}, ()))
        for turn in range(3):
            store.dialogues.import_corpus(
                corpus(
                    dialogue("parcel-0000", f"text {number} {turn}"),
                    dialogue(f"own-{number}-{turn}"),
                )
            )
            version = StoreContract._add(store, f"{number} {turn}".encode())
            store.adapters.activate("parcels", version)
            assert store.adapters.active("parcels") is not None
