"""Holding a recorded conversation with the bot: its user's side is sent, turn by turn."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from bot import Bot
from console import Console, DemoFailed
from rasa_onramp.dialogue import Dialogue, Schema, State
from rasa_onramp.evaluation.metrics import score_turn

__all__ = ["hold", "short"]


def hold(console: Console, bot: Bot, schema: Schema, dialogue: Dialogue, sender: str) -> None:
    """Send the user's turns of `dialogue`; show what was tracked, and the reply, turn by turn.

    The bot's replies needn't be the recorded ones, which the user's next turn answers. Raises
    DemoFailed if no turn at all was taken to be the domain's.
    """
    right = total = ours = 0
    for turn in dialogue.turns:
        if not turn.is_user:
            continue
        replies, found = bot.say(sender, turn.text)
        console.say(f"user:  {turn.text}")
        console.say(f"state: {_described(found)}")
        call = found.get("call")
        if call:
            given = ", ".join(f"{k}={v}" for k, v in call["parameters"].items())
            console.say(f"call:  {call['name']}({given})")
        for reply in replies:
            console.say(f"bot:   {reply}")
        ours += found.get("domain") == schema.name
        if turn.state is not None:
            total += 1
            correct, wanted = _compared(schema, turn.state, found)
            right += correct
            if not correct:
                console.say(f"       (as labelled, the slots are: {wanted})")
        console.say()
    if not ours:
        raise DemoFailed(f"the bot took none of these turns to be about {schema.name}")
    console.say(f"The tracked slots were as labelled after {right} of {total} user turns.")


def short(values: Mapping[str, Any]) -> str:
    """Slots and their values on a line."""
    texts = [f"{k}={v[0] if isinstance(v, (list, tuple)) else v}" for k, v in values.items()]
    return ", ".join(texts) or "no slot set"


def _described(found: Dict[str, Any]) -> str:
    if found.get("domain") is None:
        return f"no domain ({found.get('reason', 'the message never reached the tracker')})"
    state = found["state"]
    parts: List[str] = [found["domain"]]
    if not found.get("in_scope", True):
        parts.append("nothing for this domain in it")
    parts += [state["active_intent"] or "no intent", short(state["values"])]
    if state["requested_slots"]:
        parts.append(f"asks for {', '.join(state['requested_slots'])}")
    return " | ".join(parts)


def _compared(schema: Schema, wanted: State, found: Dict[str, Any]) -> Tuple[bool, str]:
    """Whether the state is right as joint goal accuracy sees it, and what was wanted."""
    state = found.get("states", {}).get(schema.name) or {"values": {}}
    values = {slot: tuple(texts) for slot, texts in state["values"].items()}
    return score_turn(schema, wanted, State(values)).jga == 1.0, short(wanted.values)
