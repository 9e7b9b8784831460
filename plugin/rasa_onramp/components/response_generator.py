"""OnrampResponseGenerator: says `utter_onramp`; everything else stays with what the bot spoke
through before: its templates, its NLG server, or a generator class of its own.

    # endpoints.yml
    nlg:
      type: rasa_onramp.components.OnrampResponseGenerator
"""

from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from rasa.core.nlg import NaturalLanguageGenerator, TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import Event
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException
from rasa.utils.endpoints import EndpointConfig

from rasa_onramp.components.domain_needs import rasa_actions
from rasa_onramp.components.events import (
    call_results,
    last_message,
    payload_in,
    since_message,
    text_of,
    was_executed,
)
from rasa_onramp.components.host import current_runtime
from rasa_onramp.components.payload import domain_of, reply_metadata, understanding_of
from rasa_onramp.components.sessions import (
    exchanged,
    session_before_message,
)
from rasa_onramp.components.speaker import note_speaker
from rasa_onramp.components.turn_log import REPHRASED, note_rephrasing, note_reply
from rasa_onramp.dialogue import Turn
from rasa_onramp.logs import logger_for
from rasa_onramp.rasa_names import KEY, REPLY
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.telemetry import Stopwatch

__all__ = ["OnrampResponseGenerator"]

logger = logger_for(__name__)

#: Conversations that wait for a reply at once. Their replies are written together.
_WAITING = 32


class OnrampResponseGenerator(TemplatedNaturalLanguageGenerator):
    """Answers `utter_onramp` from the domain's dialogues, in a thread of its own.

    A response of the bot's own with `metadata: {rephrase: true}` is said in other words that suit
    the conversation, if the language model finds some that keep all it says; not so where
    `delegate` or `url` speaks for the bot.

    After an API call that failed, and whenever it can't answer, the bot's own response for
    `utter_onramp` is said. `delegate` in endpoints.yml names the class that speaks for the bot;
    `url` an NLG server that does; where that one has no such response, the Rasa domain's is said.
    It is a templated generator because Rasa hands the domain's responses to those only, once the
    model is loaded.
    """

    def __init__(
        self, endpoint_config: Optional[EndpointConfig] = None, domain: Optional[Domain] = None
    ):
        config = endpoint_config or EndpointConfig()
        unknown = set(config.kwargs) - {"delegate"}
        delegate = config.kwargs.get("delegate")
        if unknown and delegate is None:
            names = ", ".join(sorted(unknown))
            raise InvalidConfigException(
                f"endpoints.yml: nlg has no setting {names} with OnrampResponseGenerator; "
                "delete it, or name the class that it is for as `delegate`"
            )
        kwargs = {name: config.kwargs[name] for name in unknown}
        kind = delegate or ("callback" if config.url else "response")
        theirs = EndpointConfig(
            url=config.url,
            params=config.params,
            headers=config.headers,
            basic_auth=config.basic_auth,
            token=config.token,
            token_name=config.token_name,
            cafile=config.cafile,
            type=kind,
            **kwargs,
        )
        super().__init__((domain or Domain.empty()).responses)
        note_speaker()
        self._bot: Optional[NaturalLanguageGenerator] = None
        if kind != "response":
            self._bot = NaturalLanguageGenerator.create(theirs, domain)
        self._threads = ThreadPoolExecutor(_WAITING, thread_name_prefix="onramp")

    async def generate(
        self,
        utter_action: str,
        tracker: DialogueStateTracker,
        output_channel: str,
        **kwargs: Any,
    ) -> Optional[Dict[str, Any]]:
        """The response for `utter_action` (see parent class). What fails in ours is logged, and
        the bot's own response for it said.
        """
        if utter_action != REPLY:
            return await self._bots(utter_action, tracker, output_channel, **kwargs)
        loop, watch = asyncio.get_running_loop(), Stopwatch()
        text, metadata = await loop.run_in_executor(self._threads, _answer, tracker)
        note_reply(tracker.sender_id, metadata, watch.lap("reply"))
        if text:
            return {"text": text, KEY: metadata}
        response = await self._apology(tracker, output_channel, **kwargs)
        if response is not None and metadata is not None:
            response = {**response, KEY: metadata}
        return response

    async def _apology(
        self, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> Optional[Dict[str, Any]]:
        """The bot's own response for `utter_onramp`. An NLG server or a class of the bot's may not
        know that name: then the Rasa domain's, so that neither the user hears nothing nor what we
        have to remember is lost.
        """
        if self._bot is not None:
            why = "nothing"
            try:
                response = await self._bots(REPLY, tracker, output_channel, **kwargs)
                if response and any(response[part] for part in response if part != "id"):
                    return response
            except Exception as error:
                why = type(error).__name__
            said = f"what speaks for the bot had no response {REPLY} ({why}); the domain's is said"
            logger.warning("onramp.reply.not_delegated", event_info=said)
        return await self._from_domain(REPLY, tracker, output_channel, **kwargs)

    async def _bots(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> Optional[Dict[str, Any]]:
        """What the bot itself says."""
        if self._bot is None:
            return await self._from_domain(utter_action, tracker, output_channel, **kwargs)
        if isinstance(self._bot, TemplatedNaturalLanguageGenerator):
            self._bot.responses = self.responses
        return await self._bot.generate(utter_action, tracker, output_channel, **kwargs)

    async def _from_domain(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> Optional[Dict[str, Any]]:
        """The Rasa domain's response, said anew if its metadata asks for that.

        What the parent class does, but that a variation is chosen before it is filled.
        """
        slots = tracker.current_slot_values()
        response = copy.deepcopy(self._random_response_for(utter_action, output_channel, slots))
        if response is None:
            return None
        if _wants_rephrasing(response):
            loop, watch = asyncio.get_running_loop(), Stopwatch()
            template = response["text"]
            text = await loop.run_in_executor(self._threads, _rephrased, template, tracker)
            note_rephrasing(tracker.sender_id, bool(text), watch.lap("reply"))
            if text:
                response["text"] = text
                response[KEY] = {"template": template, "source": REPHRASED}
        return self._fill_response(response, slots, **kwargs)


def _wants_rephrasing(response: Mapping[str, Any]) -> bool:
    metadata = response.get("metadata")
    asked = isinstance(metadata, Mapping) and metadata.get("rephrase") is True
    return asked and bool(response.get("text"))


def _rephrased(template: str, tracker: DialogueStateTracker) -> Optional[str]:
    """The template in other words that suit the conversation; None if it should stand."""
    runtime, message = current_runtime(), last_message(tracker)
    if runtime is None or message is None:
        return None
    try:
        writer = runtime.engine().writer
        if writer is None:
            return None
        return writer.rephrase(template, text_of(message), exchanged(tracker))
    except Exception as error:
        runtime.abstain("rephrasing", error)
        return None


def _answer(
    tracker: DialogueStateTracker,
) -> Tuple[Optional[str], Optional[Dict[str, Any]]]:
    """What to say, and its metadata; no text where the bot should say that it can't."""
    runtime, message = current_runtime(), last_message(tracker)
    if runtime is None or message is None:
        return None, None
    payload = payload_in(message) or tracker.get_slot(KEY)
    domain = domain_of(payload)
    if domain is None:
        return None, None
    told = Turn("system", "")
    try:
        engine, understood = runtime.engine(), understanding_of(payload)
        results: Optional[Tuple[Mapping[str, str], ...]] = None
        if understood.action is not None:
            name, parameters = understood.action, understood.parameters
            results = _results(since_message(tracker, message), name, domain, engine)
            if results is None:
                called = f"{domain}.{name}"
                said = f"no results of {called}; saying so"
                logger.error("onramp.call.failed", event_info=said, call=called)
                call = {"action": name, "parameters": dict(parameters)}
                return None, {**reply_metadata(told, domain, None), "failed": call}
            told = replace(told, action=name, parameters=parameters, results=results)
        session = session_before_message(tracker, engine)
        reply = engine.reply(session, text_of(message), understood, results)
        turn = engine.system_turn(reply, understood, results, session.results.get(domain, ()))
        return reply.text, reply_metadata(turn, domain, reply)
    except Exception as error:
        runtime.abstain("a reply", error)
        # still the domain's turn: what the user says next may be meant for it. And what was booked
        # is booked, though we couldn't say so
        return None, {**reply_metadata(told, domain, None), "because": "unavailable"}


def _results(
    done: List[Event], name: str, domain: str, engine: Engine
) -> Optional[Tuple[Mapping[str, str], ...]]:
    live = engine.catalogue.known(domain)
    slots = live.schema.results_of(name) if live is not None else ()
    for candidate in rasa_actions(name):
        if was_executed(done, candidate):
            return call_results(done, candidate, slots)
    return None
