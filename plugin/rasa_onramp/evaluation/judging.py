"""Judging by hand which of two methods replies better, without knowing which is which.

`judging_page` makes a page of pairs of replies. It holds their texts and ids; the ids, which pairs
are chosen and which reply stands left all follow from the replies file, the seed and the methods
by SHA-256, so `resolve` finds out anew what was picked. A page of more pairs has those of a page of
fewer among them, with the same ids.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Set, Tuple

from rasa_onramp.errors import ConfigError, FormatError
from rasa_onramp.formats.picks import VERSION, PicksFile
from rasa_onramp.formats.replies import AnsweredTurn, Replies
from rasa_onramp.formats.wording import did_you_mean, quote
from rasa_onramp.store import Pick

__all__ = ["Pair", "Pairs", "judging_page", "pairs_of", "resolve", "sign_test"]

_TEMPLATE = Path(__file__).with_name("judging.html")


@dataclass(frozen=True)
class Pair:
    """Two replies to a turn. `id` doesn't tell which method's reply stands left."""

    id: str
    turn: AnsweredTurn
    left: str
    right: str

    def texts(self) -> Tuple[str, str]:
        """The left reply and the right one."""
        return self.turn.replies[self.left], self.turn.replies[self.right]


@dataclass(frozen=True)
class Pairs:
    """All pairs of two methods in a replies file, in the order in which a page takes them.

    `equal` counts turns that both methods answer alike, `repeated` those whose history and replies
    another turn has as well, `unanswered` those that a method has no reply to.
    """

    page: str
    seed: int
    methods: Tuple[str, str]
    pairs: Tuple[Pair, ...]
    equal: int
    repeated: int
    unanswered: int


def pairs_of(replies: Replies, methods: Tuple[str, str], seed: int) -> Pairs:
    """The pairs of two methods; in which order the methods are named doesn't count.

    Raises ConfigError for a method that the file doesn't have.
    """
    known = sorted({method for turn in replies.turns for method in turn.replies})
    for method in methods:
        if method not in known:
            mend = did_you_mean(method, known, "it")
            raise ConfigError(f"{replies.path} has no replies of {quote(method)}; {mend}")
    first, second = sorted(methods)
    page = _page_key(replies, (first, second), seed)
    seen: Set[Tuple[object, ...]] = set()
    pairs: List[Pair] = []
    equal = repeated = unanswered = 0
    for turn in replies.turns:
        if first not in turn.replies or second not in turn.replies:
            unanswered += 1
            continue
        texts = tuple(" ".join(turn.replies[method].split()) for method in (first, second))
        content = (turn.service, turn.history, texts)
        if texts[0] == texts[1]:
            equal += 1
        elif content in seen:
            repeated += 1
        else:
            seen.add(content)
            swapped = int(_digest("side", page, turn.key), 16) % 2
            left, right = (second, first) if swapped else (first, second)
            pairs.append(Pair(_digest("pair", page, turn.key)[:32], turn, left, right))
    pairs.sort(key=lambda pair: pair.id)  # as good as a shuffle: ids are digests
    return Pairs(page, seed, (first, second), tuple(pairs), equal, repeated, unanswered)


def judging_page(replies: Replies, pairs: Pairs, count: int) -> str:
    """One HTML page, complete in itself, that shows the first `count` of `pairs`."""
    data = {
        "version": VERSION,
        "replies": replies.digest,
        "page": pairs.page,
        "seed": pairs.seed,
        "pairs": [
            {
                "id": pair.id,
                "service": pair.turn.service,
                "history": pair.turn.history,
                "left": pair.texts()[0],
                "right": pair.texts()[1],
            }
            for pair in pairs.pairs[:count]
        ],
    }
    text = json.dumps(data, ensure_ascii=False)
    # No text may end the element that holds it. What the page shows it sets as text, never as HTML.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return _TEMPLATE.read_text(encoding="utf-8").replace("@DATA@", text)


def resolve(picks: PicksFile, replies: Replies) -> Tuple[Pick, ...]:
    """What the picks of a page say about methods. Raises FormatError if the page wasn't made from
    `replies`.
    """
    if picks.replies != replies.digest:
        raise FormatError(
            f"its page was made from another file than {replies.path} (digest "
            f"{picks.replies[:12]!a}, not {replies.digest[:12]})",
            path=picks.path,
            mend="name that file with --replies",
        )
    known = sorted({method for turn in replies.turns for method in turn.replies})
    for methods in itertools.combinations(known, 2):
        if _page_key(replies, methods, picks.seed) == picks.page:
            break
    else:
        raise FormatError(
            f"its page {picks.page[:12]!a} isn't one of {replies.path} with seed {picks.seed}",
            path=picks.path,
            mend="save the picks from the page again",
        )
    pairs: Dict[str, Pair] = {p.id: p for p in pairs_of(replies, methods, picks.seed).pairs}
    found = []
    for name, choice in picks.picks.items():
        if name not in pairs:
            raise FormatError(
                f"no pair {quote(name)} on its page",
                path=picks.path,
                mend="save the picks from the page again",
            )
        pair = pairs[name]
        chosen = {"left": pair.left, "right": pair.right}.get(choice)
        winner = "tie" if chosen is None else "method_a" if chosen == methods[0] else "method_b"
        found.append(Pick(name, pair.turn.service, *methods, winner, picks.judge))
    return tuple(found)


def sign_test(wins: int, losses: int) -> float:
    """How likely a split at least as uneven is if each pick were the toss of a coin: the exact
    two-sided binomial test, ties left out. 1 without any.
    """
    total = wins + losses
    ways, tail = 1, 0  # ways is C(total, k): from one to the next, because each anew takes long
    for k in range(min(wins, losses) + 1):
        tail += ways
        ways = ways * (total - k) // (k + 1)
    return min(1.0, 2 * tail / 2**total)


def _page_key(replies: Replies, methods: Tuple[str, str], seed: int) -> str:
    return _digest("page", replies.digest, methods, seed)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()
