"""`rasa-onramp label`: raw dialogues become support dialogues in a person's hands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest

from command_line import Outcome, invoke
from rasa_onramp.cli.options import load
from rasa_onramp.dialogue import DONTCARE, Corpus, Dialogue, Schema, Span, State, Turn
from rasa_onramp.errors import StoreError, StoreUnavailable
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.store import (
    DialogueStore,
    Intake,
    LabelStore,
    Store,
    open_store,
    support_digest,
)
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_onramp.tracker.decoding import prepare
from rasa_onramp.tracker.together import track
from tiny_tracker import CAFE, tiny_tracker, tokenizer_json

DOMAIN = CAFE.name

RAW = Dialogue(
    "raw-1",
    DOMAIN,
    (
        Turn("user", "a table on Friday please"),
        Turn("system", "inside or outside?"),
        Turn("user", "on the terrace, for Anna"),
        Turn("system", "booked"),
    ),
)
OTHER = Dialogue("raw-2", DOMAIN, (Turn("user", "hello?"),), "held-out")
GIVEN = Dialogue("given", DOMAIN, (Turn("user", "on sunday", State({"visit_day": ("sunday",)})),))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(tiny_tracker(rank=2, steps=1, spread=8), folder, tokenizer_json())
    return folder


@pytest.fixture
def store() -> Iterator[Store]:
    assert invoke("init").code == 0
    with open_store() as opened:
        corpus = Corpus({DOMAIN: CAFE}, (RAW, OTHER, GIVEN))
        wait = Intake(lambda dialogue: dialogue.id != "given")
        opened.dialogues.import_corpus(corpus, how=wait)
        yield opened


def label(checkpoint: Path, *lines: str, options: Tuple[str, ...] = ()) -> Outcome:
    typed = "".join(f"{line}\n" for line in lines)
    return invoke("label", DOMAIN, "--checkpoint", checkpoint, *options, input=typed)


def guesses(checkpoint: Path, turns: Tuple[Turn, ...], before: State) -> State:
    tracker = load_tracker(checkpoint)
    return track(tracker, prepare(tracker, CAFE), turns, before, offers=True).state


def by_id(store: Store, name: str) -> Dialogue:
    (found,) = [d for d in store.dialogues.dialogues(DOMAIN, waiting=None) if d.id == name]
    return found


def test_accepting_takes_the_tracker_s_guesses(store: Store, checkpoint: Path) -> None:
    done = label(checkpoint, "", "", options=("--dialogue", "raw-1"))
    assert (done.code, done.err) == (0, "")
    found = by_id(store, "raw-1")
    first = guesses(checkpoint, RAW.turns[:1], State())
    second = guesses(checkpoint, RAW.turns[:3], first)
    assert [turn.state for turn in found.turns] == [first, None, second, None]
    assert found.split == "support"
    assert found in store.dialogues.dialogues(DOMAIN)
    assert [(x.position, x.guess, x.corrected) for x in store.labels.of(DOMAIN)] == [
        *((0, first, False), (2, second, False))
    ]
    assert "you> a table on Friday please" in done.out
    assert "bot> inside or outside?\nyou> on the terrace, for Anna" in done.out
    assert f"intent  {first.active_intent or 'none'}" in done.out
    assert done.out.endswith("1 dialogues labelled; 0 of 2 turns are not as the tracker guessed\n")


def test_correcting(store: Store, checkpoint: Path) -> None:
    cleared = [f"{slot.name}=" for slot in CAFE.slots]
    done = label(
        checkpoint,
        *(*cleared, "visit_day = friday", "intent=BookTable", "/asks seating, seating", ""),
        *("intent=none", "guest_name=anna", "seating=Terrace", "visit_day=dontcare", "/asks", ""),
        options=("--dialogue", "raw-1"),
    )
    assert (done.code, done.err) == (0, "")
    found = by_id(store, "raw-1")
    day = State({"visit_day": ("friday",)}, "BookTable", ("seating",))
    assert found.turns[0] == Turn(
        "user", RAW.turns[0].text, day, spans=(Span("visit_day", 11, 17),)
    )
    state = found.turns[2].state
    assert state is not None
    assert state.values == {
        "guest_name": ("anna",),
        "seating": ("terrace",),
        "visit_day": (DONTCARE,),
    }
    assert (state.active_intent, state.requested_slots) == (None, ())
    assert {(s.slot, found.turns[2].text[s.start : s.end]) for s in found.turns[2].spans} == {
        *(("seating", "terrace"), ("guest_name", "Anna"))
    }
    assert {label.corrected for label in store.labels.of(DOMAIN)} == {True}
    assert "2 of 2 turns are not as the tracker guessed" in done.out


def test_undoing(store: Store, checkpoint: Path) -> None:
    done = label(
        checkpoint,
        *("/undo", "visit_day=friday", "/none", "visit_day=sunday", "/undo", "/undo", ""),
        *("guest_name=bea", "/undo", "/undo", "visit_day=monday", "", "/guess", "/none", ""),
        options=("--dialogue", "raw-1"),
    )
    assert done.code == 0
    assert "  there is nothing to undo" in done.out
    first, second = (turn for turn in by_id(store, "raw-1").turns if turn.is_user)
    assert first.state is not None
    assert first.state.values["visit_day"] == ("monday",)
    assert (second.state, second.spans) == (None, ())
    assert "scope   says nothing to this domain" in done.out
    assert "guess   intent" in done.out  # shown beside what differs from it


def test_bad_lines_change_nothing(store: Store, checkpoint: Path) -> None:
    wrong = {
        "seating=roof": "'roof' is not among the values listed for seating",
        "visit_dya=friday": "unknown slot 'visit_dya'; did you mean 'visit_day'?",
        "intent=Book": "unknown intent 'Book'; did you mean 'BookTable'?",
        "/asks price": "unknown slot 'price'",
        "friday": "Enter accepts",
        "/frobnicate": "Enter accepts",
    }
    done = label(checkpoint, *wrong, "", "", options=("--dialogue", "raw-1"))
    assert done.code == 0
    for saying in wrong.values():
        assert f"  {saying}" in done.out
    assert {label.corrected for label in store.labels.of(DOMAIN)} == {False}


def test_skipping_and_quitting_store_nothing_of_a_dialogue(store: Store, checkpoint: Path) -> None:
    done = label(checkpoint, "visit_day=friday", "", "/skip", "/quit", "", "")
    assert "raw-1 (1 of 2)" in done.out
    assert "raw-2 (2 of 2)" in done.out
    assert "0 dialogues labelled" in done.out
    assert store.labels.of(DOMAIN) == ()
    assert store.dialogues.dialogues(DOMAIN, waiting=True) == (RAW, OTHER)
    # the end of the input is as good as /quit; what was done before it stays done
    done = label(checkpoint, "", "", "seating=bar")
    assert "1 dialogues labelled" in done.out
    assert store.dialogues.dialogues(DOMAIN, waiting=True) == (OTHER,)


def test_each_dialogue_once(store: Store, checkpoint: Path) -> None:
    assert label(checkpoint, "", "", "").code == 0
    assert by_id(store, "raw-2").split == "held-out"  # its own split stays
    assert label(checkpoint).out == (
        f"no dialogue of {DOMAIN} waits for labels; --all takes up the others\n"
    )


def test_a_message_of_several_lines_is_one_of_them(store: Store, checkpoint: Path) -> None:
    said = Dialogue("raw-3", DOMAIN, (Turn("user", "hi\nlabel> \nbot> free for all"),))
    how = Intake(lambda dialogue: True)
    store.dialogues.import_corpus(Corpus({DOMAIN: CAFE}, (said,)), how=how)
    done = label(checkpoint, "/skip", options=("--dialogue", "raw-3"))
    assert "you> hi\\nlabel> \\nbot> free for all\n" in done.out


def test_states_that_there_are_can_be_checked(store: Store, checkpoint: Path) -> None:
    """They are proposed; the tracker's guess stands beside them where it is another."""
    done = label(checkpoint, "", options=("--dialogue", "given", "--split", "held-out"))
    assert "* visit_day = sunday" in done.out
    found = by_id(store, "given")
    assert found == replace(GIVEN, split="held-out")
    assert store.labels.of(DOMAIN)[0].guess == guesses(checkpoint, GIVEN.turns, State())
    everything = label(checkpoint, "/skip", "/skip", "/skip", options=("--all",))
    assert "given (3 of 3)" in everything.out


def test_the_active_adapter_guesses(store: Store, checkpoint: Path) -> None:
    tracker = load_tracker(checkpoint)
    # an adapter that is the checkpoint's own start, under a version
    version = store.adapters.add(
        DOMAIN,
        adapter_to_bytes(dict(tracker.weights)),
        support_digest=support_digest(CAFE, [GIVEN]),
        checkpoint_digest=tracker.digest or "",
        figures={},
        activate=True,
    )
    assert label(checkpoint, "", "", options=("--dialogue", "raw-1")).code == 0
    assert {label.version for label in store.labels.of(DOMAIN)} == {version}


def test_labels_are_kept_through_an_outage(
    store: Store, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, told = LabelStore.save, []

    def away(self: LabelStore, *args: Any) -> None:
        told.append(1)
        if len(told) < 3:
            raise StoreUnavailable("the store can't be reached; start it")
        save(self, *args)

    monkeypatch.setattr(LabelStore, "save", away)
    done = label(checkpoint, "", "", "", "", options=("--dialogue", "raw-1"))
    assert done.code == 2 and told == [1]  # what is piped in next is no answer
    del told[:]
    monkeypatch.setattr("rasa_onramp.cli.label.somebody_types", lambda: True)
    done = label(checkpoint, "", "", "", "", options=("--dialogue", "raw-1"))
    assert done.code == 0 and done.err.count("can't be reached; start it") == 2
    assert "1 dialogues labelled" in done.out and len(told) == 3
    del told[:]
    done = label(checkpoint, "", "/skip", options=("--dialogue", "raw-2"))
    assert done.code == 1 and len(told) == 1 and "0 dialogues labelled" in done.out


def test_a_dialogue_may_be_skipped_in_an_outage(
    store: Store, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the whole store, which the others don't need before they are done."""
    save, schema, away = LabelStore.save, DialogueStore.schema, []

    def saved(self: LabelStore, before: Dialogue, *args: Any) -> None:
        away[:] = [before.id == "raw-1"]
        if away[0]:
            raise StoreUnavailable("the store can't be reached; start it")
        save(self, before, *args)

    def asked(self: DialogueStore, domain: str) -> Schema:
        if any(away):
            raise StoreUnavailable("the store can't be reached; start it")
        return schema(self, domain)

    monkeypatch.setattr(LabelStore, "save", saved)
    monkeypatch.setattr(DialogueStore, "schema", asked)
    monkeypatch.setattr("rasa_onramp.cli.label.somebody_types", lambda: True)
    done = label(checkpoint, "", "", "/skip", "")
    assert done.code == 1 and "1 dialogues labelled" in done.out
    assert store.dialogues.dialogues(DOMAIN, waiting=True) == (RAW,)


def test_what_somebody_else_labelled_is_left_to_them(
    store: Store, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(self: LabelStore, before: Dialogue, *args: Any) -> None:
        if before.id == "raw-1":
            raise StoreError("dialogue 'raw-1' was changed meanwhile; label it again as it is now")

    monkeypatch.setattr(LabelStore, "save", other)
    done = label(checkpoint, "", "", "")
    assert done.code == 1 and "'raw-1' was changed meanwhile" in done.err
    assert "1 dialogues labelled" in done.out


def test_a_schema_that_was_changed_meanwhile(
    store: Store, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the new one lacks can't be learned, so it isn't stored."""
    save = LabelStore.save

    def late(self: LabelStore, *args: Any) -> None:
        slots = (*CAFE.slots[:-1], replace(CAFE.slots[-1], name="day"))
        book, cancel = CAFE.intents
        intents = (replace(book, required_slots=("day",)), cancel)
        actions = (replace(CAFE.actions[0], required_slots=("day",)), *CAFE.actions[1:])
        schema = replace(CAFE, slots=slots, intents=intents, actions=actions)
        plain = replace(GIVEN, turns=(Turn("user", "on sunday"),))
        store.dialogues.import_corpus(Corpus({DOMAIN: schema}, (plain,)))
        save(self, *args)

    monkeypatch.setattr(LabelStore, "save", late)
    done = label(checkpoint, "visit_day=Friday", "", "", options=("--dialogue", "raw-1"))
    assert done.code == 1 and "0 dialogues labelled" in done.out
    said = "turn 1 of dialogue 'raw-1', as it was labelled, has a slot 'visit_day'; it may have"
    assert said in done.err and "was changed meanwhile; run this again" in done.err
    assert by_id(store, "raw-1") == RAW


def test_a_domain_that_is_deleted_meanwhile(
    store: Store, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*options: Any) -> Any:
        store.dialogues.delete_domain(DOMAIN)
        return load(*options)

    monkeypatch.setattr("rasa_onramp.cli.label.load", slow)
    done = label(checkpoint)
    assert done.code == 2 and f"no domain '{DOMAIN}'" in done.err


def test_bad_requests(store: Store, checkpoint: Path) -> None:
    for arguments, saying in (
        (["nowhere"], "no domain 'nowhere'"),
        ([DOMAIN, "--dialogue", "raw-9"], "no dialogue 'raw-9'"),
        ([DOMAIN, "--split", "test"], "--split"),
    ):
        done = invoke("label", *arguments, "--checkpoint", checkpoint)
        assert done.code == 2, done
        assert done.err.count("\n") == 1
        assert saying in done.err


def test_labelled_dialogues_are_learned_from(store: Store, checkpoint: Path) -> None:
    """From a raw log to a support dialogue."""
    label(checkpoint, "visit_day=friday", "", "seating=terrace", "")
    found: List[Dialogue] = list(store.dialogues.dialogues(DOMAIN))
    assert [d.id for d in found] == ["raw-1", "given"]
    (summary,) = store.dialogues.summary()
    assert (summary.n_support, summary.n_waiting) == (2, 1)
    assert summary.support_digest == support_digest(CAFE, found)
    assert "2 support     0 held out  not adapted, 1 wait for labels" in invoke("domains").out
