"""Metrics of replies against the ones that the dialogues have.

- BLEU, of the texts and of the delexicalised templates: sacrebleu's, over the corpus (`bleu.py`).
  In a template each placeholder counts as one token.
- ROUGE-L (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries"): F1 of the longest
  common subsequence of words, the mean over replies. As in Google's `rouge-score` without stemming,
  words are runs of letters and digits, lower-cased; but of any script, not of ASCII alone. Where
  neither side has a word, a reply scores 1 if both are equal, else 0.
- slot error rate (Wen et al. 2015, "Semantically Conditioned LSTM-based Natural Language Generation
  for Spoken Dialogue Systems"): (missing + spurious placeholders) / placeholders of the references,
  each added up over all replies. A placeholder that stands more often than in its reference is
  spurious; their order doesn't count.
- distinct-1 and distinct-2 (Li et al. 2016, "A Diversity-Promoting Objective Function for Neural
  Conversation Models"): different words, and different pairs of neighbours in a reply, divided by
  the number of words.
- self-BLEU (Zhu et al. 2018, "Texygen"): how alike the replies are among themselves.

BLEU figures are in [0, 100], the slot error rate from 0 up, the others in [0, 1].
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, Hashable, Iterable, List, Mapping, Match, Sequence, Tuple

import numpy
from rapidfuzz.distance import LCSseq

from rasa_onramp.evaluation.bleu import bleu_counts, bleu_score, bleu_signature, self_bleu
from rasa_onramp.evaluation.bootstrap import Difference, paired_difference
from rasa_onramp.plain_json import plain

__all__ = [
    "COMPARED",
    "ReplyFigures",
    "ScoredReply",
    "aggregate_replies",
    "compare_replies",
    "figures_of",
    "reply_sums",
    "rouge_l",
    "slot_errors",
]


@dataclass(frozen=True)
class ScoredReply:
    """A reply beside its reference.

    Texts are as the user reads them, templates have Rasa's placeholders ("It is {status}").
    `slots` are those of a template's placeholders, one each time they stand there, in any order.
    `source` is the kind of reply ("generated", "support", "schema"), and `grounded` whether the
    method's own reply was kept, not rejected for what it states.
    """

    reference_text: str
    text: str
    reference_template: str
    template: str
    reference_slots: Tuple[str, ...] = ()
    slots: Tuple[str, ...] = ()
    source: str = "generated"
    grounded: bool = True


@dataclass(frozen=True)
class ReplyFigures:
    """Figures of `replies` replies.

    `missing`, `spurious` and `reference_slots` are numbers of placeholders; `length` and
    `reference_length` mean words between white space; `grounded` a share; `sources` numbers of
    replies by kind, in alphabetical order. `bleu_signature` is sacrebleu's. What no reply defines
    is NaN: every mean without replies, the slot error rate where no reference has a placeholder,
    distinct-1 and -2 without words, self-BLEU of fewer than two replies.
    """

    replies: int
    bleu: float
    bleu_delexicalised: float
    rouge_l: float
    slot_error_rate: float
    missing: int
    spurious: int
    reference_slots: int
    distinct_1: float
    distinct_2: float
    self_bleu: float
    length: float
    reference_length: float
    grounded: float
    sources: Mapping[str, int]
    bleu_signature: str

    def as_dict(self) -> Dict[str, Any]:
        """The figures by name, None instead of NaN, so that they can be written as JSON."""
        found: Dict[str, Any] = plain(asdict(self))
        return found


def aggregate_replies(replies: Iterable[ScoredReply]) -> ReplyFigures:
    """The figures of the replies. Raises ConfigError where sacrebleu isn't installed."""
    replies = tuple(replies)
    sums = reply_sums(replies)
    words = [_words(reply.text) for reply in replies]
    total = sum(map(len, words))
    return ReplyFigures(
        replies=len(replies),
        **figures_of(sums),
        missing=int(sums[_MISSING]),
        spurious=int(sums[_SPURIOUS]),
        reference_slots=int(sums[_REFERENCE_SLOTS]),
        distinct_1=_ratio(len({word for each in words for word in each}), total),
        distinct_2=_ratio(len({pair for each in words for pair in zip(each, each[1:])}), total),
        self_bleu=self_bleu([reply.text for reply in replies]),
        reference_length=_ratio(_length(each.reference_text for each in replies), len(replies)),
        grounded=_ratio(sum(reply.grounded for reply in replies), len(replies)),
        sources=dict(sorted(Counter(reply.source for reply in replies).items())),
        bleu_signature=bleu_signature(),
    )


def rouge_l(reference: str, text: str) -> float:
    """ROUGE-L's F1 of one reply, in [0, 1]."""
    wanted, given = _words(reference), _words(text)
    if not wanted and not given:
        return float(reference.strip() == text.strip())
    # 2PR / (P + R), with P and R the subsequence's share of each side
    return 2 * LCSseq.similarity(wanted, given) / (len(wanted) + len(given))


def slot_errors(reference: Iterable[str], given: Iterable[str]) -> Tuple[int, int]:
    """How many placeholders of the reference are missing, and how many are spurious."""
    wanted, found = Counter(reference), Counter(given)
    return sum((wanted - found).values()), sum((found - wanted).values())


# -- method against method -----------------------------------------------------------------------


# Where each sum stands among those of some replies; BLEU's counts take ten places each.
_REPLIES, _ROUGE, _MISSING, _SPURIOUS, _REFERENCE_SLOTS, _WORDS = range(6)
_TEXT, _TEMPLATE = slice(6, 16), slice(16, 26)

#: The figures that are computed from sums over the replies.
_FIGURES: Dict[str, Callable[[numpy.ndarray], float]] = {
    "bleu": lambda sums: bleu_score(sums[_TEXT]) if sums[_REPLIES] else math.nan,
    "bleu_delexicalised": lambda sums: bleu_score(sums[_TEMPLATE]) if sums[_REPLIES] else math.nan,
    "rouge_l": lambda sums: _ratio(sums[_ROUGE], sums[_REPLIES]),
    "slot_error_rate": lambda sums: _ratio(
        sums[_MISSING] + sums[_SPURIOUS], sums[_REFERENCE_SLOTS]
    ),
    "length": lambda sums: _ratio(sums[_WORDS], sums[_REPLIES]),
}

#: The figures that two methods can be compared by.
COMPARED: Tuple[str, ...] = tuple(_FIGURES)


def compare_replies(
    first: Mapping[Tuple[Hashable, ...], Sequence[ScoredReply]],
    second: Mapping[Tuple[Hashable, ...], Sequence[ScoredReply]],
    *,
    figures: Sequence[str] = COMPARED,
    resamples: int = 2_000,
    seed: int = 0,
) -> Dict[str, Difference]:
    """Each figure of the first method minus the second's, with its 95% interval.

    Both map (service, seed of the support set, dialogue) to the dialogue's replies; seeds and
    dialogues are drawn anew (see `paired_difference`), and every figure is computed anew from the
    sums over each sample. Raises ConfigError where sacrebleu isn't installed, KeyError for a figure
    that isn't in COMPARED, ValueError unless both methods have the same dialogues.
    """
    if first.keys() != second.keys():
        raise ValueError("both methods must have replies to the same dialogues")
    paths = list(first)
    sums = numpy.array([reply_sums(method[path]) for method in (first, second) for path in paths])
    ours = {path: row for row, path in enumerate(paths)}
    theirs = {path: row + len(paths) for path, row in ours.items()}

    def compare(name: str) -> Difference:
        def statistic(rows: Sequence[int]) -> float:
            return _FIGURES[name](sums[rows].sum(axis=0))

        return paired_difference(ours, theirs, statistic, resamples=resamples, seed=seed)

    return {name: compare(name) for name in figures}


def figures_of(sums: numpy.ndarray) -> Dict[str, float]:
    """The figures in COMPARED from sums over replies, (26,); those of several sets of replies
    together from their sums added up. Raises ConfigError where sacrebleu isn't installed.
    """
    return {name: figure(sums) for name, figure in _FIGURES.items()}


def reply_sums(replies: Sequence[ScoredReply]) -> numpy.ndarray:
    """What `figures_of` takes, (26,). Raises ConfigError where sacrebleu isn't installed."""
    rows = [
        (
            1,
            rouge_l(reply.reference_text, reply.text),
            *slot_errors(reply.reference_slots, reply.slots),
            len(reply.reference_slots),
            _length([reply.text]),
            *bleu_counts(reply.text, reply.reference_text),
            *bleu_counts(_whole(reply.template), _whole(reply.reference_template)),
        )
        for reply in replies
    ]
    return numpy.array(rows, dtype=float).reshape(-1, _TEMPLATE.stop).sum(axis=0)


# -- texts ---------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W_]+")
_PLACEHOLDER = re.compile(r"\{([^{}\s]+)\}")


def _words(text: str) -> List[str]:
    return _WORD.findall(text.lower())


def _length(texts: Iterable[str]) -> int:
    return sum(len(text.split()) for text in texts)


def _whole(template: str) -> str:
    """The template with placeholders that the tokenizer, which splits at "{" and "_", leaves whole.

    Otherwise a slot with a long name would count more than one with a short name.
    """
    return _PLACEHOLDER.sub(
        lambda found: f" \u27e8{re.sub(r'[^a-zA-Z0-9]', _spelt, found[1])}\u27e9 ", template
    )


def _spelt(found: Match[str]) -> str:
    return f"\u00b7{ord(found[0]):x}\u00b7"


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
