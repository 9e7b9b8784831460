"""Read a domain's support set, adapt to it, measure before and after, store the new version."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from math import exp
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from torch import Tensor

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.errors import StoreUnavailable, Switched
from rasa_onramp.evaluation.metrics import Figures, TurnScore, aggregate, score_dialogue
from rasa_onramp.metalearning.adaptation import Adaptation, adapt_to_support
from rasa_onramp.metalearning.lora import adapter_from_bytes, adapter_to_bytes
from rasa_onramp.onboarding.guard import Running, running, worse
from rasa_onramp.onboarding.replies import AdaptedReplies, ReplyLearner
from rasa_onramp.store import Lease, Store, support_digest
from rasa_onramp.store.retry_while_busy import patiently
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.model import StateTracker

__all__ = ["AdaptationReport", "adapt", "measure"]


@dataclass(frozen=True)
class AdaptationReport:
    """What `adapt` did.

    `kept` says in a few words why the domain doesn't run on the new version; None where it does.
    `warning` is what the switch to it means for bots with another checkpoint, None for nothing.
    `before` (zero-shot) and `after` are figures on the held-out dialogues, None without any.
    `seconds` is the time that adapting the tracker took, measuring not included. `replies` is what
    was made for the reply generator, None without one. `waiting` dialogues weren't learned from, as
    they wait for labels.
    """

    domain: str
    version: int
    support: int
    held_out: int
    steps: int
    seconds: float
    before: Optional[Figures]
    after: Optional[Figures]
    replies: Optional[AdaptedReplies] = None
    kept: Optional[str] = None
    warning: Optional[str] = None
    waiting: int = 0

    @property
    def figures(self) -> str:
        """What it was made from and how good it is, to be read after the version's number."""
        line = f"from {self.support} support dialogues in {self.seconds:.1f} s"
        if self.before is not None and self.after is not None:
            line += (
                f"; JGA on {self.held_out} held-out dialogues "
                f"{self.before.jga:.3f} → {self.after.jga:.3f}"
            )
        if self.replies is not None:
            line += f"; replies in {self.replies.seconds:.1f} s"
            if self.replies.before is not None and self.replies.after is not None:
                before, after = exp(self.replies.before), exp(self.replies.after)
                line += f", perplexity {before:.2f} → {after:.2f}"
        if self.waiting:
            line += f"; {self.waiting} more wait for labels: rasa-onramp label {self.domain}"
        return line

    @property
    def outcome(self) -> str:
        """The same, and why the domain doesn't run on it, as it is kept with a job."""
        kept = "" if self.kept is None else f"; not switched to, {self.kept}"
        return self.figures + kept


def adapt(
    store: Store,
    tracker: StateTracker,
    domain: str,
    *,
    steps: Optional[int] = None,
    replies: Optional[ReplyLearner] = None,
    switch_anyway: bool = False,
    progress: Optional[Callable[[int, int, float], None]] = None,
    check: Callable[[], None] = lambda: None,
    lease: Optional[Lease] = None,
) -> AdaptationReport:
    """Adapt `domain` to its support dialogues and switch to the new version, unless it is worse on
    the held-out dialogues than what the domain runs on (see guard.py), or that is pinned.

    The version and the switch are one transaction. Without support dialogues the version is the
    initialisation: the domain works from its schema alone. Dialogues of no split count as support,
    and so do those that corrections make; what was voted down isn't learned.
    What is stored is what is measured: the weights after rounding to half precision.

    Args:
        steps: inner steps a run (None: what the checkpoint recommends).
        replies: what to adapt the replies with, as part of the same version (None: they stay those
            of the support dialogues).
        switch_anyway: switch to a version that is worse, too.
        progress: told (steps done, steps in all, support loss) after each step.
        check: called again and again while it measures; what it raises ends that.
        lease: of the job that this is, which is done with the version (None: of no job).

    Raises:
        NotFound: no such domain.
        LeaseError: the job isn't the lease's any more; nothing was stored.
        StoreError, CheckpointError: as the store and the weights do.
    """
    found = store.support(domain)
    schema, support, held_out = found.schema, found.dialogues, found.held_out
    # a running bot knows what it said itself, so adapt as it will be used
    how = Adaptation.of(tracker, steps=steps, offers=True).for_support(len(support))

    total = how.all_steps + (replies.steps if replies is not None else 0)

    def after_step(step: int, loss: float) -> None:
        if progress is not None:
            progress(step + 1, total, loss)

    began = time.perf_counter()
    adapted = adapt_to_support(tracker, schema, support, how, after_step=after_step)
    seconds = time.perf_counter() - began
    weights = adapter_to_bytes(adapted)
    before = measure(tracker, schema, held_out, None, check)
    after = measure(tracker, schema, held_out, adapter_from_bytes(weights), check)
    written = None
    if replies is not None and support:
        written = replies.adapt(
            schema,
            support,
            held_out,
            blocked=found.blocked,
            after_step=lambda step, loss: after_step(how.all_steps + step, loss),
        )
    figures = _figures(before, after, len(support), len(held_out), how, seconds)
    figures["held_out_digest"] = support_digest(schema, held_out)
    if written is not None:
        figures["replies"] = written.figures()
    report = AdaptationReport(
        domain=domain,
        version=0,  # until it is stored
        support=len(support),
        held_out=len(held_out),
        steps=how.all_steps if support else 0,
        seconds=seconds,
        before=before,
        after=after,
        replies=written,
        waiting=store.dialogues.glance(domain).n_waiting,
    )
    while True:
        in_use = store.adapters.in_use(domain)
        now = running(store, tracker, domain)
        kept, ran = _compared(tracker, schema, held_out, now, before, after, check)
        figures.pop("running", None)
        if ran is not None:
            figures["running"] = ran
        if switch_anyway:
            kept = None
        if kept is None and in_use.pinned:
            kept = "as the active version is pinned"
        report = replace(report, kept=kept)
        try:
            version = patiently(
                "onramp.version.waits",
                store.adapters.add,
                domain,
                weights,
                support_digest=found.digest,
                checkpoint_digest=tracker.digest,
                figures=figures,
                activate=kept is None,
                reply_weights=written.weights if written is not None else None,
                reply_checkpoint_digest=written.checkpoint_digest if written is not None else None,
                lease=lease,
                outcome=report.outcome,
                decided_on=in_use,
            )
        except Switched:
            continue  # somebody switched or pinned while it was measured: decide anew
        warning = _warning(store, domain, in_use.version) if kept is None else None
        return replace(report, version=version, warning=warning)


def _warning(store: Store, domain: str, before: Optional[int]) -> Optional[str]:
    """What to know after a switch from the version `before`; the version is stored, so a store that
    can't be asked any more is no error.
    """
    try:
        return store.adapters.switch_warning(domain, before)
    except StoreUnavailable:
        return None


def measure(
    tracker: StateTracker,
    schema: Schema,
    dialogues: Sequence[Dialogue],
    weights: Optional[Mapping[str, Tensor]],
    check: Callable[[], None] = lambda: None,
) -> Optional[Figures]:
    """Figures of `weights` (None: zero-shot) on dialogues, or None if there are none. `check` is
    called again and again, and ends it by raising.
    """
    if not dialogues:
        return None
    found = track_dialogues(tracker, schema, dialogues, weights, offers=True, check=check)
    scores: List[TurnScore] = []
    for dialogue, predictions in zip(dialogues, found):
        states = [p.state if p is not None else None for p in predictions]
        scores.extend(score_dialogue(schema, dialogue, states))
    return aggregate(scores)


def _compared(
    tracker: StateTracker,
    schema: Schema,
    held_out: Sequence[Dialogue],
    now: Optional[Running],
    before: Optional[Figures],
    after: Optional[Figures],
    check: Callable[[], None],
) -> Tuple[Optional[str], Optional[Dict[str, object]]]:
    """In what the new version is worse than what the domain runs on, None if it isn't or if that
    can't be told; and the figures of the latter, None without any.
    """
    if now is None or before is None or after is None:
        return None, None
    ran: Optional[Figures] = before
    if now.version is not None:
        ran = measure(tracker, schema, held_out, now.weights, check)
    assert ran is not None  # there are held-out dialogues: `before` is of them
    lost = worse(after, ran)
    said = f"which is worse than {now.name}: {lost} on {len(held_out)} held-out dialogues"
    return None if lost is None else said, now.figures(ran)


def _figures(
    before: Optional[Figures],
    after: Optional[Figures],
    support: int,
    held_out: int,
    how: Adaptation,
    seconds: float,
) -> Dict[str, object]:
    return {
        "support": support,
        "held_out": held_out,
        "steps": how.all_steps if support else 0,
        "adaptation": asdict(how) if support else None,
        "seconds": round(seconds, 3),
        "before": before.as_dict() if before is not None else None,
        "after": after.as_dict() if after is not None else None,
    }
