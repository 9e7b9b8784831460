"""What an API call answered in a domain's support dialogues, to try the domain without its API."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from rasa_onramp.actions.calls import Call, Row
from rasa_onramp.store import Store

__all__ = ["support_rows"]


def support_rows(store: Store, call: Call) -> Optional[Sequence[Row]]:
    """The rows of the support dialogues' most similar call of this action; None without any.

    Raises NotFound, StoreError, StoreUnavailable.
    """
    best: Tuple[int, Optional[Sequence[Row]]] = (-1, None)
    for dialogue in store.support(call.domain, held_out=False).dialogues:
        for turn in dialogue.turns:
            if turn.action != call.name:
                continue
            same = len(set(turn.parameters.items()) & set(call.parameters.items()))
            # of calls that are equally alike, one with rows shows more
            score = 2 * same + bool(turn.results)
            if score > best[0]:
                best = (score, turn.results)
    return best[1]
