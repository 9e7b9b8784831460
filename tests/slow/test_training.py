"""Meta-training on real dialogues, small but whole: the trained tracker beats the untrained one.

Ten to twenty minutes on two cores; needs the SGD data and the pretrained encoder.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Dict, Optional, Sequence

import pytest
import torch
from torch import Tensor

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.evaluation.metrics import aggregate, score_dialogue
from rasa_onramp.formats.sgd import read_sgd
from rasa_onramp.metalearning.adaptation import Adaptation, adapt_to_support
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.finetuning import support_groups
from rasa_onramp.metalearning.lora import adapter_from_bytes, adapter_to_bytes
from rasa_onramp.metalearning.multitask import MultitaskConfig, pretrain
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.training import MetaConfig, meta_train
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.encoder import Encoder
from rasa_onramp.tracker.model import StateTracker, initial_heads
from rasa_onramp.tracker.tokens import Tokens
from rasa_onramp.weights import resolve_encoder

pytestmark = pytest.mark.timeout(3600)

TRAINED_ON = ("Restaurants_1", "Hotels_2", "Events_1", "Music_2", "RentalCars_1", "Services_1")
UNSEEN = "Hotels_4"


def single(dialogues: Sequence[Dialogue], all_dialogues: Sequence[Dialogue], count: int):
    """`count` dialogues about one service only."""
    about: Dict[str, int] = {}
    for dialogue in all_dialogues:
        about[dialogue.id] = about.get(dialogue.id, 0) + 1
    return [d for d in dialogues if about[d.id] == 1][:count]


def jga(
    tracker: StateTracker,
    schema: Schema,
    dialogues: Sequence[Dialogue],
    weights: Optional[Dict[str, Tensor]] = None,
) -> float:
    found = track_dialogues(tracker, schema, dialogues, weights)
    scores = [
        score
        for dialogue, predictions in zip(dialogues, found)
        for score in score_dialogue(schema, dialogue, [p and p.state for p in predictions])
    ]
    return aggregate(scores).jga


def loss(
    tracker: StateTracker,
    schema: Schema,
    dialogues: Sequence[Dialogue],
    weights: Optional[Dict[str, Tensor]] = None,
) -> float:
    total = turns = 0.0
    with torch.no_grad():
        for group in support_groups(tracker, schema, dialogues, offers=False, seed=0):
            total += group_loss(tracker, group, weights).item() * group.turns
            turns += group.turns
    return total / turns


def untrained() -> StateTracker:
    encoder = Encoder.load().requires_grad_(False)
    heads = initial_heads(encoder.config.hidden_size, torch.Generator().manual_seed(0))
    return StateTracker(encoder, Tokens.from_file(resolve_encoder() / "tokenizer.json"), heads)


def test_training_on_sgd_beats_the_untrained_tracker(sgd_folder: Path, tmp_path: Path) -> None:
    training = read_sgd(sgd_folder / "train", TRAINED_ON)
    unseen = read_sgd(sgd_folder / "dev")
    schema = unseen.schemas[UNSEEN]
    own = [d for d in unseen.dialogues if d.domain == UNSEEN]
    dialogues = random.Random(0).sample(single(own, unseen.dialogues, 40), 25)
    support, held_out = dialogues[:5], dialogues[5:]

    tracker = untrained()
    tasks = tasks_of(training)
    stage_one = MultitaskConfig(steps=150, warmup=20, save_every=50)
    pretrain(tracker, tasks, stage_one, Run(tmp_path / "one", tensorboard=False), progress=False)
    stage_two = MetaConfig(steps=12, save_every=6)
    meta_train(tracker, tasks, stage_two, Run(tmp_path / "two", tensorboard=False), progress=False)
    save_tracker(tracker, tmp_path / "tracker", (resolve_encoder() / "tokenizer.json").read_bytes())
    tracker = load_tracker(tmp_path / "tracker")

    fresh = untrained()
    how = Adaptation(steps=stage_two.inner_steps)
    adapted = adapter_from_bytes(adapter_to_bytes(adapt_to_support(tracker, schema, support, how)))
    losses = {
        "untrained": loss(fresh, schema, held_out),
        "zero-shot": loss(tracker, schema, held_out),
        "adapted": loss(tracker, schema, held_out, adapted),
    }
    accuracy = {
        "untrained": jga(fresh, schema, held_out),
        "zero-shot": jga(tracker, schema, held_out),
        "adapted": jga(tracker, schema, held_out, adapted),
    }
    print(losses, accuracy)
    assert losses["adapted"] < 0.9 * losses["zero-shot"]
    assert losses["zero-shot"] < 0.5 * losses["untrained"]
    assert accuracy["adapted"] > accuracy["untrained"] + 0.1
