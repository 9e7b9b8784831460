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
    """A turn, and the domain that it belongs to (None: none of ours).

    Of a turn of the bot's, `voices` are who spoke in it and their words, one after the other, and
    `ends` says that its domain said goodbye.
    """

    turn: Turn
    domain: Optional[str]
    ends: bool = False
    voices: Tuple[Tuple[Optional[str], str], ...] = ()


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
        """The active domain: the one that spoke last, if the bot's last turn was one of ours, and
        no goodbye.
        """
        last = self._reply
        return None if last is None or last.ends else last.domain

    @property
    def left(self) -> Optional[str]:
        """The domain whose goodbye was the bot's last turn."""
        last = self._reply
        return last.domain if last is not None and last.ends else None

    @property
    def interrupted(self) -> Optional[Tuple[str, str]]:
        """The domain that had spoken before who spoke last, the bot itself or another domain, and
        its words; None if more than one message was said since, or something asked.
        """
        here = None if self._reply is None else self._reply.domain
        heard = 0
        for said in reversed(self.turns):
            if said.turn.is_user:
                heard += 1
                if heard > 1 or said.domain != here:
                    return None
            for voice, words in reversed(said.voices):
                if voice is not None and voice != here:
                    return voice, " ".join(each for who, each in said.voices if who == voice)
                if "?" in words:
                    return None
        return None

    @property
    def _reply(self) -> Optional[Said]:
        """What was said last, if the bot said it."""
        return self.turns[-1] if self.turns and not self.turns[-1].turn.is_user else None

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

    def say(
        self,
        turn: Turn,
        domain: Optional[str],
        *,
        elsewhere: bool = False,
        ends: bool = False,
    ) -> None:
        """Append a reply. One after another becomes part of the same turn. `elsewhere`: what it
        answers was said to none of ours, so that a domain that spoke before it isn't active now.
        `ends`: it is the domain's goodbye.
        """
        last = self._reply
        if last is not None:
            self.turns.pop()
        if domain is not None and turn.action is not None:
            self.results[domain] = turn.results
            self.calls[domain] = (len(self.turns), turn.action, turn.parameters)
        if last is not None:
            heard = last.turn if len(self.turns) >= self.forgotten else _text_of(last.turn)
            self.forgotten = min(self.forgotten, len(self.turns))
            if domain is None and not elsewhere:  # said beside a reply of the domain's
                domain, ends = last.domain, last.ends
            voices = (*last.voices, (domain, turn.text))
            turn = joined(heard, turn)
        else:
            voices = ((domain, turn.text),)
        self.turns.append(Said(turn, domain, ends, voices))

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
