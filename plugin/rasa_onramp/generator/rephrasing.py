"""A bot's own fixed responses, said in other words that suit what the user has just said.

    User: where's my package, it's two days late
    Say: Your parcel {number} should arrive on {date}.
    Bot: Parcel {number} is expected to be with you on {date}.

The language model learned this from pairs of replies that say the same thing
(metalearning/rephrasings.py). What it writes is said only if nothing is lost or added that can be
checked; else the response stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from rasa_onramp.dialogue import Schema
from rasa_onramp.generator.outcomes import denies
from rasa_onramp.generator.packing import Packed, ReplyTokens, pack
from rasa_onramp.generator.placeholders import in_words, placeholder_names, replaced
from rasa_onramp.generator.pool import rows_of
from rasa_onramp.generator.prompt import Exchange, one_line
from rasa_onramp.generator.quantities import CURRENCIES
from rasa_onramp.generator.spotting import names, tokens
from rasa_onramp.generator.times import DAY_WORDS
from rasa_onramp.generator.units import TIMES

if TYPE_CHECKING:  # torch is imported by what computes
    from rasa_onramp.embedding import Embed

__all__ = ["REPHRASING", "Rephraser", "keeps", "said", "saying"]

#: Stands in the place of a domain's schema, so that the model knows what is wanted.
REPHRASING = Schema("customer service", "what the bot has to say, in other words")

#: How alike a response and its rephrasing must be: the cosine of their embedded texts.
ALIKE = 0.85

#: Exchanges before the one at hand that are shown.
_PAST = 2

_PRONOUNS = {
    "bot": {"i", "me", "my", "mine", "we", "us", "our", "ours"},
    "user": {"you", "your", "yours"},
}
_SIGNS = {"%": "percent", **{sign: word for sign, (word, _) in CURRENCIES.items()}}
_CODES = {code: word for word, code in CURRENCIES.values()}
#: What a number may be of, but for the plural and dots.
_UNITS = {"am", "pm", *TIMES, *_SIGNS.values()}
#: A placeholder and what stands before it: "from {a}", "to the town of {b}".
_DIRECTED = re.compile(r"\b(from|to)\s+(?:(?!from\b|to\b)\w+\s+){0,3}\{([^{}]*)\}", re.IGNORECASE)
_LINKS = re.compile(r"\S+://\S+|www\.\S+|\S+@\S+")


def said(user: str, reply: str) -> Exchange:
    """An exchange of the conversation before."""
    return Exchange(f"User: {one_line(user)}\nBot:", one_line(reply), said=False)


def saying(user: str, template: str, rephrased: Optional[str] = None) -> Exchange:
    """An exchange whose reply is to say what `template` says; `rephrased` is how, if known."""
    before = f"User: {one_line(user)}\nSay: {one_line(template)}\nBot:"
    return Exchange(before, None if rephrased is None else one_line(rephrased))


class Rephraser:
    """Rephrases responses by a language model.

    `write` takes a prompt and returns texts to choose from; `embed` tells how alike two are.
    """

    def __init__(
        self,
        tokens: ReplyTokens,
        write: Callable[[Packed], Sequence[str]],
        embed: Embed,
        *,
        alike: float = ALIKE,
    ):
        self._tokens = tokens
        self._write = write
        self._embed = embed
        self._alike = alike

    def rephrase(
        self, template: str, user: str, past: Sequence[Tuple[str, str]] = ()
    ) -> Optional[str]:
        """`template`, a text with Rasa's placeholders, in other words; None if it should stand.

        `user` is what it answers, `past` what was said before: (user, bot) texts, oldest first.
        """
        if one_line(template) != template.strip():
            return None  # too long to be read whole, or with a layout that would be lost
        before = [said(*each) for each in past[-_PAST:]]
        prompt = pack(self._tokens, REPHRASING, [*before, saying(user, template)])
        persons = _persons(template)
        texts = [t for t in self._write(prompt) if keeps(template, t) and persons <= _persons(t)]
        if not texts:
            return None
        rows = rows_of(self._embed, [in_words(text) for text in (template, *texts)])
        alike = (rows[1:] @ rows[0]).tolist()
        best = max(range(len(texts)), key=alike.__getitem__)
        return texts[best] if alike[best] >= self._alike else None


def keeps(template: str, written: str) -> bool:
    """Whether `written` has the placeholders, numbers, units, days, links and names of `template`
    and no others, asks and denies where that does, and goes from and to the same. It must also
    have other words.
    """
    if not written.strip() or _words(template) == _words(written):
        return False
    if placeholder_names(template) != placeholder_names(written):
        return False
    if _turned(template, written):
        return False
    if not len(template) / 3 <= len(written) <= 40 + 2 * len(template):
        return False
    if template.count("?") != written.count("?"):
        return False
    literal = replaced(template + written, by=" ")
    if "{" in literal or "}" in literal or "{{" in template:  # torn, or Rasa's literal braces
        return False
    return denies(template) == denies(written) and _claims(template) == _claims(written)


def _turned(template: str, written: str) -> bool:
    """Whether a placeholder has "from" before it where it had "to", or the other way round."""
    before, after = _directions(template), _directions(written)
    return any(before[name] != after[name] for name in before.keys() & after.keys())


def _directions(text: str) -> Dict[str, Set[str]]:
    found: Dict[str, Set[str]] = {}
    for word, name in _DIRECTED.findall(text):
        found.setdefault(name, set()).add(word.lower())
    return found


def _words(text: str) -> List[str]:
    return re.findall(r"\w+", text.lower())


def _persons(text: str) -> Set[str]:
    """Who is spoken of: the bot, the user. "What can you do?" isn't "What can I do for you?"."""
    words = set(_words(text))
    return {name for name, pronouns in _PRONOUNS.items() if words & pronouns}


def _claims(text: str) -> Counter[str]:
    """Numbers with their units, days, links and names: words with a digit, spelt numbers,
    capitalised ones within a sentence.
    """
    literal = replaced(text, by="it")
    found = Counter(link.rstrip(".,;:!?)") for link in _LINKS.findall(literal))
    linkless = _LINKS.sub(" ", literal)
    named = {token.i for token in names(linkless)}
    for token in tokens(linkless):
        word = token.lower_
        number = _is_number(token) and word != "one"
        unit = _SIGNS.get(word) or _CODES.get(word) or word.replace(".", "").rstrip("s")
        of_number = unit in _UNITS and _of_number(token)
        if of_number:
            found[unit] += 1
        named_here = token.i in named and not (of_number and word in _CODES)  # "45 USD"
        if number or named_here or word in DAY_WORDS or word == "today":
            found[word] += 1
    return found


def _is_number(token: Any) -> bool:
    return token.like_num or any(character.isdigit() for character in token.text)


def _of_number(token: Any) -> bool:
    """Whether a unit is one of a number: "5 pm", "two working days", "$5", "an hour"; a placeholder
    stands there as "it".
    """
    doc, place = token.doc, token.i
    near = [*doc[max(0, place - 2) : place], *doc[place + 1 : place + 1 + (token.text in _SIGNS)]]
    few = place > 0 and doc[place - 1].lower_ in ("a", "an", "it")
    return few or any(_is_number(each) for each in near)
