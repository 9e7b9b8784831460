"""A conversation as the runtime sees it: what was said, by whom, and the state of each domain."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from rasa_onramp.dialogue import Span, State, Turn, joined

__all__ = [
    "HISTORY",
    "LONGEST",
    "Said",
    "Session",
    "span_from_json",
    "span_to_json",
    "state_from_json",
]

#: Characters of a message that count. The tracker looks at its first 128 tokens anyway; what reads
#: or remembers a message must not take the longer, nor keep the more, the longer users make it.
LONGEST = 4000

#: Turns before a message, or before a reply that somebody judges, that count: the last so many. The
#: tracker's window holds fewer.
HISTORY = 40


@dataclass(frozen=True)
class Said:
    """A turn, and the domain that it belongs to (None: none of ours)."""

    turn: Turn
    domain: Optional[str]


@dataclass
class Session:
    """One conversation.

    `turns` is all that was said, oldest first; the bot's utterances between two messages are one
    turn. `states` holds each domain's state, `results` the rows of each domain's last API call.
    What was meant by the first `forgotten` turns is known no more: they are texts.
    """

    turns: List[Said] = field(default_factory=list)
    states: Dict[str, State] = field(default_factory=dict)
    results: Dict[str, Tuple[Mapping[str, str], ...]] = field(default_factory=dict)
    forgotten: int = 0
    #: The place, name and parameters of each domain's last call.
    calls: Dict[str, Tuple[int, str, Mapping[str, str]]] = field(default_factory=dict)

    @property
    def domain(self) -> Optional[str]:
        """The active domain: the one that spoke last, if the bot's last turn was one of ours."""
        last = self.turns[-1] if self.turns else None
        return last.domain if last is not None and not last.turn.is_user else None

    @property
    def interrupted(self) -> Optional[str]:
        """The domain that had spoken before the bot's last turn, if that was an answer to something
        else, the bot's own or another domain's, and asks nothing.
        """
        if len(self.turns) < 3:
            return None
        spoke, asked, answered = self.turns[-3:]
        in_turns = not spoke.turn.is_user and asked.turn.is_user and not answered.turn.is_user
        elsewhere = asked.domain == answered.domain != spoke.domain
        asks = "?" in answered.turn.text
        return spoke.domain if in_turns and elsewhere and not asks else None

    def settled(self, domain: str) -> bool:
        """Whether a domain's last call was made in the state that it is in now."""
        place = self.calls[domain][0] if domain in self.calls else 0
        states = [
            said.turn.state
            for said in self.turns[:place]
            if said.domain == domain and said.turn.is_user and said.turn.state is not None
        ]
        now = self.states.get(domain)
        if not states or now is None:
            return False
        return (states[-1].values, states[-1].active_intent) == (now.values, now.active_intent)

    def hear(self, text: str, domain: Optional[str], state: Optional[State]) -> None:
        """Append a message, which left `domain` in `state` (None: it said nothing to it)."""
        self.turns.append(Said(Turn("user", text, state=state), domain))
        if domain is not None and state is not None:
            self.states[domain] = state

    def say(self, turn: Turn, domain: Optional[str], *, elsewhere: bool = False) -> None:
        """Append a reply. One after another becomes part of the same turn. `elsewhere`: what it
        answers was said to none of ours, so that a domain that spoke before it isn't active now.
        """
        last = self.turns.pop() if self.turns and not self.turns[-1].turn.is_user else None
        if domain is not None and turn.action is not None:
            self.results[domain] = turn.results
            self.calls[domain] = (len(self.turns), turn.action, turn.parameters)
        if last is not None:
            heard = last.turn if len(self.turns) >= self.forgotten else _text_of(last.turn)
            self.forgotten = min(self.forgotten, len(self.turns))
            before = None if elsewhere else last.domain
            turn, domain = joined(heard, turn), domain or before
        self.turns.append(Said(turn, domain))

    def leave(self) -> None:
        """No domain is active any more: the bot answered, without words, what was said to none of
        ours.
        """
        if self.turns and not self.turns[-1].turn.is_user:
            self.turns[-1] = replace(self.turns[-1], domain=None)

    def fail(self, domain: str, action: str, parameters: Mapping[str, str]) -> None:
        """A call failed: if the domain's last one was the same with other parameters, its rows say
        nothing of what is spoken of now, and are forgotten.
        """
        place, last, given = self.calls.get(domain, (0, None, {}))
        if last == action and given != parameters:
            said = self.turns[place]
            self.turns[place] = replace(said, turn=replace(said.turn, results=()))
            self.results.pop(domain, None)

    def forget(self) -> None:
        """Forget all states and results; what was said, and who said it, stays."""
        self.states.clear()
        self.results.clear()
        self.calls.clear()
        self.forgotten = len(self.turns)

    def history(self, domain: str) -> Tuple[Turn, ...]:
        """What was said, as `domain` sees it: of other turns, and of what was forgotten, it knows
        the text only.
        """
        return tuple(
            said.turn if said.domain == domain and place >= self.forgotten else _text_of(said.turn)
            for place, said in enumerate(self.turns)
        )

    def since_forgotten(self, domain: str) -> Tuple[Turn, ...]:
        """The part of `history` that wasn't forgotten: what replies are of, and learned from."""
        return self.history(domain)[self.forgotten :]


def _text_of(turn: Turn) -> Turn:
    """What was said, without what was meant by it."""
    return Turn(turn.speaker, turn.text)


def state_from_json(value: Any) -> State:
    """The inverse of `store.serialise.state_to_json`, of what others sent.

    Raises ValueError if `value` isn't a state.
    """
    try:
        values = {
            str(slot): tuple(str(text) for text in texts)
            for slot, texts in value["values"].items()
            if texts and not isinstance(texts, str)
        }
        intent = value.get("active_intent")
        requested = tuple(str(slot) for slot in value.get("requested_slots", ()))
    except (AttributeError, KeyError, TypeError):
        raise ValueError("not a dialogue state") from None
    return State(values, None if intent is None else str(intent), requested)


def span_to_json(span: Span) -> List[Any]:
    """[slot, start, end]."""
    return [span.slot, span.start, span.end]


def span_from_json(value: Any) -> Span:
    """The inverse of `span_to_json`. Raises ValueError if `value` isn't a span."""
    try:
        slot, start, end = value
        return Span(str(slot), int(start), int(end))
    except TypeError:
        raise ValueError("not a span") from None
