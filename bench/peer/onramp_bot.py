"""Ours as a user onboards a domain, and plain fine-tuning of our checkpoint.

Onboarding is `rasa-onramp init`, `import` and `adapt`, each a process of its own, and then a bot
that starts anew and answers; a bot that runs already needs no start (`seconds["open"]`). Turns are
timed in that bot, routing included.

States and actions are measured as `rasa-onramp evaluate` measures them, with the same adaptation
(`Job.offers` as there; `adapt` itself always marks what the bot stated, as a running bot does).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Iterator, List, Optional, Tuple

from peer.work import Heard, Job, Outcome, Said
from rasa_onramp.dialogue import Dialogue, State, Turn
from rasa_onramp.generator.checkpoint import load_replies
from rasa_onramp.generator.retrieval import RetrievalGenerator
from rasa_onramp.metalearning.adaptation import Adaptation, adapt_to_support
from rasa_onramp.metalearning.finetuning import finetune, support_groups
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.router import Route
from rasa_onramp.runtime.session import Session
from rasa_onramp.runtime.understanding import Understanding
from rasa_onramp.store import open_store
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.decoding import prepare, track_dialogues
from rasa_onramp.tracker.model import StateTracker, Weights
from rasa_onramp.tracker.sentences import SentenceEncoder
from rasa_onramp.tracker.together import track

__all__ = ["finetuned", "onboarded"]


def onboarded(job: Job, *, adapt: bool, written: bool) -> Outcome:
    """Import a domain, `adapt` the tracker and, if replies are `written`, the language model.

    Where replies are written, states are left out: they are those of the adapted tracker anyway.
    """
    url = f"sqlite:///{job.folder / 'onramp.db'}"
    outcome = Outcome()
    began = time.perf_counter()
    name, threads = job.schema.name, str(job.threads)
    commands = [["init"], ["import", str(job.support_file)]]
    if adapt:
        replies = "--replies" if written else "--no-replies"
        commands.append(["adapt", name, "--threads", threads, "--device", "cpu", replies])
    for command in commands:
        before = time.perf_counter()
        _onramp(command, url)
        outcome.seconds[command[0]] = time.perf_counter() - before
    outcome.seconds["train"] = time.perf_counter() - began
    before = time.perf_counter()
    with open_store(url) as store:
        engine = Engine.open(store, replies=load_replies() if written else None)
        outcome.seconds["open"] = time.perf_counter() - before
        engine.turn(Session(), job.first_message)
        outcome.answered()
        outcome.seconds["first_answer"] = time.perf_counter() - before - outcome.seconds["open"]
        taken = _served(engine, job, outcome)
    if not written:
        before = time.perf_counter()
        tracker = engine.tracker
        weights = None
        if adapt:
            how = Adaptation.of(tracker, offers=job.offers, seed=job.seed)
            weights = adapt_to_support(tracker, job.schema, job.support, how)
        outcome.seconds["learn"] = time.perf_counter() - before
        outcome.gives = ["intents", "states", "spans", "actions"]
        outcome.heard = list(_followed(tracker, job, weights, taken))
    else:
        outcome.heard = [
            Heard(dialogue, number, milliseconds=one) for (dialogue, number), one in taken.items()
        ]
    return outcome


def finetuned(job: Job) -> Outcome:
    """All weights of the same checkpoint fine-tuned; support replies answer."""
    outcome = Outcome(gives=["intents", "states", "spans", "actions"])
    tracker = load_tracker()
    began = time.perf_counter()
    groups = support_groups(tracker, job.schema, job.support, offers=job.offers, seed=job.seed)
    tuned = finetune(tracker, groups)
    outcome.seconds["learn"] = time.perf_counter() - began
    retrieval = RetrievalGenerator(
        job.schema, job.support, SentenceEncoder.load("all-MiniLM-L6-v2").embed
    )
    ready = prepare(tuned, job.schema)
    taken = {}
    for dialogue, number, turn, before in _user_turns(job):
        began = time.perf_counter()
        said = dialogue.turns[:number]
        found = track(tuned, ready, [*said, Turn("user", turn.text)], before, offers=job.offers)
        retrieval.reply([*said, Turn("user", turn.text, found.state)], found.state)
        taken[dialogue.id, number] = round(1000 * (time.perf_counter() - began), 2)
        outcome.answered()
    outcome.heard = list(_followed(tuned, job, None, taken))
    return outcome


def _onramp(command: List[str], url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rasa_onramp.cli", *command],
        env={**os.environ, "RASA_ONRAMP_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"rasa-onramp {' '.join(command)} failed:\n{done.stdout[-3000:]}")


def _user_turns(job: Job) -> Iterator[Tuple[Dialogue, int, Turn, State]]:
    """Each held-out user turn, with the true state before it."""
    for dialogue in job.held_out:
        before = State()
        for number, turn in enumerate(dialogue.turns):
            if turn.is_user:
                yield dialogue, number, turn, before
                before = turn.state or before


def _followed(
    tracker: StateTracker, job: Job, weights: Optional[Weights], taken: dict
) -> Iterator[Heard]:
    """States and spans from the tracker's own states, actions from the true ones."""
    found = track_dialogues(tracker, job.schema, job.held_out, weights, offers=job.offers)
    own = {
        (dialogue.id, number): prediction
        for dialogue, predictions in zip(job.held_out, found)
        for number, prediction in zip(
            (n for n, turn in enumerate(dialogue.turns) if turn.is_user), predictions
        )
    }
    ready = prepare(tracker, job.schema, weights)
    for dialogue, number, _, before in _user_turns(job):
        said = dialogue.turns[: number + 1]
        action = track(tracker, ready, said, before, offers=job.offers).action
        place = (dialogue.id, number)
        prediction = own[place]
        if prediction is None:
            yield Heard(*place, action=action, milliseconds=taken.get(place))
            continue
        yield Heard(
            *place,
            values={slot: list(texts) for slot, texts in prediction.state.values.items()},
            intent=prediction.state.active_intent,
            spans=[[span.slot, span.start, span.end] for span in prediction.spans],
            action=action,
            milliseconds=taken.get(place),
        )


def _served(engine: Engine, job: Job, outcome: Outcome) -> dict:
    """Lead the bot through the dialogues: its replies with states and results given, and the
    milliseconds of each whole turn, where it understands and replies by itself.
    """
    taken = {}
    name = job.schema.name
    for dialogue in job.held_out:
        session = Session()
        for number, turn in enumerate(dialogue.turns):
            if turn.is_user:
                began = time.perf_counter()
                understood = engine.understand(session, turn.text)
                if understood.domain is not None:
                    engine.reply(session, turn.text, understood)
                taken[dialogue.id, number] = round(1000 * (time.perf_counter() - began), 2)
                session.hear(turn.text, name, turn.state)
                continue
            if number and dialogue.turns[number - 1].is_user:
                said = _reply(engine, job, session, dialogue.turns[number - 1], turn)
                outcome.said.append(Said(dialogue.id, number, *said))
            session.say(turn, name)
    return taken


def _reply(
    engine: Engine, job: Job, session: Session, asked: Turn, turn: Turn
) -> Tuple[str, str, List[str]]:
    """The bot's reply in place of `turn`, the message `asked` understood as the dialogue has it."""
    before = Session(session.turns[:-1], dict(session.states), dict(session.results))
    understood = Understanding(
        Route(job.schema.name),
        state=asked.state or State(),
        in_scope=asked.state is not None,
        spans=asked.spans,
        action=turn.action,
    )
    results = turn.results if turn.action is not None else None
    reply = engine.reply(before, asked.text, understood, results)
    return reply.text, reply.template, list(reply.slots)
