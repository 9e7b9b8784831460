"""BLEU by sacrebleu, as counts that add up over segments, and self-BLEU.

BLEU (Papineni et al. 2002) of a corpus isn't the mean over its segments: n-gram matches and lengths
are added up first. `bleu_counts` gives them, so that BLEU can be computed anew for any selection of
segments, such as a bootstrap's. Tokens, counts and score are sacrebleu's (Post 2018, "A Call for
Clarity in Reporting BLEU Scores") with its defaults: mixed case, 13a tokens, n-grams up to four,
exponential smoothing. Scores are in [0, 100].
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from typing import Any, Dict, Iterable, List, Sequence, Tuple
from typing import Counter as CounterOf

from rasa_onramp.errors import ConfigError

__all__ = ["Counts", "bleu_counts", "bleu_score", "bleu_signature", "self_bleu"]

_ORDER = 4

#: Tokens of the text and of the reference; n-grams of the text that match; all of its n-grams, both
#: by order from 1 to 4. The counts of several segments add up.
Counts = Tuple[int, ...]

Ngram = Tuple[str, ...]


def bleu_counts(text: str, reference: str) -> Counts:
    """The counts of one segment. Raises ConfigError where sacrebleu isn't installed."""
    # The effective order changes a sentence's score, not its counts, and spares us a warning.
    found = _metric().sentence_score(text, [reference])
    return (found.sys_len, found.ref_len, *found.counts, *found.totals)


def bleu_score(counts: Iterable[float], *, sentence: bool = False) -> float:
    """BLEU in [0, 100]; 0 without matches, and of a corpus without any run of four tokens.

    `counts` are those of `bleu_counts`, of one segment or added up. `sentence` takes only the
    orders that the text is long enough for, as sacrebleu does for single sentences.
    """
    length, reference_length, *rest = map(int, counts)
    found = _library().BLEU.compute_bleu(
        rest[:_ORDER],
        rest[_ORDER:],
        length,
        reference_length,
        smooth_method="exp",
        effective_order=sentence,
    )
    return float(found.score)


@lru_cache(maxsize=1)
def bleu_signature() -> str:
    """sacrebleu's signature of how corpus BLEU is computed, to be published with a score."""
    metric = _library().BLEU()
    metric.corpus_score(["a"], [["a"]])  # the signature tells the number of references
    return str(metric.get_signature())


def self_bleu(texts: Sequence[str]) -> float:
    """How alike the texts are, in [0, 100]: the mean BLEU of each against all others.

    By Zhu et al. 2018, "Texygen"; lower is more diverse. The score of a text is sacrebleu's for a
    sentence with several references. It grows with the number of texts, so only equally many
    compare. All texts are taken, none sampled: for each n-gram the two highest counts are kept,
    which makes the time linear in the texts. NaN for fewer than two.
    """
    if len(texts) < 2:
        return math.nan
    tokenize = _metric().tokenizer
    tokens = [tokenize(text.rstrip()).split() for text in texts]
    counts = [_ngrams(each) for each in tokens]
    most: Dict[Ngram, Tuple[int, int, int]] = {}  # highest count, whose, highest of the others
    for number, own in enumerate(counts):
        for ngram, count in own.items():
            best, holder, second = most.get(ngram, (0, -1, 0))
            if count > best:
                most[ngram] = (count, number, best)
            elif count > second:
                most[ngram] = (best, holder, count)
    lengths = Counter(map(len, tokens))
    scores = []
    for number, own in enumerate(counts):
        matches, ngrams = [0] * _ORDER, [0] * _ORDER
        for ngram, count in own.items():
            best, holder, second = most[ngram]
            ngrams[len(ngram) - 1] += count
            matches[len(ngram) - 1] += min(count, second if holder == number else best)
        length = len(tokens[number])
        found = (length, _closest_other(length, lengths), *matches, *ngrams)
        scores.append(bleu_score(found, sentence=True))
    return sum(scores) / len(scores)


def _closest_other(length: int, lengths: CounterOf[int]) -> int:
    """The length nearest to that of one text among the others'; the shorter of two as near."""
    others = (each for each, count in lengths.items() if each != length or count > 1)
    return min(others, key=lambda each: (abs(each - length), each))


def _ngrams(tokens: List[str]) -> CounterOf[Ngram]:
    return Counter(
        tuple(tokens[start : start + order])
        for order in range(1, _ORDER + 1)
        for start in range(len(tokens) - order + 1)
    )


@lru_cache(maxsize=1)
def _metric() -> Any:
    return _library().BLEU(effective_order=True)


def _library() -> Any:
    try:
        import sacrebleu.metrics
    except ImportError:
        raise ConfigError(
            "BLEU needs sacrebleu, which isn't installed; pip install 'rasa-onramp[metrics]'"
        ) from None
    return sacrebleu.metrics
