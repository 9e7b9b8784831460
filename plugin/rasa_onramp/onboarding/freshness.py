"""Whether adapting again would make what the store has already."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Optional, Tuple

from rasa_onramp.errors import CheckpointError
from rasa_onramp.metalearning.adaptation import Adaptation
from rasa_onramp.onboarding.replies import ReplyLearner
from rasa_onramp.store import AdapterInfo, Store
from rasa_onramp.tracker.model import StateTracker

__all__ = ["input_digest", "made_already", "made_from"]


def input_digest(support: str, checkpoint: str, replies: Optional[str]) -> str:
    """Of all that a version would be made from: the digests of the support set and the checkpoint,
    and that of the replies' initialisation if there is one.
    """
    return hashlib.sha256("\n".join((support, checkpoint, replies or "")).encode()).hexdigest()


def made_already(
    store: Store,
    tracker: StateTracker,
    domain: str,
    *,
    steps: Optional[int] = None,
    replies: Optional[ReplyLearner] = None,
) -> Optional[AdapterInfo]:
    """The version that `adapt` with the same arguments would make again; None if it would make a
    new one, or what there is is damaged. Of several the active one, else the newest.

    Same support set, feedback, schema, checkpoint and settings make the same tracker; the
    replies' part must be there, and from the same initialisation and settings, if there are
    `replies` to adapt with.
    Raises NotFound, StoreError, StoreUnavailable.
    """
    support = store.support(domain, held_out=False)
    size = len(support.dialogues)
    how = Adaptation.of(tracker, steps=steps, offers=True).for_support(size)
    wanted, settings = how.all_steps if support.dialogues else 0, asdict(how)
    model = replies.model if replies is not None and support.dialogues else None
    base = None if model is None else model.digest
    same = [
        info
        for info in made_from(store, domain, support.digest, tracker.digest, base)
        if info.figures.get("steps") == wanted
        and _settings(info) in (None, settings)
        and (model is None or _reply_settings(info) in (None, model.card.get("adaptation")))
    ]
    found = max(same, key=lambda info: (info.active, info.version), default=None)
    return found if found is None or _whole(store, found) else None


def made_from(
    store: Store, domain: str, support: str, checkpoint: str, replies: Optional[str]
) -> Tuple[AdapterInfo, ...]:
    """The versions made, in whatever number of steps, from a support set and a checkpoint of these
    digests; with `replies`, those with a replies' part from the initialisation of that digest.

    Weights aren't read. Raises NotFound, StoreError, StoreUnavailable.
    """
    return tuple(
        info
        for info in store.adapters.versions(domain)
        if (info.support_digest, info.checkpoint_digest) == (support, checkpoint)
        and replies in (None, info.reply_checkpoint_digest)
    )


def _settings(info: AdapterInfo) -> object:
    """How the tracker of a version was adapted; None: from before it was kept."""
    told = info.figures.get("adaptation")
    # settings that came later were at their defaults
    return {**asdict(Adaptation()), **told} if isinstance(told, dict) else None


def _reply_settings(info: AdapterInfo) -> object:
    """How the replies of a version were adapted; None: from before it was kept."""
    figures = info.figures.get("replies")
    return figures.get("adaptation") if isinstance(figures, dict) else None


def _whole(store: Store, info: AdapterInfo) -> bool:
    try:
        store.adapters.get(info.domain, info.version)
        store.adapters.reply(info.domain, info.version)
    except CheckpointError:
        return False
    return True
