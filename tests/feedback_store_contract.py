"""What a store does with feedback: one suite, run on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterator

import pytest
import sqlalchemy as sa

from rasa_onramp.dialogue import Corpus, Dialogue, State, Turn
from rasa_onramp.errors import NotFound, StoreBusy, StoreError
from rasa_onramp.store import Feedback, Store, open_store, support_digest, tables
from store_contract import PARCELS, corpus, dialogue

__all__ = ["FeedbackStoreContract"]

HISTORY = dialogue("x").turns[:1]
DOWN = Feedback(
    domain="parcels",
    conversation="ann",
    history=HISTORY,
    reply=replace(dialogue("x").turns[1], text="It's “lost” 📦"),
    template="It's “{status}” 📦",
    thumb="down",
)
STATE = State({"number": ("RX49",), "window": ("dontcare",)}, "redirect", ("status",))
CORRECTED = replace(DOWN, thumb=None, corrected_reply="It is lost.", corrected_state=STATE)


class FeedbackStoreContract:
    """Subclasses give the fixture `url`: a database of the test's own, without tables."""

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        with open_store(url) as store:
            store.upgrade()
            store.dialogues.import_corpus(corpus(dialogue("a"), dialogue("b", split="held-out")))
            yield store

    def test_what_is_said_comes_back_equal_and_in_order(self, store: Store) -> None:
        other = replace(CORRECTED, conversation="bo")
        ids = [store.feedback.add(each) for each in (DOWN, other)]
        assert ids == [DOWN.id, other.id]
        found = store.feedback.list("parcels")
        assert [replace(each, created_at=None) for each in found] == [DOWN, other]
        assert all(each.created_at is not None for each in found)

    def test_a_job_that_may_have_learned_from_what_is_removed_starts_over(
        self, store: Store
    ) -> None:
        up = replace(DOWN, thumb="up", conversation="bo")
        for each in (DOWN, up):
            store.feedback.add(each)
        store.jobs.enqueue("parcels", asked_by="worker")
        assert store.jobs.claim("me") is not None
        store.feedback.remove("parcels", up.id)  # of which nothing is learned
        assert store.jobs.of("parcels")[0].state == "running"
        store.feedback.remove("parcels", DOWN.id)
        assert store.jobs.of("parcels")[0].state == "queued"

    def test_praise_need_not_be_readable_to_learn(self, store: Store) -> None:
        """However much of it there is, it isn't even read."""
        store.feedback.add(DOWN)
        up = replace(DOWN, thumb="up", conversation="bo")
        store.feedback.add(up)
        with store._database.writing() as connection:
            same = tables.feedback.c.id == up.id
            connection.execute(sa.update(tables.feedback).where(same).values(history={"no": 1}))
        assert store.support("parcels").blocked == tuple(sorted({DOWN.reply.text, DOWN.template}))

    def test_the_last_word_on_a_reply_in_a_conversation_counts(self, store: Store) -> None:
        store.feedback.add(DOWN)
        store.feedback.add(replace(DOWN, thumb="up"))
        (found,) = store.feedback.list("parcels")
        assert found.thumb == "up"
        assert store.support("parcels").blocked == ()
        store.feedback.add(replace(DOWN, conversation="bo"))
        store.feedback.add(replace(DOWN, history=()))
        assert len(store.feedback.list("parcels")) == 3

    def test_who_gives_feedback_in_a_hurry_waits_a_moment_for_others(
        self, url: str, store: Store
    ) -> None:
        busy = r"has been writing to the store at .* for 1\.5 s; try again"
        with store._database.writing(), open_store(url) as other:
            with pytest.raises(StoreBusy, match=busy):
                other.feedback.add(DOWN, brief=True)
            with pytest.raises(StoreBusy, match=busy):
                other.feedback.remove("parcels", DOWN.id, brief=True)
        store.feedback.add(DOWN, brief=True)
        store.feedback.remove("parcels", DOWN.id, brief=True)

    def test_the_revision_rises_where_what_is_learned_changes(self, store: Store) -> None:
        revisions = [store.revision()]

        def rises() -> bool:
            revisions.append(store.revision())
            return revisions[-1] > revisions[-2]

        store.feedback.add(replace(DOWN, thumb="up"))
        assert not rises()
        store.feedback.add(DOWN)
        assert rises()
        store.feedback.add(DOWN)
        assert not rises()
        store.feedback.add(CORRECTED)
        assert rises()
        store.feedback.add(replace(DOWN, thumb="up"))
        assert rises()
        store.feedback.remove("parcels", DOWN.id)
        assert not rises()
        store.feedback.add(DOWN)
        store.feedback.remove("parcels", DOWN.id)
        assert rises()
        assert store.feedback.list("parcels") == ()

    def test_the_support_set_has_corrections_and_what_may_not_be_said(self, store: Store) -> None:
        plain = store.support("parcels")
        assert plain.schema == PARCELS
        assert plain.dialogues == (dialogue("a"),)
        assert plain.held_out == (dialogue("b", split="held-out"),)
        assert plain.blocked == ()
        assert plain.digest == support_digest(PARCELS, [dialogue("a")])
        store.feedback.add(DOWN)
        other = replace(CORRECTED, conversation="bo")
        store.feedback.add(other)
        learned = store.support("parcels")
        assert learned.blocked == ("It's “lost” 📦", "It's “{status}” 📦")
        first, second = learned.dialogues
        assert first == dialogue("a")
        assert (second.id, second.split) == (f"feedback-{other.id}", "support")
        assert second.turns[0] == replace(HISTORY[0], state=STATE)
        assert (second.turns[1].text, second.turns[1].action) == ("It is lost.", "find")
        assert second.turns[1].spans == ()

    def test_a_schema_without_what_a_correction_uses_is_refused(self, store: Store) -> None:
        store.feedback.add(CORRECTED)
        others = PARCELS.slots[1:]
        for removed, schema in (
            ("slot 'number'", replace(PARCELS, slots=others)),
            ("intent 'redirect'", replace(PARCELS, intents=PARCELS.intents[:1])),
        ):
            plain = Dialogue("a", "parcels", (Turn("user", "hello", state=State()),), "support")
            held_out = replace(plain, id="b", split="held-out")
            new = Corpus({"parcels": schema}, (plain, held_out))
            complaint = (
                rf"lacks the {removed}, which .* 'feedback-{CORRECTED.id}' .* feedback remove"
            )
            with pytest.raises(StoreError, match=complaint):
                store.dialogues.import_corpus(new)
            assert store.dialogues.schema("parcels") == PARCELS
        store.feedback.remove("parcels", CORRECTED.id)
        assert store.dialogues.import_corpus(new).updated == ("parcels",)

    def test_feedback_makes_a_domain_stale_until_it_is_adapted(self, store: Store) -> None:
        def adapt() -> None:
            store.adapters.add(
                *("parcels", b"w"),
                support_digest=store.support("parcels").digest,
                checkpoint_digest="checkpoint",
                figures={},
            )

        def stale() -> bool:
            (summary,) = store.dialogues.summary()
            assert summary.support_digest == store.support("parcels").digest
            return summary.stale

        adapt()
        store.feedback.add(replace(DOWN, thumb="up"))
        assert not stale()
        for each in (DOWN, CORRECTED, replace(CORRECTED, conversation="bo")):
            store.feedback.add(each)
            assert stale()
            adapt()
            assert not stale()
        store.feedback.remove("parcels", CORRECTED.id)
        assert stale()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"thumb": None}, "says nothing; give a thumb"),
            ({"thumb": "sideways"}, "thumb 'sideways'; name one of up, down"),
            ({"reply": Turn("system", " ")}, "empty reply"),
            ({"corrected_reply": ""}, "empty correction"),
            (
                {"corrected_reply": "a" * 4097},
                "of 4,097 characters; give one of 4,096",
            ),
            ({"corrected_reply": "yes", "history": ()}, "corrects a reply to nothing"),
            ({"corrected_reply": "[lost](status)!"}, r"marked \[…\]\(status\); write the reply as"),
            ({"corrected_reply": "nul \0"}, "NUL"),
            ({"conversation": "half \ud83d"}, "surrogate"),
            ({"corrected_state": State({"colour": ("red",)})}, "slot 'colour'; it may have number"),
            ({"corrected_state": State({"status": ("x",)})}, "slot 'status'; it may have number"),
            ({"corrected_state": State({"window": ("noon",)})}, "'noon' for slot 'window'; give"),
            ({"corrected_state": State({"number": ("",)})}, "'' for slot 'number'; give a text"),
            ({"corrected_state": State({}, "sing")}, "intent 'sing'; name one of track, redirect"),
            ({"corrected_state": State({}, None, ("colour",))}, "asks for a slot 'colour'"),
        ],
    )
    def test_feedback_that_cannot_be_kept_is_refused(
        self, store: Store, change: dict, message: str
    ) -> None:
        revision = store.revision()
        with pytest.raises(StoreError, match=message):
            store.feedback.add(replace(DOWN, **change))
        assert store.feedback.list("parcels") == ()
        assert store.revision() == revision

    @pytest.mark.parametrize(
        ("state", "message"),
        [
            (State({"colour": ("red",)}), "has a slot 'colour'; it may have number"),
            (State({}, "sing"), "has the intent 'sing'; name one of track, redirect"),
            (State({}, None, ("colour",)), "asks for a slot 'colour'; it may ask for"),
        ],
    )
    def test_a_conversation_begun_with_another_schema_is_not_learned_from(
        self, store: Store, state: State, message: str
    ) -> None:
        """It would be learned that nothing of that was said."""
        history = (replace(HISTORY[0], state=state), Turn("system", "yes?"), *HISTORY)
        before = "the conversation before the feedback on 'parcels', begun with another schema, "
        for change in ({"corrected_state": STATE}, {"corrected_reply": "It is lost."}):
            with pytest.raises(StoreError, match=f"^{before}{message}"):
                store.feedback.add(replace(DOWN, history=history, **change))
        assert store.feedback.list("parcels") == ()
        store.feedback.add(replace(DOWN, history=history))  # nothing is learned from its states

    def test_what_is_not_there_is_named(self, store: Store) -> None:
        calls: Any = (
            lambda: store.feedback.add(replace(DOWN, domain="parcel")),
            lambda: store.feedback.list("parcel"),
            lambda: store.feedback.remove("parcel", "x"),
            lambda: store.support("parcel"),
        )
        for call in calls:
            with pytest.raises(NotFound, match=r"no domain 'parcel'; did you mean 'parcels'\?$"):
                call()
        with pytest.raises(NotFound, match="no feedback 'x'; `rasa-onramp feedback list parcels`"):
            store.feedback.remove("parcels", "x")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"history": {}}, "history that isn't a list"),
            ({"history": [{}]}, "history, lacks 'speaker'"),
            ({"reply": []}, "reply, isn't a JSON object"),
            ({"corrected_state": {}}, "corrected_state, lacks 'values'"),
        ],
    )
    def test_a_malformed_row_is_named(self, store: Store, change: dict, message: str) -> None:
        store.feedback.add(DOWN)
        with store._database.writing() as connection:
            connection.execute(sa.update(tables.feedback).values(**change))
        where = f"^feedback '{DOWN.id}' of domain 'parcels'"
        with pytest.raises(StoreError, match=f"{where}.*{message}"):
            store.feedback.list("parcels")

    def test_deleting_a_domain_takes_its_feedback_along(self, store: Store) -> None:
        store.feedback.add(DOWN)
        store.dialogues.delete_domain("parcels")
        store.dialogues.import_corpus(corpus(dialogue("a")))
        assert store.feedback.list("parcels") == ()
