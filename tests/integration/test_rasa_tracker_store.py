"""Conversations that Rasa itself stored, read back: its SQLTrackerStore, on two databases."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from pathlib import Path
from typing import Any, List, Sequence

import pytest
from rasa.core.tracker_store import SQLTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionReverted,
    AllSlotsReset,
    BotUttered,
    Event,
    Restarted,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.training_data.entities_parser import parse_training_example

from command_line import Outcome, invoke
from postgres import PASSWORD
from rasa_onramp.dialogue import Dialogue, Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.formats import rasa_events
from rasa_onramp.formats.rasa_text import parse_annotated
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.store import Store, open_store

TAXI = Schema(
    "taxi",
    slots=(Slot("place", "Where to"), Slot("size", "", ("small", "large"))),
    intents=(Intent("book", "", ("place",), {"size": "dontcare"}),),
)
LISTEN = ActionExecuted("action_listen")


#: What stands for the senders "ann" and "bea" in ids.
ANN, BEA = "49915e", "b6e155"


def said(text: Any, intent: str, *entities: Any) -> UserUttered:
    return UserUttered(text, {"name": intent, "confidence": 0.9}, list(entities))


def booking() -> List[Event]:
    """Two sessions: one with a button and something taken back, one after a restart."""
    payload = '/inform{"size": "small"}'
    place = {"entity": "place", "value": "Leeds", "start": 10, "end": 15}
    return [
        *(ActionExecuted("action_session_start"), SessionStarted(), LISTEN),
        *(said("a taxi to Leeds", "book", place), SlotSet("place", "Leeds")),
        ActionExecuted("utter_ask_size"),
        BotUttered("How big?", {"buttons": [{"title": "small", "payload": payload}]}),
        BotUttered(None, {"image": "https://example.org/a.png"}),
        LISTEN,
        *(said("hm", "nlu_fallback"), SlotSet("place", "hm"), ActionExecuted("utter_pardon")),
        *(BotUttered("Pardon?"), UserUtteranceReverted(), LISTEN),
        said(payload, "inform", {"entity": "size", "value": "small"}),
        *(SlotSet("size", "small"), ActionExecuted("utter_ok"), BotUttered("It comes.")),
        *(ActionExecuted("action_clear"), AllSlotsReset(), LISTEN),
        *(said("thanks", "thank"), ActionExecuted("utter_welcome"), BotUttered("Welcome.")),
        *(LISTEN, said("/restart", "restart"), ActionExecuted("action_restart"), Restarted()),
        *(LISTEN, said("a taxi", "book"), ActionExecuted("utter_ask"), BotUttered("Where to?")),
    ]


#: `booking` as dialogues; what stands for the ids of rows is filled in.
BOOKED = (
    (
        Turn(
            "user",
            "a taxi to Leeds",
            State({"place": ("Leeds",)}, "book"),
            spans=(Span("place", 10, 15),),
        ),
        Turn("system", "How big?"),
        Turn(
            "user",
            "small",
            State({"place": ("Leeds",), "size": ("small",)}, "book"),
            spans=(Span("size", 0, 5),),
        ),
        Turn("system", "It comes."),
        Turn("user", "thanks", State({}, "book")),
        Turn("system", "Welcome."),
    ),
    (Turn("user", "a taxi", State({}, "book")), Turn("system", "Where to?")),
)


def save(url: str, sender: str, events: Sequence[Event]) -> None:
    """Have Rasa store a conversation."""
    rasa = SQLTrackerStore(Domain.empty(), host=url)  # it takes whole URLs there
    tracker = DialogueStateTracker.from_events(sender, events)
    asyncio.run(rasa.save(tracker))
    rasa.engine.dispose()


@pytest.fixture
def store(tmp_path: Path) -> Any:
    assert invoke("init").code == 0
    write_yaml(tmp_path / "taxi.yml", TAXI, ())
    with open_store() as opened:
        yield opened


def imported(store: Store) -> List[Dialogue]:
    return list(store.dialogues.dialogues("taxi", waiting=True))


def test_on_sqlite(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rasa.db"
    save(f"sqlite:///{path}", "bea", booking())
    save(f"sqlite:///{path}", "ann", booking())
    schema = tmp_path / "taxi.yml"
    before = path.read_bytes()
    done = invoke("import", "--schema", schema, f"sqlite:///{path}")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "taxi: 4 dialogues added, 0 replaced, 0 unchanged",
        "4 wait for labels: rasa-onramp label taxi",
    ]
    assert [(d.id.split("/")[0], d.turns) for d in imported(store)] == [
        (sender, turns) for sender in (ANN, BEA) for turns in BOOKED
    ]
    assert store.dialogues.dialogues("taxi") == ()  # nothing is learned from them yet
    assert path.read_bytes() == before
    # as a file, and by the name of a variable
    for source in (path, "BOT_URL"):
        monkeypatch.setenv("BOT_URL", f"sqlite:///{path}")
        again = invoke("import", "--domain", "taxi", "--format", "tracker-store", source)
        assert "0 dialogues added, 0 replaced, 4 unchanged" in again.out


def test_on_postgresql(store: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    save(postgres_url, "ann", booking())
    monkeypatch.setenv("BOT_URL", postgres_url)
    schema = store.name.replace("onramp.db", "taxi.yml")
    write_yaml(schema, TAXI, ())
    done = invoke("import", "--schema", schema, "--format", "tracker-store", "BOT_URL")
    assert done.code == 0, done.err
    assert [d.turns for d in imported(store)] == list(BOOKED)
    wrong = postgres_url.replace(PASSWORD, "wrong-" + PASSWORD)
    refused = invoke("import", "--schema", schema, wrong)
    assert refused.code == 2
    assert "can't be read" in refused.err
    assert "***@" in refused.err
    assert PASSWORD not in refused.err


def test_a_bad_row(store: Store, tmp_path: Path) -> None:
    path, schema = tmp_path / "rasa.db", tmp_path / "taxi.yml"
    for sender in ("ann", "bea"):
        save(f"sqlite:///{path}", sender, booking())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE events SET data = '{oops' WHERE id = 4")
    connection.close()
    refused = invoke("import", "--schema", schema, "--format", "tracker-store", path)
    assert_one_line(refused, f"{path}: row 4 of table events: the user event's data isn't valid")
    assert store.dialogues.domains() == ()
    done = invoke("import", "--schema", schema, "--format", "tracker-store", "--skip-bad", path)
    assert done.code == 0
    assert "3 dialogues added" in done.out
    assert done.err.splitlines()[0].startswith(f"left out: {path}: row 4 of table events")
    assert done.err.splitlines()[-1] == "1 sessions were left out"


def test_many_conversations_in_pieces(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read by key, piece by piece, nothing is lost or read twice."""
    monkeypatch.setattr("rasa_onramp.store.rasa_events._PIECE", 7)
    path = tmp_path / "rasa.db"
    save(f"sqlite:///{path}", "x", [])  # makes the table
    event = json.dumps(said("a taxi", "book").as_dict())
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO events (sender_id, type_name, data) VALUES (?, ?, ?)",
            [
                (f"sender {number % 43}", kind, event)
                for number in range(43 * 15)
                for kind in ["user" if number // 43 else "session_started"]
            ],
        )
    connection.close()
    done = invoke("import", "--schema", tmp_path / "taxi.yml", f"sqlite:///{path}")
    assert "43 dialogues added" in done.out
    assert {len(d.turns[0].text.split("taxi")) - 1 for d in imported(store)} == {14}


def test_sources_that_are_none(store: Store, tmp_path: Path) -> None:
    schema = tmp_path / "taxi.yml"
    (tmp_path / "empty.db").touch()
    for arguments, saying in (
        (["--schema", schema, f"sqlite:///{tmp_path}/none.db"], "there is no file"),
        (["--schema", schema, f"sqlite:///{tmp_path}/empty.db"], "no such table: events"),
        (["--schema", schema, "--format", "tracker-store", "NO_URL"], "NO_URL"),
        (["--schema", schema, "--format", "tracker-store", "mysql:u:s3cret@h/db"], "PATH is"),
        (["--schema", schema, "nosuch://u:s3cret@host/db"], "no driver"),
        (["--schema", schema, "postgresql://u:s3@cret@host/db"], "an '@' too many"),
        ([f"sqlite:///{tmp_path}/empty.db"], "--schema FILE, or --domain"),
        (["--schema", schema, "--domain", "taxi", "sqlite://"], "both --schema and --domain"),
        (["--domain", "taxi", "sqlite://"], "no domain 'taxi'"),
        (["--skip-bad", schema], "--skip-bad"),
    ):
        refused = invoke("import", *arguments)
        assert_one_line(refused, saying)
        assert "s3" not in refused.err
    assert not (tmp_path / "none.db").exists()


def test_what_rasa_takes_back_is_taken_back() -> None:
    """By Rasa's own rules, on conversations drawn at random."""
    draw = random.Random(5)
    kinds = [LISTEN, said("a", "book"), BotUttered("b"), ActionExecuted("utter_b")]
    undone = [UserUtteranceReverted(), ActionReverted()]
    for _ in range(300):
        events = [draw.choice(kinds * 3 + undone) for _ in range(draw.randrange(25))]
        tracker = DialogueStateTracker.from_events("x", events)
        kept = tracker.applied_events()
        rows = [(n, e.type_name, json.dumps(e.as_dict())) for n, e in enumerate(events)]
        found = rasa_events.applied(rasa_events._events_of(rows))
        assert [e.row.kind for e in found] == [e.type_name for e in kept]


@pytest.mark.parametrize(
    "text",
    [
        "plain [brackets] and (more)",
        "to [Leeds](city) and [York](city:the other)",
        'to [Leeds]{"entity": "city", "role": "to", "value": "LEEDS"}, now',
        '[one]{"entity": "a"}[two](b) [three]',
        '[two names][{"entity": "a"}, {"entity": "b", "role": "r"}] for one',
        "[ blanks ](city)",
    ],
)
def test_marks_are_read_as_rasa_reads_them(text: str) -> None:
    theirs = parse_training_example(text)
    plain, ours = parse_annotated(text)
    assert plain == theirs.get("text")
    assert [(e.name, e.value, e.start, e.end, e.role) for e in ours] == [
        (e["entity"], e["value"], e["start"], e["end"], e.get("role"))
        for e in theirs.get("entities", [])
    ]


def assert_one_line(done: Outcome, saying: str) -> None:
    assert done.code == 2, done
    assert done.err.count("\n") == 1, done.err
    assert saying in done.err, done.err
