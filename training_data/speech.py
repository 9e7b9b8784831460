"""How users and bots put values into words: answers, corrections, asides, questions, summaries."""

from __future__ import annotations

import random
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from chat import Chat, Piece, fill, plain
from spec import Domain, Slot, places
from values import PICKY, PROPER, Maker, Value

__all__ = ["Said", "Speech", "lowered"]

Wordings = Mapping[str, Any]
#: What is said, and the values that it sets without marks.
Said = Tuple[List[Piece], Dict[str, Sequence[str]]]
#: Wordings of yes and no that make no sense unless asked for.
_BARE = re.compile(r"(yes|yep|yeah|no|nope|nah|not|sure|please|ok|y|n|of course|why)\b", re.I)
_NOT = re.compile(r"(not|anything but|definitely not|ignore)\b", re.I)


def lowered(text: str) -> str:
    """The text as it goes on within a sentence."""
    return text if re.match(r"I\b|[A-Z]{2}", text) else text[0].lower() + text[1:]


def stands_alone(slot: Slot, wording: str) -> bool:
    """Whether a wording of a listed value says without a question what it is about."""
    about = " ".join([slot.name, *slot.names, *slot.descriptions]).replace("_", " ").lower()
    stems = {word[:5] for word in re.findall(r"[a-z]{4,}", about)} - {"which", "wheth", "what"}
    heard = {word[:5] for word in re.findall(r"[a-z]{4,}", wording.lower())}
    return not _BARE.match(wording) and bool(stems & heard)


class Speech:
    """Puts things into words for one dialogue."""

    def __init__(self, domain: Domain, words: Wordings, rng: random.Random):
        self.domain, self.words, self.rng = domain, words, rng
        self.maker = Maker(rng)
        self.chat = Chat(domain, rng, words["abbreviations"])
        self.required: Sequence[str] = ()  # what the present intent can't do without
        self.facts: Dict[str, str] = {}  # what the bot found out, by slot

    def chance(self, share: float) -> bool:
        """True in a `share` of the cases."""
        return self.rng.random() < share

    def say(self, key: str, **given: str) -> str:
        """One of the wordings called `key`, with its gaps filled."""
        text: str = self.rng.choice(self.words[key])
        for name, value in given.items():
            text = text.replace("{" + name + "}", value)
        return text

    def called(self, name: str) -> str:
        """The slot in plain words."""
        slot = self.domain.slots[name]
        return self.rng.choice([slot.name, slot.name, *slot.names]).replace("_", " ")

    def value(self, name: str) -> Optional[str]:
        """The slot's value in the state, if it is one."""
        found = self.chat.values.get(name)
        return found[0] if found and found[0] != "dontcare" else None

    def fresh(self, name: str, bot: bool = False, avoid: Sequence[str] = ()) -> Value:
        """A value that the slot doesn't have yet, none of those to `avoid`."""
        slot = self.domain.slots[name]
        taken = {text.lower() for text in avoid}
        taken |= {text.lower() for text in self.chat.values.get(name, ())}
        for _ in range(20):
            value = self.maker.make(slot, bot)
            if value.text.lower() not in taken:
                break
        return value

    def mark(self, name: str, text: str) -> Piece:
        """The value as the user says it, marked; listed ones perhaps in another case."""
        slot = self.domain.slots[name]
        if slot.listed and self.chance(0.15):
            text = self.rng.choice([text.lower(), text.capitalize()])
        return Piece(text, name, True)

    def shown(self, name: str, text: str) -> Piece:
        """The value as the bot writes it, marked."""
        slot = self.domain.slots[name]
        proper = slot.kind in PROPER and text == text.lower()
        return Piece(text.title() if proper and self.chance(0.7) else text, name, True)

    # what users say

    def tell(self, name: str, alone: bool = True, new: Optional[str] = None) -> Said:
        """The user gives a value of the slot; not `alone`, in words that show which slot it is."""
        slot = self.domain.slots[name]
        value = new or self.fresh(name).text
        if slot.listed:
            wordings = [w for w in slot.listed[value] if alone or stands_alone(slot, w)]
            if wordings and (slot.yes_no or self.chance(0.5)):
                wording = self.rng.choice(wordings)
                match = re.search(rf"(?<!\w){re.escape(value)}(?!\w)", wording, re.I)
                if match is None:
                    return plain(wording), {name: [value]}
                mark = Piece(match.group(), name, True)
                before, after = wording[: match.start()], wording[match.end() :]
                return [*plain(before), mark, *plain(after)], {}
        template = self.frame(slot, alone)
        gaps = len(places(template))
        # Where a template has several gaps, only the last is the value: "not {}, better {}".
        other = [Piece(self.fresh(name, avoid=[value]).text, None, True)]
        others = [other] * (gaps - 1)
        said = [*others, self.put(name, value, alone and not others)]
        return fill(template, lambda *_: said.pop(0)), {}

    def volunteers(self, name: str) -> bool:
        """Whether a user can give the slot unasked."""
        slot = self.domain.slots[name]
        if slot.yes_no:
            found = slot.listed.values()
            return all(any(stands_alone(slot, w) for w in ws) for ws in found)
        return bool(slot.tell or slot.ask)

    def frame(self, slot: Slot, alone: bool) -> str:
        """A template that the user tells the slot with."""
        full = [text for text in slot.tell if len(re.findall(r"[A-Za-z]{2,}", text)) > 1]
        if alone:
            return self.rng.choice([*slot.tell, *slot.tell, self.named(slot), "{}"])
        return self.rng.choice([*full, *full, self.named(slot)])

    def named(self, slot: Slot) -> str:
        """A template that names the slot."""
        return self.say("named_tell", words=self.called(slot.name))

    def put(self, name: str, value: str, alone: bool) -> List[Piece]:
        """The marked value, perhaps as a slip put right at once."""
        if self.chance(0.09 if alone else 0.03):
            old = self.fresh(name, avoid=[value]).text
            return self.swap(self.say("correct_inline"), name, old, value)
        return [self.mark(name, value)]

    def swap(self, template: str, name: str, old: str, new: str) -> List[Piece]:
        """A template with {old}, not marked, and {new}."""
        gaps = {"old": Piece(old, None, True), "new": self.mark(name, new)}
        return fill(template, lambda gap, _: [gaps[gap]])

    def correct(self, name: str, key: str) -> Optional[Said]:
        """The user gives another value for one that he gave before."""
        slot, old = self.domain.slots[name], self.value(name)
        if old is None or slot.yes_no:
            return None
        new = self.fresh(name).text
        if self.chance(0.2):
            pieces, sets = self.tell(name, alone=False, new=new)
            start = self.rng.choice(["sorry, ", "wait, ", "no, ", "actually ", "oh, ", "hm no, "])
            return plain(start) + pieces, sets
        template = self.say(key, words=self.called(name))
        return self.swap(template, name, old, new), {}

    def distraction(self, name: str, after: bool, avoid: Sequence[str]) -> List[Piece]:
        """Words about a value of the slot's kind that is not the slot's, none of those to `avoid`.

        "Not that one" makes sense only `after` something else was said.
        """
        slot = self.domain.slots[name]
        kinds = self.words["distract"]
        texts = kinds.get(slot.kind) or kinds["any"]
        text = self.rng.choice([t for t in texts if after or not _NOT.match(t)])
        other = Piece(self.fresh(name, avoid=avoid).text, None, True)
        return fill(text, lambda *_: [other])

    def dontcare(self, name: str, alone: bool) -> Said:
        """The user says that any value will do."""
        bare = alone and self.chance(0.6)
        text = self.say("dontcare") if bare else self.say("dontcare_slot", words=self.called(name))
        return plain(text), {name: ["dontcare"]}

    def careless(self, name: str) -> float:
        """How often "any is fine" is an answer for the slot."""
        slot = self.domain.slots[name]
        if slot.kind in PICKY:
            return 0.0
        if name not in self.required:
            return 0.35
        # What somebody has lost can't be anything, but a day can.
        return 0.1 if slot.listed or slot.kind in ("time", "day", "date") else 0.0

    def dress(self, said: Said) -> Said:
        """An answer with some words around it."""
        pieces, sets = said
        before, after = self.say("tell_prefix"), self.say("tell_suffix")
        if self.chance(0.5):
            before = ""
        if self.chance(0.5) or pieces[-1].text[-1:] in ".?!":
            after = ""
        return plain(before) + pieces + plain(after), sets

    def join(self, *parts: Said) -> Said:
        """Several things said in one turn."""
        pieces: List[Piece] = []
        sets: Dict[str, Sequence[str]] = {}
        for part in parts:
            if pieces:
                joiner = self.say("tell_joiner")
                if pieces[-1].text[-1:] in ".?!":
                    joiner = self.rng.choice([" ", "\n", " "])
                pieces += plain(joiner)
            pieces += part[0]
            sets.update(part[1])
        return pieces, sets

    def aside(self) -> Said:
        """Words that mean nothing to the bot."""
        return plain(self.rng.choice([text for text in self.words["aside"] if text])), {}

    def distracted(self, said: Said, names: Sequence[str], share: float) -> Said:
        """Perhaps with words about a value that is none of the state's."""
        names = [s for s in names if not self.domain.slots[s].yes_no]
        if not names or not self.chance(share):
            return said
        avoid = [piece.text for piece in said[0] if piece.fixed]
        avoid += [text for values in said[1].values() for text in values]
        after = self.chance(0.6)
        other: Said = (self.distraction(self.rng.choice(names), after, avoid), {})
        return self.join(said, other) if after else self.join(other, said)

    # what bots say

    def ask(self, names: Sequence[str]) -> str:
        """The bot asks for one or two slots."""
        texts = [self.rng.choice(self.domain.slots[name].ask) for name in names]
        if len(texts) == 1:
            return texts[0]
        a, b = texts
        return self.say("also_ask", a=a, b=b, bl=lowered(b))

    def known(self, name: str) -> str:
        """What the bot would say the slot is; made up where nothing is known yet."""
        if self.value(name) is None and name not in self.facts:
            self.facts[name] = self.fresh(name, bot=True).text
        return self.value(name) or self.facts[name]

    def report(self, templates: Sequence[str], given: Sequence[str]) -> List[Piece]:
        """One of the bot's templates that mention no slot but those `given` and known ones."""
        fitting = [
            text
            for text in templates
            if all(name in given or self.value(name) is not None for name in places(text))
        ]
        if not fitting:
            return []
        text = self.rng.choice(fitting)
        return fill(text, lambda name, _: [self.shown(name, self.known(name))])

    def summary(self, names: Sequence[str]) -> List[Piece]:
        """Several slots and their values, restated."""
        style = self.rng.randrange(3)
        pieces: List[Piece] = []
        for name in names:
            label = [f"{self.called(name)} ", f"{self.called(name)}: ", ""][style]
            pieces += plain(", " if pieces else "") + plain(label)
            pieces.append(self.shown(name, self.known(name)))
        return pieces
