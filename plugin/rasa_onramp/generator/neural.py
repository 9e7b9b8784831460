"""Replies written by the language model; retrieved ones where it has nothing that may be said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Union

from rasa_onramp.dialogue import Dialogue, State, Turn
from rasa_onramp.generator.packing import Packed, ReplyTokens, pack
from rasa_onramp.generator.pool import ReplyPool
from rasa_onramp.generator.prompt import exchange, exchanges
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.generator.retrieval import Reply, RetrievalGenerator
from rasa_onramp.generator.situation import Situation, situate
from rasa_onramp.generator.templates import fill
from rasa_onramp.generator.written import forms_of, template_of

__all__ = ["SURE", "WRITTEN", "Asked", "NeuralGenerator", "sure_enough"]

#: A prompt → the text that the language model goes on with, None if it has none.
Write = Callable[[Packed], Optional[str]]

#: How alike a support reply's situation must be for the reply to be said as it is.
SURE = 0.8

#: `Reply.source` of what the language model wrote.
WRITTEN = "model"


def sure_enough(pool: ReplyPool, sure: float = SURE) -> float:
    """From which `Reply.confidence` on one of these support replies is said as it is: `sure`, and
    its square where the bot keeps to its wording, in between accordingly; 0 and 1 stay.
    """
    return float(sure ** (1 + pool.keeps_wording))


class Asked(NamedTuple):
    """A turn that wants a reply; the arguments of `RetrievalGenerator.reply`."""

    turns: Sequence[Turn]
    state: Optional[State]
    results: Sequence[Mapping[str, Any]] = ()
    action: Optional[str] = None
    before: Optional[State] = None


class NeuralGenerator:
    """Replies of one domain by a language model under the domain's updates.

    `write` is that model: it takes a prompt and returns the reply's text, or None. A support reply
    that answered a situation as alike as `sure` (`sure_enough`) is said as it is: where a bot has
    its fixed wording, nothing that is written anew is closer to it.

    What the model writes is said only where every placeholder can be filled, nothing is stated that
    state, results and the domain's own replies don't hold, no other outcome of an API call is
    claimed than the one at hand, and it wasn't voted down; else the best support reply is. Its
    `because` is "alike", "unwritten", "unfillable", "ungrounded", "voted_down", "other_outcome" or
    "out_of_place".
    """

    def __init__(
        self,
        retrieval: RetrievalGenerator,
        tokens: ReplyTokens,
        write: Write,
        *,
        sure: float = SURE,
    ):
        self._sure = sure_enough(retrieval.pool, sure)
        self._schema = retrieval.schema
        self._retrieval = retrieval
        self._forms = forms_of(retrieval.pool.replies)
        self._tokens = tokens
        self._write = write

    def reply(
        self,
        turns: Sequence[Turn],
        state: Optional[State],
        results: Sequence[Mapping[str, Any]] = (),
        action: Optional[str] = None,
        before: Optional[State] = None,
    ) -> Reply:
        """The reply to `turns`; see `RetrievalGenerator.reply`."""
        asked = Asked(turns, state, results, action, before)
        retrieved = self._retrieval.reply(*asked)
        if retrieved.confidence >= self._sure:
            return replace(retrieved, because="alike")
        written = self._written(asked, self._write(self.prompt(asked)))
        return written if isinstance(written, Reply) else replace(retrieved, because=written)

    def prompt(self, asked: Asked) -> Packed:
        """What the model reads: the conversation so far, delexicalised, and the turn at hand."""
        now = self._situation(asked)
        said = Dialogue("", self._schema.name, tuple(asked.turns[:-1]))
        pool = self._retrieval.pool
        past = exchanges(self._schema, support_replies(self._schema, [said]), pool)
        return pack(self._tokens, self._schema, [*past, exchange(self._schema, now, pool)])

    def settled(self, asked: Asked, text: Optional[str]) -> Reply:
        """What is said: the text that the model wrote, filled, or else the best support reply."""
        written = self._written(asked, text)
        if isinstance(written, Reply):
            return written
        return replace(self._retrieval.reply(*asked), because=written)

    def _written(self, asked: Asked, text: Optional[str]) -> Union[Reply, str]:
        """The text that the model wrote, filled; or why it may not be said."""
        if text is None:
            return "unwritten"
        now = self._situation(asked)
        template = template_of(text, self._schema, now, self._forms)
        filled = None if template is None else fill(template, now.state.values, now.rows)
        if template is None or not (filled and filled.strip()):
            return "unfillable"
        if self._made_up(filled, now):
            return "ungrounded"
        if self._retrieval.blocks(template.text, filled):
            return "voted_down"
        if self._retrieval.claims_another_outcome(template.text, now):
            return "other_outcome"
        if self._retrieval.asks_out_of_place(template.text, now):
            return "out_of_place"
        ends = now.wants_nothing and "?" not in filled and self._retrieval.at_end(now)
        return Reply(filled, template.text, WRITTEN, 1.0, template.slots, ends)

    def _made_up(self, text: str, now: Situation) -> bool:
        return bool(
            self._retrieval.ungrounded(text, now) or self._retrieval.unknown_names(text, now)
        )

    def _situation(self, asked: Asked) -> Situation:
        return situate(self._schema, *asked)
