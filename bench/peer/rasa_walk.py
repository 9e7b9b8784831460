"""A trained Rasa bot, led through the held-out dialogues turn by turn, in a process of its own.

    python -m peer.rasa_walk JOB_FOLDER MODEL LABELS

States: the bot's own understanding fills its slots from message to message, by Rasa's own
`action_extract_slots`; in between it did what the dialogue says. Actions: the message is the bot's
to understand, everything before it is as it was. Replies: the message too is given as the dialogue
has it, with the slots and the API call's result, as every method's replies are measured; the
likeliest reply action is said, in Rasa's own wording of it (one of its texts, drawn by Rasa).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy
from rasa.core.agent import Agent
from rasa.core.channels import CollectingOutputChannel, UserMessage
from rasa.engine.constants import PLACEHOLDER_TRACKER
from rasa.shared.core.constants import ACTION_LISTEN_NAME, ACTION_SESSION_START_NAME
from rasa.shared.core.events import (
    ActionExecuted,
    Event,
    SessionStarted,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker, EventVerbosity

from peer.rasa_labels import (
    FOUND,
    action_name,
    changes,
    entities,
    intent_name,
    replies_by_turn,
    reply_name,
)
from peer.work import Heard, Job, Outcome, Said, read_job
from rasa_onramp.dialogue import Dialogue, State, Turn
from rasa_onramp.generator.replies import SupportReply
from rasa_onramp.generator.situation import Situation
from rasa_onramp.generator.spotting import plain_values
from rasa_onramp.generator.templates import COUNT

__all__ = ["Bot", "walk"]


class Bot:
    """A trained bot in this process. `labels` maps its intents to active intents."""

    def __init__(self, model: Path, job: Job, labels: Dict[str, Optional[str]]):
        self.processor: Any = Agent.load(model).processor
        self.job, self.labels = job, labels
        self.domain: Any = self.processor.domain
        self.replies = [
            name
            for name in self.domain.action_names_or_texts
            if name.startswith("utter_") and name in self.domain.responses and "/" not in name
        ]
        nodes = self.processor.model_metadata.predict_schema.nodes
        #: The node of the graph that TED is; None in a bot that only understands.
        self.ted = next((name for name in nodes if "TEDPolicy" in name), None)
        self.calls = {action_name(action.name): action.name for action in job.schema.actions}

    def start(self) -> DialogueStateTracker:
        """A conversation in which nothing was said."""
        tracker = DialogueStateTracker("walk", self.domain.slots)
        for event in (ActionExecuted(ACTION_SESSION_START_NAME), SessionStarted()):
            tracker.update(event, self.domain)
        tracker.update(ActionExecuted(ACTION_LISTEN_NAME), self.domain)
        return tracker

    async def hear(self, tracker: DialogueStateTracker, text: str) -> Dict[str, Any]:
        """Understand `text` and fill the slots, as Rasa does when a message comes in."""
        parse = await self.processor.parse_message(UserMessage(text), tracker)
        tracker.update(UserUttered(text, parse["intent"], parse["entities"], parse), self.domain)
        await self.processor.run_action_extract_slots(CollectingOutputChannel(), tracker)
        return parse

    def scores(self, tracker: DialogueStateTracker) -> Dict[str, float]:
        """The policies' score of every action."""
        found = self.processor.predict_next_with_tracker(tracker, EventVerbosity.NONE)
        return {one["action"]: one["score"] for one in found["scores"]}

    def reply(self, tracker: DialogueStateTracker) -> Optional[str]:
        """The chosen action if that is a reply, else the one that TED finds likeliest of those."""
        scores = self.scores(tracker)
        best = max(scores, key=lambda name: scores[name])
        if best in self.replies:
            return best
        run = self.processor.graph_runner.run
        ted = run(inputs={PLACEHOLDER_TRACKER: tracker}, targets=[self.ted])[self.ted]
        own = dict(zip(self.domain.action_names_or_texts, ted.probabilities))
        return max(self.replies, key=lambda name: own[name], default=None)

    def wording(self, action: str, values: Dict[str, Any], number: int) -> Said:
        """One of an action's texts, filled; dialogue and turn are left open."""
        nlg = self.processor.nlg
        names = {name: f"{{{name}}}" for name in values}
        text, template = (
            _drawn(nlg, action, filling, self.job.seed + number) for filling in (values, names)
        )
        slots = [name for name in values if f"{{{name}}}" in template]
        found = [name for name in slots for _ in range(template.count(f"{{{name}}}"))]
        return Said("", 0, text, template, [_slot_of(name) for name in found])


def walk(bot: Bot, outcome: Outcome) -> None:
    """All held-out dialogues, into `outcome`."""
    for dialogue in bot.job.held_out:
        asyncio.run(_own(bot, dialogue, outcome))
        if bot.ted is not None:
            asyncio.run(_led(bot, dialogue, outcome))


async def _own(bot: Bot, dialogue: Dialogue, outcome: Outcome) -> None:
    """The bot's states, from message to message."""
    tracker = bot.start()
    tracked = bot.job.schema.tracked_slots
    replies = replies_by_turn(bot.job.schema, dialogue)
    for number, turn in enumerate(dialogue.turns):
        if not turn.is_user:
            tracker.update_with_events(_done(bot, turn, replies.get(number)), bot.domain)
            continue
        began = time.perf_counter()
        parse = await bot.hear(tracker, turn.text)
        if bot.ted is not None:
            action = bot.reply(tracker)
            if action is not None:
                bot.wording(action, tracker.current_slot_values(), number)
        taken = time.perf_counter() - began
        outcome.answered()
        values = {
            name: [str(value)]
            for name, value in tracker.current_slot_values().items()
            if name in tracked and value is not None
        }
        spans = [[e["entity"], e["start"], e["end"]] for e in parse["entities"]]
        intent = bot.labels.get(parse["intent"]["name"])
        outcome.heard.append(
            Heard(dialogue.id, number, values, intent, spans, None, round(1000 * taken, 2))
        )


async def _led(bot: Bot, dialogue: Dialogue, outcome: Outcome) -> None:
    """The bot's actions and replies, the dialogue's own history given."""
    schema = bot.job.schema
    places = {(one.dialogue, one.turn): n for n, one in enumerate(outcome.heard)}
    replies = replies_by_turn(schema, dialogue)
    tracker, before, parse = bot.start(), State(), {}
    for number, turn in enumerate(dialogue.turns):
        if turn.is_user:
            copy = tracker.copy()
            parse = await bot.hear(copy, turn.text)
            scores = bot.scores(copy)
            chosen = bot.calls.get(max(scores, key=lambda name: scores[name]))
            place = places[dialogue.id, number]
            outcome.heard[place] = _with_action(outcome.heard[place], chosen)
            tracker.update_with_events(_true_message(bot, turn, before, parse), bot.domain)
            before = turn.state or before
            continue
        reply = replies.get(number)
        if reply is None:
            continue
        tracker.update_with_events(_call(turn), bot.domain)
        chosen = bot.reply(tracker)
        if chosen is None:
            continue
        values = {**tracker.current_slot_values(), **_known(reply.situation)}
        values = {name: value for name, value in values.items() if name in bot_slots(bot)}
        selected = parse["response_selector"]["default"]["response"]["utter_action"]
        for action, where in ((chosen, outcome.said), (selected, outcome.selected)):
            said = bot.wording(action, values, number)
            where.append(Said(dialogue.id, number, said.text, said.template, said.slots))
        right = reply_name(reply)
        done = right if right in bot.replies else chosen
        tracker.update_with_events(
            [ActionExecuted(done), ActionExecuted(ACTION_LISTEN_NAME)], bot.domain
        )


def bot_slots(bot: Bot) -> Sequence[str]:
    """The names of the bot's slots."""
    return [slot.name for slot in bot.domain.slots]


def _true_message(bot: Bot, turn: Turn, before: State, parse: Dict[str, Any]) -> List[Event]:
    """A message as the dialogue has it; an intent that no support dialogue has is the bot's own."""
    name = intent_name(turn, before)
    intent = {"name": name, "confidence": 1.0} if name in bot.domain.intents else parse["intent"]
    found = [
        {"entity": span.slot, "start": span.start, "end": span.end, "value": value}
        for span, value in entities(bot.job.schema, turn, before)
    ]
    now = turn.state or before
    new = changes(before, now)
    events: List[Event] = [UserUttered(turn.text, intent, found, {**parse, "intent": intent})]
    events += [SlotSet(slot, values[0]) for slot, values in new.items() if slot in bot_slots(bot)]
    gone = [slot for slot in before.values if not now.values.get(slot)]
    return events + [SlotSet(slot, None) for slot in gone if slot in bot_slots(bot)]


def _call(turn: Turn) -> List[Event]:
    if turn.action is None:
        return []
    return [ActionExecuted(action_name(turn.action)), SlotSet(FOUND, bool(turn.results))]


def _done(bot: Bot, turn: Turn, reply: Optional[SupportReply]) -> List[Event]:
    """What the bot did in a system turn, as far as it has a name for it."""
    events = _call(turn)
    if reply is not None and reply_name(reply) in bot.replies:
        events.append(ActionExecuted(reply_name(reply)))
    return [*events, ActionExecuted(ACTION_LISTEN_NAME)] if reply is not None else events


def _known(situation: Situation) -> Dict[str, str]:
    """What fills a reply's placeholders: the state, and result rows from the one in focus on."""
    values = {slot: plain_values(texts) for slot, texts in situation.state.values.items()}
    found = {slot: texts[0] for slot, texts in values.items() if texts}
    for number, row in enumerate(situation.rows[situation.row or 0 :]):
        suffix = f"_{number + 1}" if number else ""
        found.update({f"{slot}{suffix}": value for slot, value in row.items()})
    if situation.rows:
        found[COUNT] = str(len(situation.rows))
    return found


def _drawn(nlg: Any, action: str, values: Dict[str, Any], seed: int) -> str:
    numpy.random.seed(seed)  # Rasa draws among an action's texts
    return nlg.generate_from_slots(action, values, "")["text"]


def _slot_of(name: str) -> str:
    head, _, number = name.rpartition("_")
    return head if head and number.isdigit() else name


def _with_action(heard: Heard, action: Optional[str]) -> Heard:
    return Heard(**{**heard.__dict__, "action": action})


def main() -> None:
    """Load, answer, walk."""
    folder, model, labels = map(Path, sys.argv[1:4])
    job = read_job(folder)
    began = time.perf_counter()
    bot = Bot(model, job, json.loads(labels.read_text(encoding="utf-8")))
    outcome = Outcome(gives=["states", "spans"])
    outcome.seconds["load"] = time.perf_counter() - began
    if bot.ted is not None:
        outcome.gives += ["intents", "actions"]
    walk(bot, outcome)
    outcome.save(job)


if __name__ == "__main__":
    main()
