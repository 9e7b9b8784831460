"""What a message means: its route, the state it leaves, the API call it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Mapping, Optional, Tuple

from rasa_onramp.dialogue import DONTCARE, Span, State
from rasa_onramp.generator.situation import missing_slots
from rasa_onramp.runtime.domains import LiveDomain
from rasa_onramp.runtime.router import Route
from rasa_onramp.tracker.decoding import TurnPrediction

__all__ = ["Understanding", "understood_as", "with_call"]


@dataclass(frozen=True)
class Understanding:
    """What a message means: its route and, if that is a domain, the state it leaves.

    `state` is the whole state after the message. `in_scope` is False for a message within the
    domain's conversation that says nothing to it; `idle` True for any that changes nothing, asks
    nothing and calls for nothing. `action` is the API call to make before replying,
    with `parameters`, and `url` if the schema has one. `version` is the adapter's.
    """

    route: Route
    state: State = field(default_factory=State)
    in_scope: bool = True
    changes: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)
    spans: Tuple[Span, ...] = ()
    slot_confidence: Mapping[str, float] = field(default_factory=dict)
    intent_confidence: float = 0.0
    action: Optional[str] = None
    action_confidence: float = 0.0
    parameters: Mapping[str, str] = field(default_factory=dict)
    url: Optional[str] = None
    version: Optional[int] = None
    idle: bool = field(default=False, compare=False)

    @property
    def domain(self) -> Optional[str]:
        """The domain that the message belongs to, or None."""
        return self.route.domain


def understood_as(
    prediction: TurnPrediction,
    route: Route,
    domain: LiveDomain,
    before: State,
    settled: bool,
    threshold: float,
) -> Understanding:
    """What a message routed so means by the tracker's prediction, with the call it asks for.

    One that says nothing ends no intent before that is `settled` and lacks nothing: it is said in
    between.
    """
    idle, state = _says_nothing(prediction, before), prediction.state
    # a call may have been a search only
    if idle and (not settled or missing_slots(domain.schema, before)):
        state = replace(state, active_intent=before.active_intent)
    understood = Understanding(
        route=route,
        state=state,
        in_scope=not (route.doubtful and idle),
        idle=idle,
        changes=prediction.changes,
        spans=prediction.spans,
        slot_confidence=prediction.slot_confidence,
        intent_confidence=prediction.intent_confidence,
        version=domain.version,
    )
    return with_call(understood, domain, prediction, threshold)


def with_call(
    understood: Understanding, domain: LiveDomain, prediction: TurnPrediction, threshold: float
) -> Understanding:
    """With the API call that the tracker predicts, if it is at least so sure of it (`threshold`)
    and the state has what the call requires.
    """
    name = prediction.action
    if name is None or prediction.action_confidence < threshold:
        return understood
    action = domain.schema.action(name)
    values = prediction.state.values
    if any(not values.get(slot) for slot in action.required_slots):
        return understood  # the reply asks for what is missing
    taken, intent = domain.parameters, prediction.state.active_intent
    wanted = taken.get((name, intent), taken.get((name, None)))
    parameters = {
        slot: texts[0]
        for slot, texts in values.items()
        if texts and texts[0] != DONTCARE and (wanted is None or slot in wanted)
    }
    return replace(
        understood,
        action=name,
        action_confidence=prediction.action_confidence,
        parameters=parameters,
        url=action.url,
    )


def _says_nothing(prediction: TurnPrediction, before: State) -> bool:
    """Whether a message changed nothing, asked nothing and calls for nothing. One of no intent,
    which is how the tracker learns what is said to none of a domain's, doesn't change it.
    """
    return (
        not prediction.changes
        and not prediction.state.requested_slots
        and prediction.action is None
        and prediction.state.active_intent in (None, before.active_intent)
    )
