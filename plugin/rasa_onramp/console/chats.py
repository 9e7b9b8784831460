"""Conversations held on the page: kept in memory, apart from the bot's own."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, List, Mapping, Optional, Sequence, Union

from rasa_onramp.actions.calls import Call, Row
from rasa_onramp.memory import LastUsed
from rasa_onramp.refusals import Refused
from rasa_onramp.runtime.conversation import Engine, TurnOutcome
from rasa_onramp.runtime.correction import corrected, state_after
from rasa_onramp.runtime.one_domain import for_one_domain
from rasa_onramp.runtime.session import HISTORY, Session
from rasa_onramp.store import Feedback

__all__ = ["Asked", "Chat", "Chats", "Heard", "Turned"]

#: Conversations that are kept; the one longest unused goes first.
_MOST_CHATS = 100
#: Turns of one conversation.
_MOST_TURNS = 400


@dataclass(frozen=True)
class Asked:
    """The bot must make `call` before it can answer."""

    call: Call


@dataclass(frozen=True)
class Heard:
    """A turn that is done; `number` is that of its reply in the conversation, None without one."""

    outcome: TurnOutcome
    number: Optional[int]


Turned = Union[Asked, Heard]


class _Unanswered(Exception):
    """The API call that a turn needs."""

    def __init__(self, call: Call):
        super().__init__(call.name)
        self.call = call


@dataclass
class Chat:
    """One conversation, with one domain or with whichever (`domain` None) a message is routed to.

    A message whose API call isn't answered yet waits; the conversation is then as it was before.
    """

    id: str
    domain: Optional[str]
    session: Session = field(default_factory=Session)
    replies: List[Feedback] = field(default_factory=list)
    waiting: Optional[str] = None
    call: Optional[Call] = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, engine: Engine, text: str) -> Turned:
        """The user says `text`; a message that still waited is dropped. Raises Refused and as
        Engine.turn does.
        """
        with self.lock:
            if len(self.session.turns) >= _MOST_TURNS:
                raise Refused("this chat is too long; begin a new one", HTTPStatus.CONFLICT)
            self.waiting = self.call = None
            return self._turn(engine, text)

    def answer(self, engine: Engine, rows: Optional[Sequence[Row]]) -> Turned:
        """The API call that was asked for answered with `rows`; None if it failed."""
        with self.lock:
            text = self.waiting
            if text is None:
                raise Refused("no API call waits for an answer", HTTPStatus.CONFLICT)
            return self._turn(engine, text, True, rows)

    def judge(self, number: int, thumb: Any, reply: Any, state: Any) -> Feedback:
        """Feedback on one of the replies. Raises Refused."""
        with self.lock:
            if not 0 <= number < len(self.replies):
                raise Refused(f"this chat has no reply {number}", HTTPStatus.NOT_FOUND)
            about = self.replies[number]
        try:
            changed = None if state is None else corrected(state_after(about.history), state)
        except ValueError as error:
            raise Refused(f"'corrected_state' {error}") from error
        return replace(about, thumb=thumb, corrected_reply=reply, corrected_state=changed)

    def _turn(
        self,
        engine: Engine,
        text: str,
        answered: bool = False,
        rows: Optional[Sequence[Row]] = None,
    ) -> Turned:
        def call(
            domain: str, action: str, parameters: Mapping[str, str], url: Optional[str]
        ) -> Optional[Sequence[Row]]:
            wanted = Call(domain, action, dict(parameters), url)
            # another version may have been switched to meanwhile, and ask for something else
            if not answered or self.call != wanted:
                raise _Unanswered(wanted)
            return rows

        if self.domain is not None:
            engine = for_one_domain(engine, self.domain)
        try:
            outcome = engine.turn(self.session, text, call)
        except _Unanswered as unanswered:
            self.waiting, self.call = text, unanswered.call
            return Asked(unanswered.call)
        self.waiting = self.call = None
        return Heard(outcome, self._remember(outcome))

    def _remember(self, outcome: TurnOutcome) -> Optional[int]:
        domain, reply = outcome.understanding.domain, outcome.reply
        if domain is None or reply is None:
            return None
        history = self.session.history(domain)
        about = Feedback(
            domain=domain,
            conversation=f"console-{self.id}",
            history=history[:-1][-HISTORY:],
            reply=history[-1],
            template=reply.template,
        )
        self.replies.append(about)
        return len(self.replies) - 1


class Chats:
    """The conversations that are kept, by id. Thread-safe."""

    def __init__(self) -> None:
        self._chats: LastUsed[str, Chat] = LastUsed(_MOST_CHATS)

    def begin(self, domain: Optional[str]) -> Chat:
        """A new conversation."""
        chat = Chat(secrets.token_urlsafe(12), domain)
        self._chats.put(chat.id, chat, 1)  # each is one of so many, however long
        return chat

    def get(self, id: str) -> Chat:
        """The conversation of this id. Raises Refused."""
        chat = self._chats.get(id)
        if chat is None:
            raise Refused(
                "this chat isn't kept any more: the bot was started anew, or there were many "
                "others since; begin a new one",
                HTTPStatus.NOT_FOUND,
            )
        return chat
