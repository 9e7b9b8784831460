"""What the bot does next: asks, looks options up, sums up, acts."""

from __future__ import annotations

import random
from typing import Dict, List, Optional, Sequence, Set, Tuple

from chat import Piece, fill, plain
from spec import Domain, Intent
from speech import Speech, Wordings, lowered

__all__ = ["Bot", "Row"]

Row = Dict[str, str]
#: A question to be told slots, which ones, and the bot's answer.
Asked = Tuple[str, List[str], List[Piece]]
#: Kinds of value that hold for one matter only.
_PASSING = frozenset(["time", "day", "date", "amount", "count", "duration"])


class Bot(Speech):
    """The bot's half of a dialogue. `step` is what it waits for: its kind and the slots."""

    def __init__(self, domain: Domain, words: Wordings, rng: random.Random):
        super().__init__(domain, words, rng)
        self.house = rng.choice([0.0, 0.5, 0.9])  # how often this bot acknowledges
        self.keys: Dict[Tuple[str, str], float] = {}  # what orders offered values
        self.begin(next(iter(domain.intents.values())))

    def begin(self, intent: Intent) -> None:
        """Forgets what was about the last intent."""
        self.intent, self.required = intent, intent.required
        self.before = {s: v[0] for s, v in self.chat.values.items()}
        # What was said of another matter's time or number is asked for anew, mostly.
        kinds = {s: self.domain.slots[s].kind for s in intent.required if s in self.before}
        self.stale = {s for s, kind in kinds.items() if kind in _PASSING and self.chance(0.8)}
        self.picked = intent.offer is None
        self.over = False
        self.confirmed = self.chance(0.5)  # such bots don't ask
        self.failing = self.chance(0.12)
        self.rows: List[Row] = []
        self.offers = 0
        self.later = self.earlier = False
        self.again = self.left = False
        self.requested: Set[str] = set()
        self.prefix: List[Piece] = []
        self.wishes = self.chance(0.3)
        self.extra = [s for s in intent.optional if self.chance(0.3)]
        self.step: Tuple[str, Sequence[str]] = ("", ())

    def missing(self, every: bool = False) -> List[str]:
        """Required slots without a value that the bot asks for; with offered ones if `every`."""
        offer = self.intent.offer
        offered = offer.slots if offer and not self.picked and not every else ()
        names = [*(offer.needs if offer else ()), *self.intent.required]
        values = self.chat.values
        old = {s for s in self.stale if s in values and values[s][0] == self.before.get(s)}
        found = [s for s in names if (s not in values or s in old) and s not in offered]
        return list(dict.fromkeys(found))

    def acknowledge(self) -> List[Piece]:
        """What the bot's turn begins with."""
        prefix, self.prefix = self.prefix, []
        return prefix or (plain(self.say("ack")) if self.chance(self.house) else [])

    def bot_turn(self) -> None:
        """The bot's next move, or its last one again after something beside the point."""
        if self.again:
            self.again = False
            self.chat.bot(self.acknowledge() + self.resume())
            return
        offer, asks = self.intent.offer, self.domain.slots
        missing = self.missing()
        needs = [s for s in missing if offer and s in offer.needs]
        if offer and not self.picked and not needs and (len(missing) < 2 or self.chance(0.7)):
            wished = offer.slots[0]
            if self.wishes and asks[wished].ask and wished not in self.chat.values:
                self.wishes = False
                return self.ask_for([wished])
            return self.make_offer()
        if missing:
            names = (needs or missing)[:1]
            rest = [s for s in missing if s not in names and not asks[s].yes_no]
            if rest and not asks[names[0]].yes_no and self.chance(0.15):
                names.append(rest[0])
            return self.ask_for([s for s in names if asks[s].ask])
        extra = [s for s in self.extra if s not in self.chat.values and asks[s].ask]
        if extra:
            self.extra.remove(extra[0])
            return self.ask_for(extra[:1])
        if not self.confirmed:
            return self.confirm()
        return self.finish()

    def ask_for(self, names: Sequence[str]) -> None:
        """The bot asks for slots."""
        self.step = ("ask", names)
        self.stale -= set(names)
        self.chat.bot(self.acknowledge() + plain(self.ask(names)))

    def resume(self) -> List[Piece]:
        """The pending question once more."""
        kind, names = self.step
        if kind == "ask":
            left = [s for s in names if s not in self.chat.values] or names
            self.step = ("ask", left)
            return plain(self.ask(left))
        if kind == "offer":
            kind = "two" if len(self.rows) > 1 else "one"
        return plain(self.say(f"resume_{kind}"))

    def make_offer(self) -> None:
        """The bot looks options up and names one or two of them."""
        offer = self.intent.offer
        assert offer is not None
        self.offers += 1
        prefix = self.acknowledge()
        # What the user asked for since the last look-up; an earlier intent's values don't count.
        values = {s: v for s in offer.slots for v in [self.value(s)] if v is not None}
        wish = {s: v for s, v in values.items() if v != self.before.get(s)}
        self.before.update(wish)
        met = bool(wish) and self.chance(0.65)
        shown = 1 if met and len(wish) == len(offer.slots) else self.rng.choice([1, 2, 2])
        rows = self.make_rows(shown, wish if met else {}, list(wish.values()))
        if wish and not met:
            slot = next(iter(wish))
            gap = self.shown(slot, wish[slot])
            prefix = fill(self.say("unavailable"), lambda *_: [gap])
        self.rows = rows[:shown]
        shown = len(self.rows)
        text = self.rng.choice(offer.two if shown == 2 else offer.one)
        self.step = ("offer", offer.slots)
        pieces = fill(text, lambda name, n: [self.offered(name, n)])
        self.chat.bot(prefix + pieces, self.parameters(), rows)

    def offered(self, name: str, number: int) -> Piece:
        """A value of one of the options, or another that the bot knows."""
        row = self.rows[number - 1]
        return self.shown(name, row[name] if name in row else self.known(name))

    def make_rows(self, shown: int, fixed: Row, avoid: Sequence[str]) -> List[Row]:
        """What the look-up returns: the options shown, sometimes one more."""
        offer = self.intent.offer
        assert offer is not None
        more = shown + self.chance(0.2) if set(offer.slots) - set(fixed) else 1
        rows: List[Row] = [dict(fixed) for _ in range(more)]
        for slot in (*offer.slots, *offer.results):
            if slot in fixed:
                continue
            used = [*avoid]
            seen = [row[slot] for row in self.rows if slot in row]
            for row in rows:
                row[slot] = self.option(slot, seen, used)
                used.append(row[slot])
        # A list of values may be too short for as many options.
        return list({tuple(row[s] for s in offer.slots): row for row in rows}.values())

    def option(self, name: str, shown: Sequence[str], used: Sequence[str]) -> str:
        """A value to offer: none `used`, none `shown` before; later or earlier if so wished."""
        listed = list(self.domain.slots[name].listed)
        seen = [*shown, *used]
        if listed:
            fresh = [v for v in listed if v not in (*seen, self.value(name))]
            return self.rng.choice(fresh or [v for v in listed if v not in used] or listed)
        keys = [self.keys[name, text] for text in seen if (name, text) in self.keys]
        for attempt in range(40):
            value = self.fresh(name, True, seen)
            if value.key is not None and keys and attempt < 39:
                if self.later and value.key <= max(keys):
                    continue
                if self.earlier and value.key >= min(keys):
                    continue
                if value.key in keys:
                    continue
            break
        if value.key is not None:
            self.keys[name, value.text] = value.key
        return value.text

    def wonder(self, seldom: bool = True) -> Optional[Asked]:
        """A question to be told one or two slots, and the bot's answer; None if there is none.

        Something that the intent has nothing to do with is asked for but `seldom`, or not at all.
        """
        intent = self.intent
        given = [*intent.results, *(intent.offer.results if intent.offer else ())]
        row = self.rows[0] if len(self.rows) == 1 else {}
        found = []
        for name, request in self.domain.requests.items():
            unset = name in self.chat.tracked and self.value(name) is None
            if unset or name in self.requested:
                continue
            self.facts.update({s: v for s, v in row.items() if s == name})
            known = name in given or name in self.facts or self.value(name) is not None
            told = self.report(request.tell, [*given, name])
            if told and (known or (seldom and self.chance(0.15))):
                found.append((name, request.ask, told))
        if not found:
            return None
        chosen = self.rng.sample(found, 2 if len(found) > 1 and self.chance(0.12) else 1)
        asks = [self.rng.choice(ask).rstrip(".?! ") for _, ask, _ in chosen]
        text = " and ".join([asks[0], *(lowered(ask) for ask in asks[1:])])
        self.requested.update(name for name, _, _ in chosen)
        answers = [piece for _, _, told in chosen for piece in (*told, Piece(" "))]
        return text, [name for name, _, _ in chosen], answers

    def parameters(self) -> Row:
        """What an API call is made with."""
        return {s: v for s in self.intent.slots for v in [self.value(s)] if v is not None}

    def confirm(self) -> None:
        """The bot sums up."""
        names = [
            s
            for s in self.intent.slots
            if self.value(s) is not None and not self.domain.slots[s].yes_no
        ]
        self.confirmed = True
        if not names:
            return self.finish()
        if len(names) > 4:
            names = sorted(self.rng.sample(names, 4), key=names.index)
        self.step = ("confirm", names)
        before, after = self.say("confirm_bot").split("{summary}")
        self.chat.bot([*self.prefix, *plain(before), *self.summary(names), *plain(after)])
        self.prefix = []

    def finish(self) -> None:
        """The bot does it, or fails to."""
        intent = self.intent
        given = [*intent.results, *(intent.offer.results if intent.offer else ())]
        prefix, self.prefix = self.prefix, []
        failed = self.report(intent.failed, intent.required) if self.failing else []
        if failed:
            self.failing = False
            named = [p.slot for p in failed if p.slot and not self.domain.slots[p.slot].yes_no]
            free = [s for s in intent.required if self.value(s) and not self.domain.slots[s].yes_no]
            names = [str(s) for s in named if s in self.chat.values] or free
            slot = self.rng.choice(names) if names else ""
            asks = self.say("failed_ask", words=self.called(slot)) if slot else ""
            self.step = ("failed", [slot] if slot else [])
            return self.chat.bot(prefix + failed + plain(asks), self.parameters())
        # A required slot may be "any": then the bot says what it came to be.
        pieces = self.report(intent.done, [*given, *intent.required])
        result = {s: self.known(s) for s in given}
        result.update({s: v for s, v in self.parameters().items() if self.chance(0.5)})
        more = self.say("anything_else")
        has_question = any("?" in piece.text for piece in pieces)
        tail = plain(f" {more}") if more and not has_question else []
        self.over = True
        self.chat.bot([*prefix, *pieces, *tail], self.parameters(), [result] if result else [])
