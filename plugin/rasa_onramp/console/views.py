"""What the page is told of domains, versions and turns, as plain JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, Mapping, Optional, Sequence

from rasa_onramp.actions.calls import Call
from rasa_onramp.console.chats import Asked, Turned
from rasa_onramp.dialogue import Corpus, Schema, unlabelled
from rasa_onramp.refusals import without_place
from rasa_onramp.runtime.conversation import TurnOutcome
from rasa_onramp.store import AdapterInfo, Curve, DomainSummary, Feedback, ImportReport, Job
from rasa_onramp.store.serialise import state_to_json

__all__ = [
    "call_view",
    "curve_view",
    "feedback_view",
    "import_view",
    "job_view",
    "schema_view",
    "summary_view",
    "turn_view",
    "version_view",
]

#: Domains whose routing scores are shown, the best ones.
_SCORES = 5


def summary_view(summary: DomainSummary) -> Dict[str, Any]:
    """A domain at a glance."""
    return {
        "name": summary.name,
        "description": summary.description,
        "support": summary.n_support,
        "held_out": summary.n_held_out,
        "waiting": summary.n_waiting,
        "version": summary.active_version,
        "stale": summary.stale,
    }


def schema_view(schema: Schema) -> Dict[str, Any]:
    """What a state of the domain may hold, and its calls."""
    return {
        "slots": [
            {"name": slot.name, "description": slot.description, "values": list(slot.values)}
            for slot in schema.slots
            if slot.name in schema.tracked_slots
        ],
        "intents": [
            {"name": intent.name, "description": intent.description} for intent in schema.intents
        ],
        "actions": [action.name for action in schema.actions],
    }


def version_view(info: AdapterInfo) -> Dict[str, Any]:
    """A version with its figures (see onboarding/onboard.py for what they are)."""
    return {
        "version": info.version,
        "active": info.active,
        "pinned": info.pinned,
        "created_at": info.created_at.isoformat(),
        "switched_at": None if info.switched_at is None else info.switched_at.isoformat(),
        "writes_replies": info.reply_digest is not None,
        "figures": dict(info.figures),
    }


def job_view(job: Job) -> Dict[str, Any]:
    """A job of adapting, and how far it is."""
    return {
        "number": job.number,
        "state": job.state,
        "lapsed": job.lapsed,
        "step": job.step,
        "total": job.total,
        "loss": job.loss,
        "version": job.version,
        "outcome": job.outcome,
        "error": without_place(job.error, "`rasa-onramp jobs list` says more"),
        "attempts": job.attempts,
        "asked_at": job.created_at.isoformat(),
    }


def curve_view(curve: Curve, support_digest: str) -> Dict[str, Any]:
    """A few-shot curve. It is `stale` if the domain's support set has another digest now."""
    return {
        "wanted": list(curve.wanted),
        "points": [dict(point) for point in curve.points],
        "held_out": curve.held_out,
        "complete": curve.complete,
        "stale": support_digest != curve.support_digest,
        "measured_at": None if curve.measured_at is None else curve.measured_at.isoformat(),
    }


def import_view(
    corpus: Corpus, report: ImportReport, warnings: Sequence[str], *, dry_run: bool
) -> Dict[str, Any]:
    """What an import did, or would do. Dialogues that wait for labels are in no split yet."""
    places = Counter(
        (d.domain, "waiting" if unlabelled(d) else d.split or "support") for d in corpus.dialogues
    )
    return {
        "imported": not dry_run,
        "domains": [
            {
                "name": schema.name,
                "description": schema.description,
                "new_schema": schema.name in report.updated,
                "slots": len(schema.slots),
                "intents": len(schema.intents),
                "actions": len(schema.actions),
                "support": places[schema.name, "support"],
                "held_out": places[schema.name, "held-out"],
                "waiting": places[schema.name, "waiting"],
            }
            for schema in corpus.schemas.values()
        ],
        "added": report.added,
        "replaced": report.replaced,
        "unchanged": report.unchanged,
        "kept": report.kept,
        "warnings": list(warnings),
    }


def call_view(call: Call, result_slots: Sequence[str]) -> Dict[str, Any]:
    """An API call that is to be answered."""
    return {
        "domain": call.domain,
        "action": call.name,
        "parameters": dict(call.parameters),
        "result_slots": list(result_slots),
    }


def turn_view(turned: Turned, result_slots: Sequence[str] = ()) -> Dict[str, Any]:
    """A turn of a chat: `call` where an API call must be answered first, else `turn`."""
    if isinstance(turned, Asked):
        return {"call": call_view(turned.call, result_slots), "turn": None}
    return {"call": None, "turn": _outcome_view(turned.outcome, turned.number)}


def feedback_view(feedback: Feedback) -> Dict[str, Any]:
    """What somebody said of a reply."""
    state = feedback.corrected_state
    return {
        "id": feedback.id,
        "said": feedback.history[-1].text if feedback.history else None,
        "reply": feedback.reply.text,
        "thumb": feedback.thumb,
        "corrected_reply": feedback.corrected_reply,
        "corrected_state": None if state is None else state_to_json(state),
        "created_at": None if feedback.created_at is None else feedback.created_at.isoformat(),
    }


def _outcome_view(outcome: TurnOutcome, number: Optional[int]) -> Dict[str, Any]:
    understood, reply = outcome.understanding, outcome.reply
    best = sorted(understood.route.scores.items(), key=lambda each: -each[1])[:_SCORES]
    return {
        "domain": understood.domain,
        "score": understood.route.score,
        "reason": understood.route.reason,
        "scores": dict(best),
        "in_scope": understood.in_scope,
        "version": understood.version,
        "state": state_to_json(understood.state),
        "changes": sorted(understood.changes),
        "confidence": dict(understood.slot_confidence),
        "intent_confidence": understood.intent_confidence,
        "action": understood.action,
        "parameters": dict(understood.parameters),
        "results": _rows(outcome.results),
        "reply": None
        if reply is None
        else {
            "number": number,
            "text": reply.text,
            "source": reply.source,
            "confidence": reply.confidence,
        },
    }


def _rows(rows: Optional[Sequence[Mapping[str, str]]]) -> Any:
    return None if rows is None else [dict(row) for row in rows]
