"""bench/peers.py: the training data that it makes for Rasa, and how it scores. No training here."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from rasa_onramp.dialogue import Dialogue, State
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.protocol import Split
from rasa_onramp.evaluation.reply_few_shot import ReplyResult
from rasa_onramp.evaluation.reply_metrics import ScoredReply, aggregate_replies, reply_sums
from rasa_onramp.formats.yaml import write_yaml
from tiny_tracker import CAFE, booking, bookings, system, user

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import peers
from peer import parts
from peer.__main__ import _RUN
from peer.rasa_data import CRF, DIET_TED, LABELS, write_project
from peer.rasa_labels import FOUND, entities, intent_name, reply_name
from peer.report import SELECTOR, best_of, measured_by_all, report, summaries, wins
from peer.scores import figures
from peer.work import Heard, Job, Outcome, Said, prepare, read_job
from rasa_onramp.generator.replies import support_replies

# What Rasa validates its files with, and what it tells of every bot that has slots or a
# ResponseSelector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:the load_module:DeprecationWarning",
    "ignore:Slot auto-fill:UserWarning",
    "ignore:The following duplicated intents:UserWarning",
)

SUPPORT: Tuple[Dialogue, ...] = bookings(5)
ODD = Dialogue(
    "odd",
    CAFE.name,
    (
        user("tables [of] {all} kinds?\nfor anna", {"guest_name": "anna"}, requested=["seating"]),
        system("which day, anna?"),
        user("what a day", None),
        system("inside, terrace or bar?"),
        user("At the TERRACE", {"guest_name": "anna", "seating": "terrace"}),
        system("the terrace it is", "find_days"),
        user("thanks", {"guest_name": "anna", "seating": "terrace"}, intent=None),
    ),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rasa")
    write_project(folder, CAFE, [*SUPPORT, ODD], DIET_TED, 7)
    return folder


@pytest.fixture(scope="module")
def importer(project: Path) -> Any:
    """Rasa's own reader of the project's files."""
    from rasa.shared.importers.importer import TrainingDataImporter

    return TrainingDataImporter.load_from_config(
        str(project / "config.yml"), str(project / "domain.yml"), [str(project / "data")]
    )


def test_rasa_reads_every_message_with_its_entities(importer: Any) -> None:
    data = importer.get_nlu_data()
    said = {example.get("text") for example in data.nlu_examples}
    wanted = {turn.text for d in SUPPORT for turn in d.turns if turn.is_user}
    assert wanted <= said
    found = {}
    for example in data.entity_examples:
        for entity in example.get("entities"):
            text = example.get("text")[entity["start"] : entity["end"]]
            found[example.get("text"), entity["entity"]] = (text, entity["value"])
    assert found["i need a table on monday", "visit_day"] == ("monday", "monday")
    assert found["it is anna", "guest_name"] == ("anna", "anna")
    # a listed value has no span: found in the text, with its name in the schema as the value
    assert found["At the TERRACE", "seating"] == ("TERRACE", "terrace")
    # what means something to Rasa was replaced, and moved nothing
    assert found["tables (of) (all) kinds? for anna", "guest_name"] == ("anna", "anna")
    assert [t["name"] for t in data.lookup_tables] == ["seating"]


def test_intents_say_what_a_turn_does(importer: Any, project: Path) -> None:
    data = importer.get_nlu_data()
    found = {example.get("text"): example.get("intent") for example in data.intent_examples}
    assert found["i need a table on monday"] == "BookTable_inform"
    assert found["tables (of) (all) kinds? for anna"] == "BookTable_inform_ask"
    assert found["what a day"] == "out_of_scope"
    assert found["thanks"] == "none_other"
    labels = json.loads((project / LABELS).read_text())
    assert labels["BookTable_inform"] == "BookTable" and labels["none_other"] is None
    assert set(labels) == set(found.values())


def test_the_response_selector_gets_each_answered_message(importer: Any) -> None:
    data = importer.get_nlu_data()
    keys = {e.get("text"): e.get("intent_response_key") for e in data.response_examples}
    assert keys["i need a table on monday"].startswith("BookTable_inform/")
    assert "thanks" not in keys  # nothing was said after it
    responses = importer.get_domain().responses
    assert all(f"utter_{key}" in responses for key in keys.values())


def test_stories_hold_the_dialogues(importer: Any) -> None:
    from rasa.shared.core.events import ActionExecuted, SlotSet, UserUttered

    domain = importer.get_domain()
    steps = {step.block_name: step for step in importer.get_stories().story_steps}
    assert set(steps) == {d.id for d in [*SUPPORT, ODD]}
    events = steps[ODD.id].events
    known = {*domain.action_names_or_texts, "action_listen"}
    done = [event.action_name for event in events if isinstance(event, ActionExecuted)]
    assert set(done) <= known
    spoken = [name for name in done if name.startswith("utter_")]
    assert len(spoken) == 3 and "action_find_days" in done
    assert [event.intent_name for event in events if isinstance(event, UserUttered)][1:3] == [
        "out_of_scope",
        "BookTable_inform",
    ]
    slots = {event.key: event.value for event in events if isinstance(event, SlotSet)}
    assert slots == {"guest_name": "anna", "seating": "terrace", FOUND: False}


def test_slots_are_filled_from_entities(importer: Any) -> None:
    domain = importer.get_domain()
    for slot in domain.slots:
        if slot.name in CAFE.tracked_slots:
            assert slot.mappings == [{"type": "from_entity", "entity": slot.name}]


def test_nothing_of_held_out_dialogues_is_learned(tmp_path: Path) -> None:
    secret = Dialogue(
        "secret",
        CAFE.name,
        (user("a table at xylophone", {"visit_day": "xylophone"}), system("xylophone, fine")),
    )
    # a file has no empty default values
    optional = {"seating": "bar", "guest_name": "anna"}
    intents = tuple(replace(intent, optional_slots=optional) for intent in CAFE.intents)
    schema = replace(CAFE, intents=intents)
    split = Split(schema, SUPPORT, (secret, booking(9)), 0)
    (tmp_path / "job").mkdir()
    prepare(tmp_path / "job", split, 5, threads=1, offers=False)
    job = read_job(tmp_path / "job")
    assert job.held_out == split.held_out and job.support == SUPPORT and job.schema == schema
    write_project(tmp_path / "rasa", job.schema, job.support, CRF, 0)
    texts = [p.read_text(encoding="utf-8") for p in (tmp_path / "rasa").rglob("*.*") if p.is_file()]
    assert len(texts) == 5
    assert not any("xylophone" in text or "secret" in text for text in texts)


def test_a_value_that_stands_nowhere_is_no_entity() -> None:
    turn = user("whatever you like", {"seating": "dontcare", "visit_day": "monday"})
    assert entities(CAFE, turn, State()) == []
    assert intent_name(turn, State()) == "BookTable_inform"


def test_replies_are_grouped_by_what_they_do() -> None:
    first, second, third = support_replies(CAFE, [booking(0)])
    assert reply_name(second) == "utter_ask_guest_name"
    assert reply_name(third) == "utter_statement"
    assert reply_name(first) == reply_name(support_replies(CAFE, [booking(1)])[0])


# -- scores --------------------------------------------------------------------------------------


def test_a_perfect_method_scores_one() -> None:
    held_out = (booking(0), booking(1))
    outcome = Outcome(gives=["intents", "states", "spans", "actions"])
    for dialogue in held_out:
        for number, turn in enumerate(dialogue.turns):
            if turn.is_user and turn.state is not None:
                outcome.heard.append(
                    Heard(
                        dialogue.id,
                        number,
                        turn.state.values,
                        turn.state.active_intent,
                        [[span.slot, span.start, span.end] for span in turn.spans],
                        dialogue.turns[number + 1].action,
                        5.0,
                    )
                )
        for reply in support_replies(CAFE, [dialogue]):
            text, template = dialogue.turns[reply.number].text, reply.template
            outcome.said.append(
                Said(dialogue.id, reply.number, text, template.text, template.slots)
            )
    row = figures(CAFE, held_out, outcome)
    for name in ("jga", "intent_accuracy", "span_f1", "value_f1", "action_accuracy", "call_f1"):
        assert row[name] == 1.0, name
    assert row["bleu"] == pytest.approx(100) and row["slot_error_rate"] in (0.0, None)
    assert row["turn_ms_p50"] == 5.0 and row["turns"] == 6


def test_counts_by_hand() -> None:
    """One dialogue: a wrong day that stays, a place found and one invented, no call made."""
    dialogue = booking(0)  # monday, inside, anna
    heard = [
        Heard(dialogue.id, 0, {"visit_day": ["sunday"]}, "BookTable", [["visit_day", 0, 1]]),
        Heard(dialogue.id, 2, {"visit_day": ["sunday"], "seating": ["inside"]}, "CancelTable"),
        Heard(
            dialogue.id,
            4,
            {"visit_day": ["sunday"], "seating": ["inside"], "guest_name": ["Anna"]},
            "BookTable",
            [["guest_name", 6, 10]],
        ),
    ]
    outcome = Outcome(gives=["intents", "states", "spans", "actions"], heard=heard)
    row = figures(CAFE, [dialogue], outcome)
    assert row["jga"] < 1 and row["intent_accuracy"] == pytest.approx(2 / 3)
    # new values: given day, seat, name; the day is wrong
    assert (row["value_right"], row["value_given"], row["value_wanted"]) == (2, 3, 3)
    assert row["value_f1"] == pytest.approx(2 / 3)
    assert (row["span_right"], row["span_given"], row["span_wanted"]) == (1, 2, 2)
    assert row["action_accuracy"] == pytest.approx(2 / 3)
    assert (row["call_right"], row["call_given"], row["call_wanted"]) == (0, 0, 1)


def test_a_value_said_again_in_another_spelling_is_not_new() -> None:
    dialogue = Dialogue(
        "again",
        CAFE.name,
        (
            user("on monday", {"visit_day": "monday"}),
            system("which day?"),
            user("on Mon, this monday", {"visit_day": "Mon|monday"}),
        ),
    )
    heard = [Heard(dialogue.id, n, {"visit_day": ["monday"]}, "BookTable") for n in (0, 2)]
    row = figures(CAFE, [dialogue], Outcome(gives=["states"], heard=heard))
    assert (row["value_right"], row["value_given"], row["value_wanted"]) == (1, 1, 1)


def test_a_reply_that_was_not_given_counts_as_empty() -> None:
    dialogue = booking(0)
    number, text = 3, dialogue.turns[3].text
    outcome = Outcome(said=[Said(dialogue.id, number, text, text, ())])
    row = figures(CAFE, [dialogue], outcome)
    assert row["reply_sums"][0] == 3 and row["bleu"] < 60
    assert "jga" not in row


@pytest.mark.parametrize(
    ("method", "model"), [("in-context", "as published"), ("initialisation", "with our updates")]
)
def test_what_is_prompted_is_the_language_model_or_our_initialisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, model: str
) -> None:
    given = []

    def measured(model: Any, split: Split, shots: int, methods: Any, *rest: Any) -> Any:
        given.append((model, methods))
        return [ReplyResult(split.schema.name, methods[0], shots, 0, 0.0, 1.0, {})]

    monkeypatch.setattr(parts, "measure_replies", measured)
    monkeypatch.setattr(parts, "new_replies", lambda **how: "as published")
    monkeypatch.setattr(parts, "load_replies", lambda **how: "with our updates")
    monkeypatch.setattr(parts.SentenceEncoder, "load", lambda name: Namespace(embed=None))
    _RUN[method](Job(tmp_path, CAFE, SUPPORT, (booking(9),), 0, 1, False))
    assert given == [(model, ("in-context",))]


# -- the table and the file ----------------------------------------------------------------------


def test_rows_are_joined_by_their_counts() -> None:
    cost = {"ready_seconds": 10.0, "memory_mb": 900, "turn_ms_p50": 8.0}
    first = {"method": "rasa", "turns": 10, "jga": 0.0, "span_f1": 1.0, **cost}
    first.update(span_right=1, span_given=1, span_wanted=1)
    short, long = "see you on monday then", "we have a table on the terrace for you on monday"
    first.update(reply_sums=sums(short, short), reply_sums_selected=sums(short, "no"))
    second = {**first, "turns": 30, "jga": 1.0, "span_f1": 0.0, "ready_seconds": 20.0}
    second.update(span_right=0, span_given=1, span_wanted=3, reply_sums=sums(long, "no"))
    ours = {"method": "adapted", "turns": 40, "jga": 0.5, **cost}
    probe = {"method": "probe", "turns": 40, "intent_accuracy": 0.9, "ready_seconds": 1.0}
    lines = summaries([first, second, ours, probe])
    assert lines["rasa"]["jga"] == 0.75 and lines["rasa"]["ready_seconds"] == 15.0
    assert lines["rasa"]["span_f1"] == pytest.approx(2 / 6)  # 1 right of 2 given and 4 wanted
    together = [ScoredReply(short, short, short, short), ScoredReply(long, "no", long, "no")]
    assert lines["rasa"]["bleu"] == pytest.approx(aggregate_replies(together).bleu)
    assert (
        0 < lines["rasa"]["bleu"] < 50
    )  # no mean of the sets' 100 and 0: the long one counts more
    assert lines[SELECTOR]["bleu"] < 1 and "jga" not in lines[SELECTOR]
    assert "span_f1" not in lines["adapted"]
    table = report([first, second, ours, probe]).splitlines()
    assert [line.split("  ")[0] for line in table[2:]] == ["rasa", SELECTOR, "probe", "adapted"]
    assert "0.750*" in table[2]  # a peer that wins is marked
    assert "10.0*" in table[5] and "1.0*" not in table[4]  # a part of a bot wins no cost


def sums(reference: str, text: str) -> List[float]:
    """What a row keeps of a support set's one reply."""
    return reply_sums([ScoredReply(reference, text, reference, text)]).tolist()


def test_what_reads_the_same_wins_together_and_a_ceiling_never() -> None:
    rows: List[Dict[str, Any]] = [
        {"method": "rasa", "turns": 10, "jga": 0.8001, "ready_seconds": 9.0},
        {"method": "adapted", "turns": 10, "jga": 0.8004, "ready_seconds": 8.0},
        {"method": "imported", "turns": 10, "jga": 0.79, "ready_seconds": 7.0},
        {"method": "entities", "turns": 10, "jga": 0.9, "ready_seconds": 1.0},
    ]
    lines = summaries(rows)
    best = best_of(lines)
    won = {m for m, line in lines.items() if wins(m, "jga", 1, line, best)}
    assert won == {"rasa", "adapted"}
    assert "ready_seconds" not in lines["entities"]


def test_the_ceiling_has_what_stands_in_messages_and_no_more(tmp_path: Path) -> None:
    taken = Dialogue(
        "taken",
        CAFE.name,
        (
            user("on monday", {"visit_day": "monday"}),
            system("inside?"),
            user("yes", {"visit_day": "monday", "seating": "inside"}),
            system("your name?"),
            user("anna", {"visit_day": "monday", "seating": "inside", "guest_name": "anna"}),
        ),
    )
    job = Job(tmp_path, CAFE, SUPPORT, (booking(0), taken), 0, 1, False)
    outcome = _RUN["entities"](job)
    assert figures(CAFE, [booking(0)], outcome)["jga"] == 1.0
    states = [one.values for one in outcome.heard if one.dialogue == "taken"]
    assert states[1] == {"visit_day": ["monday"]}
    assert states[2] == {"visit_day": ["monday"], "guest_name": ["anna"]}


def test_methods_are_compared_on_what_all_were_measured_on() -> None:
    def row(method: str, seed: int) -> Dict[str, Any]:
        return {"method": method, "service": "cafe", "seed": seed, "memory_mb": 500 + seed}

    both = [row("rasa", 0), row("adapted", 0)]
    assert measured_by_all([*both, row("adapted", 1)]) == both
    lines = report(both).splitlines()
    assert "*" not in "".join(lines[2:])  # Rasa's megabytes are a whole bot's, ours aren't


def test_what_is_measured_is_added_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    any_will_do = dict.fromkeys(("seating", "guest_name"), "dontcare")
    intents = tuple(replace(intent, optional_slots=any_will_do) for intent in CAFE.intents)
    schema = replace(CAFE, name="cafe", intents=intents)
    write_yaml(tmp_path / "cafe.yml", schema, bookings(4, "cafe"))
    out = tmp_path / "peers.json"
    taken = []

    def measure(split: Split, method: str, options: Any) -> Any:
        taken.append((split.seed, method))
        return {"service": "cafe", "seed": split.seed, "method": method, "ready_seconds": 2.0}

    def run(*more: str) -> None:
        command = ["peers.py", "--data", str(tmp_path / "cafe.yml"), "--services", "all"]
        monkeypatch.setattr("sys.argv", [*command, "--shots", "2", "--json", str(out), *more])
        peers.main()

    monkeypatch.setattr(peers, "measure", measure)  # the real ones are in tests/slow
    run("--methods", "probe")
    run("--methods", "probe,adapted", "--seeds", "2")
    assert taken == [(0, "probe"), (0, "adapted"), (1, "probe"), (1, "adapted")]
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [(row["seed"], row["method"]) for row in found["rows"]] == taken
    assert found["summary"][0] == {"method": "probe", "ready_seconds": 2.0}
    assert "adapted" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"other settings \(limit 3, not 4"):
        run("--methods", "probe", "--limit", "4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cafe.yml", "peers.json"]
