"""A dialogue that a person labels: turn by turn, from the tracker's guess to what is right."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from rasa_onramp.dialogue import DONTCARE, Dialogue, Schema, Slot, Span, State, Turn
from rasa_onramp.formats.wording import did_you_mean, quote
from rasa_onramp.formats.yaml_dialogues import listed_value
from rasa_onramp.formats.yaml_schema import NO_INTENT
from rasa_onramp.tracker.decoding import TurnPrediction
from rasa_onramp.tracker.targets import is_said

__all__ = ["Guesser", "Labelling", "Proposal"]

#: What the tracker makes of the last of some turns, given the state before it.
Guesser = Callable[[Sequence[Turn], State], TurnPrediction]


@dataclass(frozen=True)
class Proposal:
    """What a turn is about to be labelled with. `state` None: it says nothing to the domain."""

    state: Optional[State]
    spans: Tuple[Span, ...] = ()


class Labelling:
    """One dialogue under a person's hands. Edits raise ValueError, with what to do about it."""

    def __init__(self, schema: Schema, dialogue: Dialogue, guess: Guesser):
        self.schema = schema
        self.dialogue = dialogue
        self.guesses: Dict[int, TurnPrediction] = {}
        self._guess = guess
        self._turns = list(dialogue.turns)
        self._places = [place for place, turn in enumerate(dialogue.turns) if turn.is_user]
        self._at = 0
        self._stood: Dict[int, State] = {}  # before each turn, when it was accepted
        self._proposals: List[Proposal] = []  # the last one counts; undoing takes it away
        self._begin()

    @property
    def done(self) -> bool:
        """Whether every user turn is labelled."""
        return self._at == len(self._places)

    @property
    def place(self) -> int:
        """Where in the dialogue the turn in hand is."""
        return self._places[self._at]

    @property
    def turn(self) -> Turn:
        """The user turn in hand."""
        return self._turns[self.place]

    @property
    def proposal(self) -> Proposal:
        """What it is labelled with if nothing more is changed."""
        return self._proposals[-1]

    @property
    def prediction(self) -> TurnPrediction:
        """The tracker's guess about it."""
        return self.guesses[self.place]

    @property
    def before(self) -> State:
        """The state before it."""
        return self._before(self._turns)

    def accept(self) -> None:
        """Label the turn in hand as proposed, and take up the next."""
        self._stood[self._at] = self.before
        self._turns[self.place] = replace(
            self.turn, state=self.proposal.state, spans=self.proposal.spans
        )
        self._at += 1
        if not self.done:
            self._begin()

    def undo(self) -> None:
        """Take the last edit back or, where there is none, the turn before up again."""
        if len(self._proposals) > 1:
            self._proposals.pop()
        elif self._at == 0:
            raise ValueError("there is nothing to undo")
        else:
            self._at -= 1
            self._proposals = [Proposal(self.turn.state, self.turn.spans)]

    def take_guess(self) -> None:
        """Propose what the tracker guesses."""
        self._proposals.append(self._guessed())

    def take_out(self) -> None:
        """Propose that the turn says nothing to the domain."""
        self._proposals.append(Proposal(None))

    def request(self, names: Sequence[str]) -> None:
        """Propose that the user asks to be told these slots."""
        for name in names:
            self._slot(name)
        requested = tuple(dict.fromkeys(names))
        self._change(replace(self._state(), requested_slots=requested))

    def put(self, name: str, value: str) -> Optional[str]:
        """Propose a slot's value, or the `intent`; an empty value clears it. Returns a hint where
        the tracker can't learn that.
        """
        state = self._state()
        names = [slot.name for slot in self.schema.slots]
        if name == "intent" and name not in names:
            self._change(replace(state, active_intent=self._intent(value)))
            return None
        slot = self._slot(name)
        if value and name not in self.schema.tracked_slots:
            raise ValueError(f"{name} is in no intent, so no state can hold it")
        values = {key: texts for key, texts in state.values.items() if key != name}
        spans = tuple(span for span in self.proposal.spans if span.slot != name)
        if value:
            listed = value if value == DONTCARE else listed_value(value, slot)
            if listed is None:
                mend = did_you_mean(value, (DONTCARE, *slot.values), "it")
                raise ValueError(
                    f"{quote(value)} is not among the values listed for {name}; {mend}"
                )
            values[name] = (listed,)
            spans += tuple(_mark(name, value, self.turn.text, spans))
        self._change(replace(state, values=values), spans)
        heard = self._turns[: self.place + 1]
        if not value or value == DONTCARE or slot.values or is_said(heard, name, (value,)):
            return None
        return (
            f"{quote(value)} is in no message so far, so it can't be learned; give the words that "
            "were said"
        )

    def labelled(self, split: Optional[str]) -> Dialogue:
        """The dialogue as labelled; it goes into `split` unless it is of one already."""
        return replace(self.dialogue, turns=tuple(self._turns), split=self.dialogue.split or split)

    def _begin(self) -> None:
        turn = self._turns[self._places[self._at]]
        turns = self._turns[: self.place + 1]
        self.guesses[self.place] = self._guess(turns, self.before)
        given = any(turn.state not in (None, State()) for turn in self.dialogue.turns)
        known = given or self._at in self._stood  # the latter was accepted, and undone
        self._proposals = [self._recorded(turn) if known else self._guessed()]

    def _recorded(self, turn: Turn) -> Proposal:
        """A turn as it was recorded, or accepted before, with earlier corrections carried into the
        values that this turn didn't change.
        """
        if turn.state is None:
            return Proposal(None, turn.spans)
        was, now = self._stood.get(self._at), self.before
        if was is None:
            was = self._before(self.dialogue.turns)
        said = {span.slot for span in turn.spans}
        values = dict(turn.state.values)
        for name in {**was.values, **now.values}:
            before, texts = was.values.get(name, ()), now.values.get(name, ())
            if texts != before == values.get(name, ()) and name not in said:
                values[name] = texts
        values = {name: texts for name, texts in values.items() if texts}
        intent = turn.state.active_intent
        if intent == was.active_intent:
            intent = now.active_intent
        return Proposal(replace(turn.state, values=values, active_intent=intent), turn.spans)

    def _before(self, turns: Sequence[Turn]) -> State:
        """The state before the turn in hand, by what stands in `turns`."""
        earlier = (turns[place].state for place in reversed(self._places[: self._at]))
        return next((state for state in earlier if state is not None), State())

    def _guessed(self) -> Proposal:
        return Proposal(self.prediction.state, self.prediction.spans)

    def _state(self) -> State:
        state = self.proposal.state
        return state if state is not None else replace(self.before, requested_slots=())

    def _change(self, state: State, spans: Optional[Tuple[Span, ...]] = None) -> None:
        self._proposals.append(Proposal(state, self.proposal.spans if spans is None else spans))

    def _slot(self, name: str) -> Slot:
        for slot in self.schema.slots:
            if slot.name == name:
                return slot
        mend = did_you_mean(name, [slot.name for slot in self.schema.slots], "it")
        raise ValueError(f"unknown slot {quote(name)}; {mend}")

    def _intent(self, name: str) -> Optional[str]:
        if name in ("", NO_INTENT):
            return None
        names = [intent.name for intent in self.schema.intents]
        if name not in names:
            raise ValueError(f"unknown intent {quote(name)}; {did_you_mean(name, names, 'it')}")
        return name


def _mark(slot: str, value: str, text: str, others: Sequence[Span]) -> List[Span]:
    """Where `value` stands in the user's own words, if it does and nothing else is marked there."""
    found = re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE)
    if found is None:
        return []
    start, end = found.span()
    if any(start < span.end and span.start < end for span in others):
        return []
    return [Span(slot, start, end)]
