"""A customer and a bot talking: what the customer says next, and what it does to the state."""

from __future__ import annotations

import random
import re
from typing import Any, Dict, List, Sequence

from agent import Bot, Row
from chat import Piece, fill, plain
from rasa_onramp.errors import ConfigError
from spec import Domain, places
from speech import Said, Wordings, lowered
from values import PICKY

__all__ = ["simulate"]

#: How people tell two options apart: the one that is less, the one that is more.
_ORDERS = {
    "time": ("earlier", "later"),
    "date": ("earlier", "later"),
    "amount": ("cheaper", "dearer"),
    "duration": ("shorter", "longer"),
    "count": ("fewer", "more"),
}
_GREETING = re.compile(r"(hi|hiya|hello|hey|good (morning|day|evening|afternoon)|morning)\b", re.I)
_BEGUN = re.compile(r"(and|ok|okay|oh|so|also|then|thanks|great|hm+|wait|btw)\b", re.I)


def simulate(domain: Domain, words: Wordings, rng: random.Random) -> List[Dict[str, Any]]:
    """The turns of one dialogue of 4 to 16 user turns, in SGD's format. Raises ConfigError."""
    for _ in range(500):
        talk = _Talk(domain, words, rng)
        talk.run()
        if 4 <= talk.chat.user_turns <= 16:
            return talk.chat.turns
    raise ConfigError(f"dialogues of {domain.name} come out too short or long; give it more slots")


class _Talk(Bot):
    def run(self) -> None:
        """Fills the chat."""
        count = self.rng.choices([1, 2, 3], [60, 30, 10])[0]
        intents = list(self.domain.intents.values())
        chosen = self.rng.sample(intents, min(count, len(intents)))
        if self.chance(0.12):
            self.chat.user(plain(self.say("greet_user")))
            self.chat.bot(plain(self.say("greet_bot")))
        for number, intent in enumerate(chosen):
            self.begin(intent)
            self.chat.intent = intent.name
            self.open(number == 0)
            while not self.over:
                self.bot_turn()
                if not self.over:
                    self.user_turn()
            for share in (0.45, 0.2):
                if self.left or not self.chance(share) or not self.request():
                    break
                more = self.say("anything_else")
                self.chat.bot([*self.prefix, *plain(more)] if more else self.prefix)
                self.prefix = []
        if self.chance(0.85):
            self.chat.user(plain(self.say("farewell_user")))
            self.chat.bot(plain(self.say("farewell_bot")))

    # opening

    def open(self, first: bool) -> None:
        """The user says what he wants, and perhaps some values."""
        late = [text for text in self.intent.open if not _GREETING.match(text)]
        text = self.rng.choice(late if late and self.chat.turns else self.intent.open)
        said: Said = (fill(text, lambda name, _: self.mention(name)), {})
        share = 0.6 if not first else 0 if self.chat.turns else 0.25
        if not _GREETING.match(text) and self.chance(share):
            key = "open_prefix" if first else "next_prefix"
            said = (plain(self.say(key)) + said[0], said[1])
        spare = [s for s in self.missing(True) if s not in places(text) and self.volunteers(s)]
        if spare and self.chance(0.22):
            said = self.join(said, self.tell(self.rng.choice(spare), alone=False))
        elif self.chance(0.1) and said[0][-1].text[-1:] not in ".?!":
            said = (said[0] + plain(self.say("open_suffix")), said[1])
        elif self.chance(0.06):
            said = self.join(said, self.aside())
        said = self.distracted(said, self.intent.required, 0.05)
        # An answer can wait until the bot has looked it up.
        self.user_says(said, 0.05, answer=False)

    def mention(self, name: str) -> List[Piece]:
        """A value in an opening: the one that is known already, or a new one."""
        old = self.value(name)
        steady = self.domain.slots[name].kind in PICKY  # who somebody is doesn't change
        if old is not None and self.chance(0.85 if steady else 0.4):
            self.before.pop(name, None)  # said anew, so not a leftover
            return [self.mark(name, old)]
        return self.put(name, self.fresh(name).text, False)

    # answers

    def user_turn(self) -> None:
        """The user answers, or something comes between."""
        kind, names = self.step
        if kind == "failed":
            return self.after_failure(names)
        dice = self.rng.random()
        if dice < 0.06:
            own = [*self.domain.small_talk] * 2
            own += [(self.say("small_talk_user"), self.say("small_talk_bot")) for _ in range(3)]
            user, bot = self.rng.choice(own)
            self.chat.user(plain(user), outside=True)
            self.prefix, self.again = plain(f"{bot} "), True
            return None
        if dice < 0.085:
            self.chat.user(plain(self.say("filler_user")))
            self.chat.bot(plain(self.say("filler_bot")))
        elif dice < 0.1 and kind == "ask":
            self.chat.user(plain(self.say("why_user")))
            self.prefix, self.again = plain(self.say("why_bot") + " "), True
            return None
        elif dice < (0.18 if kind == "offer" else 0.12) and kind != "ask" and self.request():
            self.again = True
            return None
        if kind == "ask":
            return self.answer(names)
        if kind == "offer":
            return self.choose()
        return self.agree(names)

    def answer(self, names: Sequence[str]) -> None:
        """The user answers a question for slots."""
        unsaid = [s for s in self.intent.optional if s not in self.chat.values]
        others = [s for s in dict.fromkeys([*self.missing(True), *unsaid]) if s not in names]
        others = [s for s in others if self.volunteers(s)]
        told = [s for s in self.intent.slots if self.value(s) is not None and s not in names]
        if others and self.chance(0.04):
            self.again = True
            return self.chat.user(*self.dress(self.tell(self.rng.choice(others), alone=False)))
        fix = self.correct(self.rng.choice(told), "correct_later") if told else None
        if fix and self.chance(0.06):
            self.again, self.prefix = True, plain(self.say("noted"))
            return self.chat.user(*fix)
        kinds = [self.domain.slots[s].kind or s for s in names]
        parts: List[Said] = []
        for name in names:
            alone = name == names[0] or len(set(kinds)) == len(kinds)
            if self.chance(self.careless(name)):
                parts.append(self.dontcare(name, len(names) == 1))
            else:
                parts.append(self.tell(name, alone and (len(names) == 1 or self.chance(0.6))))
        if others and self.chance(0.18):
            name = self.rng.choice(others)
            any_will_do = self.chance(self.careless(name))
            parts.append(self.dontcare(name, False) if any_will_do else self.tell(name, False))
        elif fix and self.chance(0.03):
            parts.append(fix)
        elif self.chance(0.04):
            parts.insert(self.rng.choice([0, len(parts)]), self.aside())
        elif len(parts) == 1 and self.chance(0.4):
            parts = [self.dress(parts[0])]
        self.chat.user(*self.distracted(self.join(*parts), names, 0.06))
        return None

    def choose(self) -> None:
        """The user takes one of the options, or none."""
        dice = self.rng.random()
        if dice < 0.02:
            return self.leave()
        if dice < 0.22 and self.offers < 3:
            return self.refuse()
        if len(self.rows) == 1:
            row, slot = self.rows[0], self.step[1][0]
            if self.chance(0.08):
                mark = self.mark(slot, row[slot])
                return self.take(row, fill(self.say("pick_value"), lambda *_: [mark]))
            return self.take(row, plain(self.say("accept_offer")))
        number = self.rng.randrange(2)
        return self.take(self.rows[number], self.pick(number))

    def pick(self, number: int) -> List[Piece]:
        """Words for one of two options."""
        row, other = self.rows[number], self.rows[1 - number]
        names = [s for s in self.step[1] if row[s] != other[s]]
        slot = names[0]
        keys = [self.keys.get((slot, r[slot])) for r in (row, other)]
        order = _ORDERS.get(self.domain.slots[slot].kind)
        way = self.rng.choices(["place", "order", "value", "with", "not"], [35, 20, 35, 12, 7])[0]
        if way == "order" and order and keys[0] is not None and keys[1] is not None:
            return plain(self.say(f"pick_{order[keys[0] > keys[1]]}"))
        if way == "value" or (way == "with" and len(names) > 1):
            named = names[-1] if way == "with" else slot
            key = "pick_with" if way == "with" else "pick_value"
            return fill(self.say(key), lambda *_: [self.mark(named, row[named])])
        if way == "not":
            gap = Piece(other[slot], None, True)
            return fill(self.say("pick_not"), lambda *_: [gap])
        return plain(self.say(("pick_first", "pick_second")[number]))

    def take(self, row: Row, pieces: List[Piece]) -> None:
        """The user accepts an option, with all that it consists of."""
        named = {piece.slot for piece in pieces}
        sets: Dict[str, Sequence[str]] = {s: [row[s]] for s in self.step[1] if s not in named}
        said: Said = (pieces, sets)
        others = [s for s in self.missing() if self.volunteers(s)]
        if others and self.chance(0.2):
            said = self.join(said, self.tell(self.rng.choice(others), alone=False))
        elif self.chance(0.06):
            said = self.join(said, self.aside())
        self.picked = True
        self.facts.update({s: v for s, v in row.items() if s not in self.step[1]})
        self.user_says(self.distracted(said, self.step[1], 0.04), 0.05)

    def refuse(self) -> None:
        """The user asks for other options, or for a value of his own."""
        slot = self.domain.slots[self.step[1][0]]
        self.later = self.earlier = False
        if self.chance(0.45) and not slot.yes_no:
            new = self.fresh(slot.name, avoid=[row[slot.name] for row in self.rows]).text
            mark = self.mark(slot.name, new)
            return self.chat.user(fill(self.say("own_value"), lambda *_: [mark]))
        if slot.kind in ("time", "date") and self.chance(0.6):
            self.later = self.chance(0.5)
            self.earlier = not self.later
            key = "ask_later" if self.later else "ask_earlier"
        else:
            cheaper = slot.kind == "amount" and self.chance(0.4)
            key, self.earlier = ("ask_cheaper", True) if cheaper else ("ask_other", False)
        self.prefix = plain(self.say("nothing"))
        return self.chat.user(plain(self.say(key)))

    def agree(self, names: Sequence[str]) -> None:
        """The user confirms a summary, or puts something right."""
        offer = self.intent.offer
        if len(self.rows) == 2 and offer and self.chance(0.07):
            old = [self.value(s) for s in offer.slots]
            left = [row for row in self.rows if [row[s] for s in offer.slots] != old]
            if len(left) == 1:
                self.confirmed = self.chance(0.4)
                sets = {s: [left[0][s]] for s in offer.slots}
                return self.chat.user(plain(self.say("change_pick")), sets)
        if self.chance(0.015):
            return self.leave()
        free = [s for s in names if not offer or s not in offer.needs]
        fix = self.correct(self.rng.choice(free), "correct_confirm") if free else None
        if fix and self.chance(0.22):
            self.confirmed = self.chance(0.4)
            self.prefix = plain(self.say("noted"))
            return self.chat.user(*fix)
        said: Said = (plain(self.say("accept_confirm")), {})
        if self.chance(0.06):
            said = self.join(said, self.aside())
        return self.user_says(self.distracted(said, names, 0.03), 0.05)

    def after_failure(self, names: Sequence[str]) -> None:
        """The user tries another value, or gives up."""
        if not names or self.value(names[0]) is None or self.chance(0.2):
            return self.leave()
        name = names[0]
        new = self.fresh(name).text
        if self.chance(0.3):
            return self.chat.user(*self.tell(name, alone=False, new=new))
        return self.chat.user(fill(self.say("retry"), lambda *_: [self.mark(name, new)]))

    def leave(self) -> None:
        """The user gives up what he wanted."""
        self.chat.user(plain(self.say("give_up")))
        self.chat.bot(plain(self.say("give_up_bot")))
        self.over = self.left = True

    def request(self) -> bool:
        """The user asks to be told something; whether there was anything to ask for."""
        asked = self.wonder()
        if asked is None:
            return False
        text, requested, self.prefix = asked
        prefix = "" if _BEGUN.match(text) else self.say("request_prefix")
        text = prefix + lowered(text) if prefix else text
        end = self.say("request_suffix") or self.rng.choice(["?", "?", ""])
        self.chat.user(plain(text + end), requested=requested)
        return True

    def user_says(self, said: Said, share: float, answer: bool = True) -> None:
        """The user says that and, in a `share` of the cases, asks to be told something too."""
        asked = self.wonder(seldom=False) if self.chance(share) else None
        if asked is None:
            return self.chat.user(*said)
        text, requested, told = asked
        if answer:
            self.prefix = told
        pieces, sets = self.join(said, (plain(lowered(text) + self.rng.choice(["?", "?", ""])), {}))
        return self.chat.user(pieces, sets, requested)
