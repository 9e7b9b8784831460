"""bench/joint.py: what is trained, what is measured in both kinds of states, its table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch

import joint
from rasa_onramp.dialogue import Corpus, State
from rasa_onramp.errors import CheckpointError
from rasa_onramp.evaluation.protocol import Protocol, splits
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.metalearning.inner_loop import initial_rates
from rasa_onramp.metalearning.reply_episodes import support_and_queries
from rasa_onramp.metalearning.reply_training import adapt_replies
from rasa_onramp.tracker.answers import TurnPrediction
from result_tables import joint as tables
from tiny_both import TALKS, models
from tiny_replies import SCHEMA, embed, random_updates, tiny_model
from tiny_tracker import tiny_tracker

pytest.importorskip("transformers")

SPLIT = next(
    splits(Corpus({SCHEMA.name: SCHEMA}, TALKS), [SCHEMA.name], Protocol((2,), 1, limit=3))
)


def replies(seed: int) -> ReplyModel:
    """Tiny ones that can adapt."""
    model = tiny_model()
    model.weights = random_updates(model, seed=seed)
    model.rates = initial_rates(model.weights, 2, lora=5e-3, heads=5e-3)
    model.card["adaptation"] = {"steps": 2, "dialogues_a_step": 1, "optimiser": "adam"}
    return model


@pytest.fixture(scope="module")
def both() -> joint.Models:
    return joint.Models(tiny_tracker(rank=2, steps=2), {"start": replies(1), "0.5": replies(2)})


def given(*more: object) -> Any:
    needed = ("--train", "train", "--runs", "runs", "--data", "sgd/dev", "--json", "any.json")
    return joint.options_of([str(each) for each in (*needed, *more)])


def test_trainings_differ_in_the_share_alone() -> None:
    first, second = joint.trainings(given("--meta-steps", 3, "--start-replies", "some"))
    assert (first.name, second.name) == ("0", "0.5") and first.run != second.run
    assert first.command[:3] == ("meta-train-jointly", "--predicted", "0")
    assert second.command[:3] == ("meta-train-jointly", "--predicted", "0.5")
    assert first.command[3:] == second.command[3:]
    assert first.command[first.command.index("--start-replies") + 1] == "some"
    assert "--start" not in first.command  # the one that ships
    assert first.made == Path("runs/predicted-0/replies")


def test_all_adapt_as_the_start_recommends(monkeypatch: Any) -> None:
    found = {None: replies(1), "runs/other": replies(2)}
    found["runs/other"].card["adaptation"] = {"steps": 7}
    monkeypatch.setattr(joint, "load_replies", found.get)
    monkeypatch.setattr(joint, "load_tracker", lambda start: tiny_tracker())
    loaded = joint.load(None, {"start": None, "0.5": "runs/other"}).replies
    assert loaded["0.5"] is found["runs/other"]
    assert loaded["0.5"].card["adaptation"] == loaded["start"].card["adaptation"]
    assert loaded["0.5"].card["adaptation"]["steps"] == 2


def test_losses_are_those_of_the_held_out_replies(both: joint.Models) -> None:
    rows = joint.rows_of(both, SPLIT, 2, embed)
    assert [row["replies"] for row in rows] == ["start", "0.5"]
    held_out, support = (
        [support_replies(SCHEMA, [dialogue]) for dialogue in dialogues]
        for dialogues in (SPLIT.held_out, SPLIT.pool[:2])
    )
    for row, model in zip(rows, both.replies.values()):
        episode = support_and_queries(model.tokens, SCHEMA, support, held_out, embed)
        weights = adapt_replies(model, episode.support, seed=SPLIT.seed)
        assert row["held_out"] == [dialogue.id for dialogue in SPLIT.held_out]
        for (tokens, nats), sequence in zip(row["labelled"], episode.query):
            assert tokens == sequence.learned.sum() > 0
            with torch.no_grad():
                assert nats / tokens == pytest.approx(float(model.loss([sequence], weights)), 1e-4)
    assert rows[0]["labelled"] != rows[1]["labelled"]
    # the same states for both, so that the same is judged
    tokens = [[one[0] for one in row["predicted"]] for row in rows]
    assert tokens[0] == tokens[1] and rows[0]["state_jga"] == rows[1]["state_jga"]


def test_a_tracker_that_is_right_changes_nothing(both: joint.Models, monkeypatch: Any) -> None:
    predicted = _predicting(monkeypatch, lambda state: state)
    (row, _) = joint.rows_of(both, SPLIT, 2, embed)
    assert predicted == [len(SPLIT.held_out)]
    assert row["predicted"] == row["labelled"] and row["state_jga"] == 1.0


def test_replies_that_state_what_was_lost_are_not_judged(
    both: joint.Models, monkeypatch: Any
) -> None:
    _predicting(monkeypatch, lambda state: replace(state, values={}))
    (row, _) = joint.rows_of(both, SPLIT, 2, embed)
    labelled, kept = (sum(one[0] for one in row[kind]) for kind in ("labelled", "predicted"))
    assert 0 < kept < labelled and row["state_jga"] < 1.0


def _predicting(monkeypatch: Any, change: Any) -> List[int]:
    """The tracker predicts the labels, changed; how many dialogues, at each call."""
    asked: List[int] = []

    def predictions(tracker: Any, schema: Any, dialogues: Any, adapter: Any) -> Any:
        asked.append(len(dialogues))
        labels = [[turn.state or State() for turn in d.turns if turn.is_user] for d in dialogues]
        return [tuple(TurnPrediction(change(state)) for state in states) for states in labels]

    monkeypatch.setattr(joint, "track_dialogues", predictions)
    return asked


def test_a_start_that_cannot_adapt_is_refused_before_training(monkeypatch: Any) -> None:
    tracker, model = models()
    monkeypatch.setattr(joint, "load_tracker", lambda folder: tracker)
    monkeypatch.setattr(joint, "load_replies", lambda folder: model)
    monkeypatch.setattr(joint, "train_all", None)
    with pytest.raises(CheckpointError, match="never meta-trained"):
        joint.main(["--train", "a", "--runs", "b", "--data", "c", "--json", "d"])


def results() -> Dict[str, Any]:
    """Two support sets of one dialogue; losses of 20 tokens in labelled and 10 in predicted."""
    losses = {"start": (20.0, 20.0), "0": (19.0, 19.0), "0.5": (20.0, 15.0)}
    runs = [
        {
            "replies": name,
            "service": "a",
            "seed": seed,
            "held_out": ["x"],
            "seconds": 1.0,
            "state_jga": 0.5 + seed / 10,
            "labelled": [[20, first]],
            "predicted": [[10, second]],
        }
        for seed in (0, 1)
        for name, (first, second) in losses.items()
    ]
    how = {"meta_steps": 16, "episodes_a_step": 2, "seed": 0, "threads": 1, "shots": 5, "seeds": 2}
    return {
        "settings": {**how, "data": "sgd/dev"},
        "seconds": {"0": 90.0, "0.5": None},
        "runs": runs,
    }


def test_tables_by_hand() -> None:
    grid = tables.losses([results()])
    assert grid is not None
    assert grid.rows == (
        ("start", "1.000 [1.000, 1.000]", "2.000 [2.000, 2.000]", "",
         "+0.100 [+0.100, +0.100]", ""),
        ("separately: labelled states only", "0.950 [0.950, 0.950]", "1.900 [1.900, 1.900]",
         "-0.100 [-0.100, -0.100]", "", "1.5"),
        ("jointly: 50% of episodes in predicted states", "1.000 [1.000, 1.000]",
         "1.500 [1.500, 1.500]", "-0.500 [-0.500, -0.500]",
         "-0.400 [-0.400, -0.400]", ""),
    )  # fmt: skip
    told = tables.about([results()])
    assert told is not None and "16 outer steps of 2 episodes" in told
    assert "40 tokens of replies in labelled states, 20 in predicted ones" in told
    assert "joint goal accuracy is 0.55" in told and "`a` (sgd/dev)" in told
