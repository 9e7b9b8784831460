"""Methods side by side: every combination is measured once, and the sums over them."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from typing import Any, List

import pytest
import torch

from rasa_onramp.dialogue import Corpus, Dialogue, State
from rasa_onramp.evaluation.few_shot import Result, evaluate, summarise
from rasa_onramp.evaluation.methods import METHODS
from rasa_onramp.evaluation.metrics import TurnScore, score_dialogue
from rasa_onramp.evaluation.protocol import Protocol, split, splits
from rasa_onramp.metalearning.adaptation import Adaptation, adapt_to_support
from rasa_onramp.metalearning.finetuning import FineTuning
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.model import StateTracker
from tiny_tracker import CAFE, bookings, corpus, tiny_tracker


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    return tiny_tracker(seed=6, rank=2, steps=2, spread=3.0)


PROTOCOL = Protocol(
    shots=(0, 1, 2), seeds=2, limit=3, finetuning=FineTuning(rate=5e-3, epochs=2), steps=2
)


@pytest.fixture(scope="module")
def results(tracker: StateTracker) -> List[Result]:
    data = corpus(services=2, dialogues=6)
    return list(evaluate(tracker, data, list(data.schemas), PROTOCOL))


def test_every_combination_is_measured_once(results: List[Result]) -> None:
    keys = [(r.service, r.seed, r.shots, r.method) for r in results]
    assert len(keys) == len(set(keys)) == 2 * 2 * 3 * 3
    assert {r.method for r in results} == set(METHODS)


def test_what_is_measured_comes_split_by_split(results: List[Result]) -> None:
    data = corpus(services=2, dialogues=6)
    found = list(splits(data, list(data.schemas), PROTOCOL))
    assert [(s.schema.name, s.seed) for s in found] == [
        (name, seed) for name in data.schemas for seed in range(2)
    ]
    assert [(r.service, r.seed) for r in results[::9]] == [(s.schema.name, s.seed) for s in found]
    for one in found:
        assert len(one.pool) == 2 and len(one.held_out) == 3
        assert {d.domain for d in (*one.pool, *one.held_out)} == {one.schema.name}


def test_methods_and_sizes_of_a_seed_share_their_held_out_dialogues(results: List[Result]) -> None:
    data = corpus(services=2, dialogues=6)
    for service in data.schemas:
        own = [d for d in data.dialogues if d.domain == service]
        for seed in range(2):
            pool, held_out = split(own, PROTOCOL.shots, seed, PROTOCOL.limit)
            measured = [r for r in results if (r.service, r.seed) == (service, seed)]
            assert {tuple(r.predictions) for r in measured} == {tuple(d.id for d in held_out)}
            assert not {d.id for d in pool} & {d.id for d in held_out}


def test_without_support_all_methods_are_the_checkpoint(results: List[Result]) -> None:
    for service, seed in {(r.service, r.seed) for r in results}:
        chosen = [r for r in results if (r.service, r.seed) == (service, seed)]
        plain = [r for r in chosen if r.shots == 0 or r.method == "zero-shot"]
        assert len(plain) == 5
        assert all(r.scores == plain[0].scores for r in plain)
        assert all(r.predictions == plain[0].predictions for r in plain)
        assert all((r.seconds, r.steps) == (0.0, 0) for r in plain)
        learned = [r for r in chosen if r not in plain]
        assert len(learned) == 4
        assert all(r.predictions != plain[0].predictions for r in learned)
        assert all(r.seconds > 0 for r in learned)


def test_scores_are_those_of_the_predictions(results: List[Result]) -> None:
    data = corpus(services=2, dialogues=6)
    dialogues = {d.id: d for d in data.dialogues}
    for result in results:
        wanted = tuple(
            score
            for name, states in result.predictions.items()
            for score in score_dialogue(data.schemas[result.service], dialogues[name], states)
        )
        assert result.scores == wanted
        assert len(wanted) == 3 * 3


def test_adapted_is_what_adapting_gives(tracker: StateTracker, results: List[Result]) -> None:
    data = corpus(services=2, dialogues=6)
    (result,) = [
        r
        for r in results
        if (r.service, r.seed, r.shots, r.method) == ("TableBooking_2", 1, 2, "adapted")
    ]
    schema = data.schemas["TableBooking_2"]
    own = [d for d in data.dialogues if d.domain == schema.name]
    pool, held_out = split(own, PROTOCOL.shots, 1, PROTOCOL.limit)
    how = Adaptation.of(tracker, seed=1, steps=2)
    weights = adapt_to_support(tracker, schema, pool[:2], how)
    for dialogue, found in zip(held_out, track_dialogues(tracker, schema, held_out, weights)):
        assert result.predictions[dialogue.id] == tuple(p and p.state for p in found)


def test_a_row_is_ready_for_json(results: List[Result]) -> None:
    row = json.loads(json.dumps(results[0].row()))
    assert row["service"] == "TableBooking_1" and row["turns"] == 9
    assert set(row) >= {"method", "shots", "seed", "seconds", "steps", "jga", "intent_accuracy"}
    assert "predictions" not in row and "scores" not in row
    assert [turns for turns, _ in row["dialogues"]] == [3, 3, 3]
    assert sum(jga for _, jga in row["dialogues"]) / 9 == pytest.approx(row["jga"], abs=1e-4)


def test_a_row_has_the_dialogues_in_order_of_the_held_out() -> None:
    scores = ((turn(1.0), turn(0.25)), (replace(turn(1.0), jga=None), turn(0.5)))
    one = Result("A", "adapted", 5, 0, 1.0, scores, {"x": (), "y": ()})
    assert one.row()["dialogues"] == [[2, 1.25], [1, 0.5]]


def test_fine_tuning_for_the_steps_and_for_the_time_of_adapting(tracker: StateTracker) -> None:
    methods = ("zero-shot", "adapted", "finetune", "finetune-steps", "finetune-time")
    found = measured(
        tracker,
        corpus(services=1, dialogues=6),
        methods=methods,
        shots=(0, 2),
        limit=1,
        steps=7,
        finetuning=FineTuning(rate=5e-3, epochs=2),
    )
    none, some = found[: len(methods)], {r.method: r for r in found[len(methods) :]}
    assert all((r.steps, r.seconds) == (0, 0.0) for r in none[1:])
    steps = {name: r.steps for name, r in some.items()}
    assert (steps["zero-shot"], steps["adapted"], steps["finetune"]) == (0, 7, 2 * 2)
    assert steps["finetune-steps"] == 7
    # a step that began in that time is taken to its end; that it's the last, finetune's tests see
    timed = some["finetune-time"]
    assert timed.steps >= 1 and timed.seconds >= some["adapted"].seconds
    assert some["finetune-steps"].predictions != some["finetune"].predictions


def test_fine_tuning_for_the_steps_that_the_support_takes(tracker: StateTracker) -> None:
    methods = ("adapted", "finetune-steps")
    data, how = corpus(services=1, dialogues=6), {"epochs": 4, "steps": 2, "dialogues_a_step": 2}
    found = measured(tracker, data, methods=methods, shots=(1, 4), limit=1, adaptation=how)
    assert [result.steps for result in found] == [2, 2, 8, 8]


def test_fine_tuning_may_read_the_support_as_adapting_does(tracker: StateTracker) -> None:
    data = corpus(services=1, dialogues=6)

    def tuned(**how: Any) -> Result:
        finetuning = FineTuning(rate=5e-3, epochs=2, **how)
        changes = {"noise": 0.5, "new_values": 0.5}
        (found,) = measured(
            tracker,
            data,
            methods=("finetune",),
            shots=(3,),
            limit=2,
            finetuning=finetuning,
            adaptation=changes,
        )
        return found

    plain, augmented = tuned(), tuned(augmented=True)
    assert (plain.steps, augmented.steps) == (6, 6)
    assert plain.predictions != augmented.predictions
    assert tuned(augmented=True, dialogues_a_step=2).steps == 4


def measured(tracker: StateTracker, data: Corpus, **changes) -> List[Result]:
    protocol = replace(Protocol(shots=(0,), seeds=1, methods=("zero-shot",)), **changes)
    return list(evaluate(tracker, data, list(data.schemas), protocol))


def test_dialogues_about_one_service_or_all(tracker: StateTracker) -> None:
    data = corpus(services=2, dialogues=2)
    both = [Dialogue("both", name, bookings(1)[0].turns) for name in data.schemas]
    data = Corpus(data.schemas, (*data.dialogues, *both))
    assert [len(r.predictions) for r in measured(tracker, data)] == [2, 2]
    assert [len(r.predictions) for r in measured(tracker, data, dialogues="all")] == [3, 3]


def test_services_with_too_few_dialogues_are_left_out(tracker: StateTracker) -> None:
    data = corpus(services=1, dialogues=3)
    methods = {"methods": ("zero-shot",), "shots": (0, 3)}
    assert measured(tracker, data, **methods) == []
    assert len(measured(tracker, data, methods=("zero-shot",), shots=(0, 2))) == 2


def test_an_own_split_needs_dialogues_on_both_sides(tracker: StateTracker) -> None:
    data = corpus(services=1, dialogues=3)
    own = tuple(
        replace(d, split=s) for d, s in zip(data.dialogues, ("support", "held-out", "held-out"))
    )
    (result,) = measured(tracker, Corpus(data.schemas, own), own_split=True)
    assert list(result.predictions) == [own[1].id, own[2].id]
    assert measured(tracker, Corpus(data.schemas, own[:1]), own_split=True) == []
    too_many = measured(tracker, Corpus(data.schemas, own), own_split=True, shots=(0, 2))
    assert too_many == []


def test_offers_reach_tracking(tracker: StateTracker) -> None:
    marked = replace(tracker, weights={**tracker.weights})
    marked.weights["offer.weight"] = torch.arange(32.0) - 16
    data = corpus(services=1, dialogues=8)
    plain, offered = measured(marked, data), measured(marked, data, offers=True)
    assert plain[0].predictions != offered[0].predictions


def test_changes_of_the_adaptation_and_the_history_are_made(tracker: StateTracker) -> None:
    data = corpus(services=1, dialogues=6)
    (schema,) = data.schemas.values()
    changes = {"shots": (2,), "methods": ("adapted",)}
    more = {**changes, "adaptation": {"steps": 2, "runs": 2, "adapts": "heads"}, "history": 2}
    (plain,), (changed,) = measured(tracker, data, **changes), measured(tracker, data, **more)
    pool, held_out = split(data.dialogues, (2,), 0, None)
    how = Adaptation.of(tracker, seed=0, steps=2, runs=2, adapts="heads", history=2)
    weights = adapt_to_support(tracker, schema, pool, how)
    found = track_dialogues(tracker, schema, held_out, weights, history=2)
    for dialogue, predictions in zip(held_out, found):
        assert changed.predictions[dialogue.id] == tuple(p and p.state for p in predictions)
    assert changed.predictions != plain.predictions


def turn(jga: float, intent: float = 1.0) -> TurnScore:
    return TurnScore(CAFE.name, jga, jga or None, intent, 1.0, jga == 1)


def result(service: str, seed: int, *scores: TurnScore, seconds: float = 1.0) -> Result:
    return Result(service, "adapted", 5, seed, seconds, (scores,), {"d": (State(),)})


def test_summaries_by_hand() -> None:
    """Service A has few turns, B many: means over turns and over services differ. Seed 0 has more
    turns than seed 1: the mean over turns isn't that of the seeds' means.
    """
    results = [
        result("A", 0, turn(1.0), turn(0.0), turn(0.0), turn(0.0), seconds=1.0),
        result("A", 1, turn(1.0), turn(1.0), seconds=2.0),
        result("B", 0, *[turn(0.0, intent=0.0)] * 6, seconds=3.0),
        result("B", 1, *[turn(0.5)] * 6, seconds=6.0),
    ]
    (row,) = summarise(results)
    first, second = 1 / 10, (2 + 3) / 8
    assert row["jga"] == pytest.approx((1 + 2 + 3) / 18)
    assert row["jga_sd"] == pytest.approx(statistics.stdev([first, second]))
    assert row["jga_services"] == pytest.approx(((0.25 + 1.0) / 2 + (0 + 0.5) / 2) / 2)
    assert row["intent_accuracy"] == pytest.approx((18 - 6) / 18)
    assert row["seconds"] == pytest.approx(3.0)
    assert (row["method"], row["shots"], row["seeds"], row["turns"]) == ("adapted", 5, 2, 18)
    # nine turns define the average: those of 0 don't
    assert row["average_goal_accuracy"] == pytest.approx((3 + 6 * 0.5) / 9)


def test_summaries_by_method_and_size() -> None:
    one = result("A", 0, turn(1.0))
    results = [
        one,
        replace(one, method="finetune"),
        replace(one, shots=0),
        replace(one, method="zero-shot", shots=0, dialogues=((turn(0.0),),)),
    ]
    rows = summarise(results)
    assert [(r["method"], r["shots"]) for r in rows] == [
        ("adapted", 0),
        ("zero-shot", 0),
        ("adapted", 5),
        ("finetune", 5),
    ]
    assert [r["jga"] for r in rows] == [1.0, 0.0, 1.0, 1.0]
    assert all(r["jga_sd"] == 0 for r in rows)  # one seed has no spread
    assert summarise([]) == []
    assert math.isnan(float(str(summarise([replace(one, dialogues=())])[0]["jga"])))
