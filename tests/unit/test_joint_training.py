"""Tracker and replies that are meta-trained together, both tiny, and the command that does it."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import pytest
import torch
from torch import Tensor

from command_line import invoke
from interrupted import Killed
from rasa_onramp.dialogue import Corpus, Dialogue, State
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.generator.checkpoint import load_replies, save_replies
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.packing import Packed
from rasa_onramp.generator.prompt import facts
from rasa_onramp.generator.replies import SupportReply, support_replies
from rasa_onramp.generator.situation import situate
from rasa_onramp.metalearning.algorithms import ALGORITHMS
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.episodes import Episode
from rasa_onramp.metalearning.inner_loop import InnerLoop, adapt
from rasa_onramp.metalearning.joint import JointConfig, JointLearner, meta_train_jointly
from rasa_onramp.metalearning.parallel import Workers
from rasa_onramp.metalearning.predicted_states import reread, with_predictions
from rasa_onramp.metalearning.reply_episodes import ReplyEpisode, support_and_queries
from rasa_onramp.metalearning.reply_training import (
    ReplyMetaConfig,
    ReplyMetaLearner,
    adapt_replies,
)
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.training import MetaConfig, TrackerMetaLearner, draws_of
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_onramp.tracker.decoding import TurnPrediction, track_dialogues
from tiny_both import TALKS, TASKS, everything, models
from tiny_replies import SCHEMA, SUPPORT, embed, random_updates, tiny_model, write_folder
from tiny_tracker import tiny_tracker, tokenizer_json

pytest.importorskip("transformers")

CONFIG = JointConfig(
    steps=1,
    episodes_a_step=1,
    predicted=1.0,
    save_every=2,
    tracker=MetaConfig(
        inner_steps=2,
        rank=2,
        shots={2: 1.0},
        queries=2,
        lora_rate=5e-2,
        heads_rate=5e-2,
        encoder_outer_rate=2e-3,
        weights_outer_rate=2e-3,
    ),
    replies=ReplyMetaConfig(inner_steps=2, inner_rate=5e-3, weights_outer_rate=1e-2),
)
#: All but ANIL, which leaves low-rank updates alone.
NAMES = [name for name, each in ALGORITHMS.items() if each.adapts(".lora_A.weight")]


def trained(
    folder: Path, config: JointConfig = CONFIG, kind: Callable[..., Run] = Run, **changes: Any
) -> Dict[str, Tensor]:
    """All that both have learned."""
    tracker, replies = models()
    run = kind(folder, tensorboard=False)
    how = replace(config, **changes)
    meta_train_jointly(tracker, replies, TASKS, how, run, embed=embed, progress=False)
    return everything(tracker, replies)


def parts_changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> List[str]:
    moved = {n.split("/")[0] for n in before if not torch.equal(before[n], after[n])}
    return sorted(moved)


def logged(folder: Path) -> List[Dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


# -- replies in other states ---------------------------------------------------------------------


def in_states(dialogue: Dialogue, change: Callable[[State], State]) -> List[SupportReply]:
    """Its replies, read again with its states changed."""
    others = [TurnPrediction(change(t.state)) for t in dialogue.turns if t.state is not None]
    told = support_replies(SCHEMA, [dialogue])
    return list(reread(SCHEMA, told, with_predictions(dialogue, others)))


def without(slot: str) -> Callable[[State], State]:
    return lambda state: replace(
        state, values={name: value for name, value in state.values.items() if name != slot}
    )


def test_replies_in_the_labelled_states_are_the_same() -> None:
    for dialogue in SUPPORT:
        assert in_states(dialogue, lambda state: state) == list(support_replies(SCHEMA, [dialogue]))


def test_what_the_bot_lost_is_neither_written_out_nor_learned() -> None:
    found = in_states(SUPPORT[2], without("delivery_day"))
    assert [reply.template.text for reply in found] == [
        "So that is {tracking_number}, {delivery_day}. Is that right?",
        "Done: {delivery_day}. Anything else?",
    ]
    assert [reply.known for reply in found] == [False, False]
    assert found[0].situation.missing == ("delivery_day",)
    # its delivery day doesn't bear on what this one tells
    assert all(reply.known for reply in in_states(SUPPORT[0], without("delivery_day")))


def test_a_call_that_could_not_be_made_is_not_learned_from() -> None:
    """Nor is what is said later of its results; what was said before it is."""
    called = replace(SUPPORT[0], turns=(*SUPPORT[0].turns[:3], SUPPORT[1].turns[1]))
    for dialogue in (SUPPORT[0], called):  # it found a parcel, and none
        found = in_states(dialogue, without("tracking_number"))
        assert [reply.known for reply in found] == [True] + [False] * (len(found) - 1)


def test_a_wrong_value_is_as_good_as_a_right_one() -> None:
    def other(state: State) -> State:
        return replace(state, values=dict.fromkeys(state.values, ("ZZ9",)))

    found = in_states(SUPPORT[0], other)
    assert all(reply.known for reply in found)
    assert "tracking_number=ZZ9" in facts(SCHEMA, found[1].situation)
    assert found[1].template == support_replies(SCHEMA, SUPPORT[:1])[1].template


def test_turns_about_something_else_stay_so() -> None:
    first, *others = SUPPORT[0].turns
    dialogue = replace(SUPPORT[0], turns=(replace(first, state=None), *others))
    predictions: List[Optional[TurnPrediction]] = [None, *[TurnPrediction(State())] * 2]
    states = [t.state for t in with_predictions(dialogue, predictions).turns if t.is_user]
    assert states == [None, State(), State()]


# -- an episode of both --------------------------------------------------------------------------


class Recorded(ReplyMetaLearner):
    """It keeps the episodes that it learned from."""

    def __init__(self, model: ReplyModel, config: ReplyMetaConfig):
        super().__init__(model, config)
        self.met: List[ReplyEpisode] = []

    def practice(self, episode: ReplyEpisode, rng: random.Random):
        self.met.append(episode)
        return super().practice(episode, rng)


def learners(config: JointConfig = CONFIG) -> Tuple[TrackerMetaLearner, Recorded]:
    tracker, replies = models()
    return TrackerMetaLearner(tracker, config.of_tracker), Recorded(replies, config.of_replies)


def practised(
    tracker: TrackerMetaLearner, replies: Recorded, config: JointConfig, seed: str = "e"
) -> List[str]:
    """Take the gradients of one episode; returns the names of its losses."""
    draw = draws_of(tracker.tracker, TASKS, config.of_tracker)
    joint = JointLearner(tracker, replies, draw, embed, config.predicted)
    names = []
    for name, loss in joint.losses(random.Random(seed), 0.0):
        loss.backward()
        names.append(name)
    return names


def drawn(tracker: TrackerMetaLearner, config: JointConfig, rng: random.Random) -> Episode:
    return draws_of(tracker.tracker, TASKS, config.of_tracker)(rng)


def facts_of(sequences: Sequence[Packed], replies: ReplyMetaLearner) -> List[str]:
    """What the bot is said to know, turn by turn."""
    texts = [replies.model.tokens.text(sequence.ids.tolist()) for sequence in sequences]
    return [
        line[len("Facts: ") :] for t in texts for line in t.split("\n") if line.startswith("Facts")
    ]


def facts_with(
    tracker: TrackerMetaLearner, episode: Episode, theta: Optional[Mapping[str, Tensor]]
) -> List[str]:
    """The same from the states that a tracker with these weights predicts (None: the labels)."""
    found: List[str] = []
    for dialogue in episode.judged:
        turns = list(dialogue.turns)
        if theta is not None:
            (predicted,) = track_dialogues(
                tracker.tracker,
                episode.schema,
                [dialogue],
                {**tracker.tracker.weights, **theta},
                offers=episode.offers,
            )
            places = [n for n, turn in enumerate(turns) if turn.is_user]
            for place, prediction in zip(places, predicted):
                assert prediction is not None
                turns[place] = replace(turns[place], state=prediction.state)
        for n, turn in enumerate(turns):
            if not turn.is_user:
                now = situate(
                    episode.schema, turns[:n], turns[n - 1].state, turn.results, turn.action
                )
                found.append(facts(episode.schema, now))
    return found


@pytest.mark.parametrize("name", ["meta-sgd", "maml"])
def test_replies_are_read_in_the_states_that_the_adapted_tracker_predicts(name: str) -> None:
    config = replace(CONFIG, algorithm=name)
    tracker, replies = learners(config)
    rng = random.Random("e")
    episode = drawn(tracker, config, rng)
    order = ALGORITHMS[name].order
    practice = tracker.practice(episode, order, rng)
    assert practice is not None and practice.support is not None
    start = {name: value.detach() for name, value in tracker.adapter().items()}
    how = InnerLoop(2, order, "adam")
    theta = adapt(start, practice.support, tracker.rates(), how)
    wanted = facts_with(tracker, episode, theta)
    assert wanted != facts_with(tracker, episode, start)
    assert wanted != facts_with(tracker, episode, None)

    assert practised(tracker, replies, config) == ["tracker query loss", "replies query loss"]
    (met,) = replies.met
    assert facts_of(met.query, replies) == wanted
    # what is adapted on has its labels, as when a domain is onboarded
    labelled = replace(episode, judged=episode.support)
    assert facts_of(met.support, replies) == facts_with(tracker, labelled, None)


def test_reptile_predicts_with_what_the_support_alone_taught() -> None:
    """Its own inner steps have read the query, labels and all."""
    config = replace(CONFIG, algorithm="reptile", tracker=replace(CONFIG.tracker, shots={0: 1.0}))
    tracker, replies = learners(config)
    episode = drawn(tracker, config, random.Random("e"))
    assert episode.support == ()
    start = {name: value.detach() for name, value in tracker.adapter().items()}
    assert practised(tracker, replies, config) == ["tracker inner loss", "replies inner loss"]
    assert facts_of(replies.met[0].query, replies) == facts_with(tracker, episode, start)


def gradients(learner: Any) -> Dict[str, Tensor]:
    groups = [group["parameters"] for together in learner.clipped() for group in together]
    found = {name: p.grad for group in groups for name, p in group.items()}
    return {name: grad.clone() for name, grad in found.items() if grad is not None}


def test_without_predictions_it_is_two_trainings_on_the_same_episodes() -> None:
    # one support dialogue: every inner step is taken on it
    config = replace(CONFIG, predicted=0.0, tracker=replace(CONFIG.tracker, shots={1: 1.0}))
    tracker, replies = learners(config)
    practised(tracker, replies, config)

    tracker_alone, replies_alone = learners(config)
    rng = random.Random("e")
    episode = drawn(tracker_alone, config, rng)
    practice = tracker_alone.practice(episode, 1, rng)
    assert practice is not None
    tracker_alone.loss(practice, 0.0).backward()
    told = [
        [support_replies(SCHEMA, [dialogue]) for dialogue in dialogues]
        for dialogues in (episode.support, episode.judged)
    ]
    labelled = support_and_queries(replies.model.tokens, SCHEMA, *told, embed)
    answers = replies_alone.practice(labelled, random.Random(7))
    assert answers is not None
    replies_alone.loss(answers, 0.0).backward()

    for together, alone in ((tracker, tracker_alone), (replies, replies_alone)):
        found, wanted = gradients(together), gradients(alone)
        assert set(found) == set(wanted) and any(name.startswith("rates/") for name in found)
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, wanted[name], msg=name)
    other_tracker, other_replies = learners(config)
    practised(other_tracker, other_replies, replace(config, predicted=1.0))
    assert all(torch.equal(v, gradients(tracker)[k]) for k, v in gradients(other_tracker).items())
    assert any(
        not torch.allclose(v, gradients(replies)[k]) for k, v in gradients(other_replies).items()
    )


# -- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_algorithm_trains_both(name: str, tmp_path: Path) -> None:
    before = everything(*models())
    after = trained(tmp_path, algorithm=name)
    moved = parts_changed(before, after)
    # Reptile moves what takes inner steps
    assert moved == ["encoder", "replies", "tracker"][name == "reptile" :]
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings["predicted"] == 1.0 and settings["replies"]["inner_steps"] == 2
    assert not any(value.requires_grad for value in after.values())
    for part, rate in (("tracker rates/", 5e-2), ("replies rates/", 5e-3)):
        fresh = torch.tensor([rate, rate / 5])
        rates = [value for key, value in after.items() if key.startswith(part)]
        learned = [value for value in rates if not torch.allclose(value, fresh, rtol=1e-4)]
        assert rates and bool(learned) == ALGORITHMS[name].learn_rates


def test_both_losses_fall(tmp_path: Path) -> None:
    trained(tmp_path, steps=8, predicted=0.5)
    told = logged(tmp_path)
    assert len(told) == 8
    for name in ("tracker query loss", "replies query loss"):
        losses = [row[name] for row in told]
        assert min(losses) > 0
        assert sum(losses[-3:]) < 0.9 * sum(losses[:3]), name


def test_it_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    through = trained(tmp_path / "through", steps=3)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", kind=Killed, steps=3)
    resumed = trained(tmp_path / "killed", steps=3)
    assert parts_changed(through, resumed) == []
    assert parts_changed(everything(*models()), resumed) == ["encoder", "replies", "tracker"]


def test_minutes_end_it(tmp_path: Path) -> None:
    trained(tmp_path, steps=1000, minutes=1e-9)
    assert len(logged(tmp_path)) == 1


def test_what_cannot_be_learned_from_is_refused(tmp_path: Path) -> None:
    tracker, replies = models()
    before = everything(tracker, replies)
    silent = tuple(replace(d, turns=tuple(turn for turn in d.turns if turn.is_user)) for d in TALKS)
    mute = tasks_of(Corpus({SCHEMA.name: SCHEMA}, silent))
    run = Run(tmp_path, tensorboard=False)

    def refused(tasks, config: JointConfig, words: str, **how: Any) -> None:
        with pytest.raises(ConfigError, match=words):
            meta_train_jointly(tracker, replies, tasks, config, run, embed=embed, **how)
        assert parts_changed(before, everything(tracker, replies)) == []

    refused(mute, CONFIG, "no replies to learn from")
    refused(TASKS, replace(CONFIG, algorithm="anil"), "anil adapts no low-rank updates")
    refused(TASKS, CONFIG, "1 episodes a step can't be shared out", workers=Workers(0, 2))


# -- the command ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, and what both start from."""
    root = tmp_path_factory.mktemp("starts")
    (root / "data").mkdir()
    write_yaml(root / "data" / "parcels.yml", SCHEMA, TALKS)
    save_tracker(tiny_tracker(rank=2), root / "tracker", tokenizer_json())
    replies = tiny_model()
    replies.weights = random_updates(replies)
    replies.name = str(write_folder(root / "language model"))
    save_replies(replies, root / "replies")
    return root


def command(root: Path, *more: Any) -> Tuple[Any, ...]:
    return (
        *("meta-train-jointly", "--data", root / "data", "--start", root / "tracker"),
        *("--start-replies", root / "replies", "--run", root / "run", "--meta-steps", "1"),
        *("--episodes-a-step", "1", "--device", "cpu", "--quiet", *more),
    )


def test_the_command_writes_what_both_adapt_from(starts: Path) -> None:
    done = invoke(*command(starts))
    assert done.code == 0, done.err
    run = starts / "run"
    assert [line.split(":")[0] for line in done.out.splitlines()] == [
        str(run / "tracker"), str(run / "replies")
    ]  # fmt: skip
    tracker, replies = load_tracker(run / "tracker"), load_replies(run / "replies")
    assert tracker.training_services == replies.training_services == (SCHEMA.name,)
    for card in (tracker.card, replies.card):
        assert (card["algorithm"], card["predicted"]) == ("meta-sgd", 0.5)
        assert card["adaptation"]["dialogues_a_step"]  # type: ignore[index]
    assert tracker.rates and adapt_replies(replies, ()) == replies.weights


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--predicted", "1.5"), "1.5 is not in the range 0<=x<=1"),
        (("--algorithm", "anil"), "'anil' is not one of"),
        (("--start", "nothing"), "nothing"),
        (("--start-replies", "nothing"), "nothing"),
        (("--data", "nothing"), "nothing"),
    ],
)
def test_the_command_names_what_is_wrong(
    more: Tuple[str, ...], words: str, starts: Path, tmp_path: Path
) -> None:
    done = invoke(*command(starts, "--run", tmp_path / "run", *more))
    assert done.code == 2 and words in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
