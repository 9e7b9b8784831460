"""Finding where known values stand in a text, in any of their forms, with spaCy.

The English tokeniser keeps "2" from being found in "RX4821", and needs no trained pipeline. All
forms of all values are looked for at once, whatever their case.
"""

from __future__ import annotations

import re
import sys
import threading
import warnings
from bisect import bisect_left, insort
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from sys import getsizeof
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

from rasa_onramp.dialogue import DONTCARE
from rasa_onramp.generator.forms import LONGEST, surfaces
from rasa_onramp.memory import MEGABYTE, LastUsed

__all__ = [
    "Finder",
    "Region",
    "Source",
    "Values",
    "find_sources",
    "first_words",
    "longest",
    "may_be_a_word",
    "named_near",
    "names",
    "overlaps",
    "plain_values",
    "sources_of",
    "stem",
    "tokens",
    "words_near",
    "yes_or_no",
]

#: Slot -> a value, or its equivalent values with the preferred one first.
Values = Mapping[str, Union[str, Sequence[str]]]

#: Characters [start, end) of a text.
Region = Tuple[int, int]


@dataclass(frozen=True)
class Source:
    """A value that a text may state, and where it is held.

    `preferred` is the spelling that fills a template; `row` the result row, None for the state.
    """

    slot: str
    value: str
    preferred: str
    row: Optional[int] = None

    @property
    def clock24(self) -> bool:
        """Whether a bare clock time is known to be on the 24-hour clock: APIs use it."""
        return self.row is not None


def plain_values(values: Union[str, Sequence[str], None]) -> Tuple[str, ...]:
    """The spellings of a slot's value that can be stated; none of "any will do"."""
    spellings = (values,) if isinstance(values, str) else tuple(values or ())
    return tuple(value for value in spellings if value.strip() and value != DONTCARE)


def sources_of(values: Values, results: Sequence[Mapping[str, Any]]) -> Tuple[Source, ...]:
    """Every value of the result rows and of the state, the rows first."""
    sources = []
    for number, row in enumerate(results):
        for slot, value in row.items():
            if value is not None and str(value).strip():
                sources.append(Source(slot, str(value), str(value), number))
    for slot, spellings in values.items():
        stated = plain_values(spellings)
        sources += [Source(slot, value, stated[0]) for value in stated]
    return tuple(sources)


class Finder:
    """Finds the same sources in one text after another: their forms are looked up once.

    It holds nothing of spaCy's, whose PhraseMatcher would keep an old vocabulary alive.
    """

    def __init__(self, sources: Iterable[Source]):
        self._sources: Dict[Tuple[str, ...], List[Source]] = {}  # by the words of a form
        self._lengths: Dict[str, Set[int]] = {}  # of the forms, by their first word
        for source in sources:
            for words in _patterns(source.value, source.clock24):
                self._sources.setdefault(words, []).append(source)
                self._lengths.setdefault(words[0], set()).add(len(words))

    def find(self, text: str) -> List[Tuple[Region, Source]]:
        """Each source with each place in `text` where a form of its value stands, overlaps
        included.
        """
        doc = tokens(text)
        words = tuple(token.lower_ for token in doc)
        found = []
        for start, word in enumerate(words):
            for end in (start + length for length in self._lengths.get(word, ())):
                if end <= len(words):
                    region = (doc[start].idx, doc[end - 1].idx + len(doc[end - 1]))
                    found += [(region, each) for each in self._sources.get(words[start:end], ())]
        return found


def find_sources(text: str, sources: Sequence[Source]) -> List[Tuple[Region, Source]]:
    """Each source with each place in `text` where a form of its value stands, overlaps included."""
    return Finder(sources).find(text)


#: The texts read last, as Docs; and the forms of values, by value and clock.
_docs: LastUsed[str, Any] = LastUsed(32 * MEGABYTE)
_forms: LastUsed[Tuple[str, bool], Tuple[Tuple[str, ...], ...]] = LastUsed(16 * MEGABYTE)

#: Bytes of a Doc without words, and of a word of one; spaCy doesn't say.
_DOC, _WORD = 4096, 256


def tokens(text: str) -> Any:
    """`text` as a spaCy Doc, tokenised only. What no reader would read in it is blank."""
    doc = _docs.get(text)
    if doc is None:
        doc = _make_doc(text)
        _docs.put(text, doc, getsizeof(text) + _DOC + _WORD * len(doc))
    return doc


def names(text: str) -> List[Any]:
    """The capitalised tokens of a text that don't begin a sentence, but for "I" and "OK"."""
    return [token for token, begins in _capitalised(text) if not begins]


def first_words(text: str) -> List[Any]:
    """The capitalised tokens that begin a sentence, or follow a colon."""
    return [token for token, begins in _capitalised(text) if begins]


def _capitalised(text: str) -> Iterator[Tuple[Any, bool]]:
    begins = True
    for token in tokens(text):
        if token.text[:1].isupper() and token.text not in ("I", "OK"):
            yield token, begins
        begins = token.is_punct and token.text not in ("'", "-", ",", "/")


def yes_or_no(value: str) -> bool:
    """Whether a value is true or false, in words that APIs and schemas have for it."""
    return value.lower() in ("true", "false", "yes", "no")


def may_be_a_word(surface: str, value: str) -> bool:
    """Whether an unmarked `surface` may as well be a word of its own, as in "No, it isn't"."""
    return yes_or_no(value) or surface.lower() in ("one", "zero", "yes", "no")


def longest(regions: Iterable[Region]) -> List[Region]:
    """The regions that no longer (or equally long, earlier) kept one overlaps, in text order."""
    kept: List[Region] = []
    for region in sorted(set(regions), key=lambda region: (region[0] - region[1], region[0])):
        place = bisect_left(kept, region)
        if not overlaps(region, kept[max(0, place - 1) : place + 1]):  # its neighbours
            insort(kept, region)
    return kept


def overlaps(region: Region, others: Iterable[Region]) -> bool:
    """Whether `region` shares a character with any of `others`."""
    return any(region[0] < end and start < region[1] for start, end in others)


def words_near(text: str, region: Region, window: int = 4) -> Dict[str, float]:
    """Stems of the words within `window` tokens of a region, each with 1 / its distance."""
    doc = tokens(text)
    first, last = _word_at(doc, region[0]), _word_at(doc, region[1] - 1)
    near: Dict[str, float] = {}
    for distance in range(1, window + 1):
        for number in (last + distance, first - distance):
            if 0 <= number < len(doc):
                near.setdefault(stem(doc[number].lower_), 1 / distance)
    return near


def _word_at(doc: Any, place: int) -> int:
    """The number of the token that a character of a text stands in."""
    low, high = 0, len(doc) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if doc[middle].idx <= place:
            low = middle
        else:
            high = middle - 1
    return low


def named_near(slot: str, text: str, region: Region) -> bool:
    """Whether a word of a slot's name stands within 4 tokens of a region."""
    near = words_near(text, region)
    return any(stem(word) in near for word in slot.lower().split("_"))


def stem(word: str) -> str:
    """A word without its commonest endings: enough to match "tickets" with "ticket"."""
    return re.sub(r"(?:ing|ies|es|s|y|e)$", "", word.lower())


def _patterns(value: str, clock24: bool) -> Tuple[Tuple[str, ...], ...]:
    """The words of a value's forms, in lower case, each once."""
    key = (value, clock24)
    found = _forms.get(key)
    if found is None:
        forms = (_make_doc(text) for text, _ in surfaces(value, clock24))
        words = (tuple(token.lower_ for token in form) for form in forms)
        # what is blank would be found in whatever else is
        found = tuple(dict.fromkeys(each for each in words if any(map(str.strip, each))))
        if len(value) <= LONGEST:
            size = sum(getsizeof(words) + sum(map(getsizeof, words)) for words in (key, *found))
            _forms.put(key, found, size)
    return found


#: How many strings a vocabulary of spaCy's holds at most. It never forgets one, and there are
#: always new values, so that now and then a new vocabulary takes its place.
_MOST_STRINGS = 200_000
_renewing = threading.Lock()

#: What is taken for blanks: longer words than links with signatures are; and 100 signs on end, with
#: one or two letters between them at most ("US$", "'s"). spaCy strips such from a word one by one,
#: and reads all that is left each time.
_UNREADABLE = re.compile(r"(?<!\S)\S{2001,}|(?:[A-Za-z]{0,2}(?:[^\w\s]|_)){100,}")

#: The full stop after "14C" or "50K", which spaCy leaves on the word.
_AFTER_A_CODE = r"(?<=[0-9][A-Z])\."


def _make_doc(text: str) -> Any:
    if len(_english().vocab.strings) > _MOST_STRINGS:
        with _renewing:
            # what other threads hold of the old one still fits: a string has the same hash in all
            if len(_english().vocab.strings) > _MOST_STRINGS:
                _english.cache_clear()
                _docs.clear()
    return _english().make_doc(_UNREADABLE.sub(lambda found: " " * len(found.group()), text))


@lru_cache(maxsize=1)
def _english() -> Any:
    with _tensorflow_left_alone(), warnings.catch_warnings():
        # What spaCy pins is older than what it runs on.
        warnings.simplefilter("ignore", DeprecationWarning)
        import spacy
        import spacy.matcher

        english: Any = spacy.blank("en")
        suffixes = [*english.Defaults.suffixes, _AFTER_A_CODE]
        english.tokenizer.suffix_search = spacy.util.compile_suffix_regex(suffixes).search
        return english


@contextmanager
def _tensorflow_left_alone() -> Iterator[None]:
    """Keep spaCy's import from importing TensorFlow, which it offers to layers that we don't use.

    That would cost seconds and hundreds of megabytes, and ask TensorFlow for its GPUs.
    """
    if "tensorflow" in sys.modules or "thinc" in sys.modules:
        yield
        return
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["tensorflow"]
