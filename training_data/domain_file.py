"""Reads a domain file and checks it. Errors are one line, and name the place and the mend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterable, Tuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rasa_onramp.errors import FormatError
from spec import PLACE, Domain, Intent, Offer, Request, Slot, places
from values import KINDS

__all__ = ["read_domain"]

_LEAST_EXAMPLES = 25


def read_domain(path: Path) -> Domain:
    """The domain that a file describes. Raises FormatError."""
    try:
        raw = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        said = " ".join(str(error).split())
        raise FormatError(f"no YAML: {said}", path=path, mend="mend its syntax") from error
    return _Reader(path).domain(raw)


class _Reader:
    def __init__(self, path: Path):
        self.path = path
        self.slots: Dict[str, Slot] = {}

    def bad(self, where: str, message: str, mend: str) -> FormatError:
        return FormatError(f"{where}: {message}", path=self.path, mend=mend)

    def mapping(self, raw: Any, where: str, needed: str, also: str = "") -> Dict[str, Any]:
        """`raw` as a mapping with the keys `needed`, and no others than those `also` named."""
        if not isinstance(raw, dict):
            raise self.bad(where, "not a mapping", "write `key: value` lines under it")
        for key in needed.split():
            if key not in raw:
                raise self.bad(where, f"{key!r} is missing", "add it")
        for key in raw:
            if str(key) not in f"{needed} {also}".split():
                mend = f"use one of {', '.join(f'{needed} {also}'.split())}"
                raise self.bad(where, f"unknown key {key!r}", mend)
        return raw

    def texts(self, raw: Any, where: str, least: int = 0) -> Tuple[str, ...]:
        raw = [raw] if isinstance(raw, str) else raw
        if raw is None:
            raw = []
        if not isinstance(raw, list):
            raise self.bad(where, "not a list of texts", "write [a, b]")
        for item in raw:
            if not isinstance(item, str) or not item.strip():
                raise self.bad(where, f"{item!r} is no text", "put it in quotes or remove it")
        if len(raw) < least:
            raise self.bad(where, f"{len(raw)} texts", f"write {least} at least")
        return tuple(raw)

    def known(self, names: Iterable[str], where: str) -> None:
        for name in names:
            if name not in self.slots:
                raise self.bad(where, f"unknown slot {name!r}", "add it under slots or rename it")

    def templates(self, raw: Any, where: str, least: int = 1) -> Tuple[str, ...]:
        """Texts that mention slots by name."""
        found = self.texts(raw, where, least)
        for text in found:
            if re.search(r"[{}]", PLACE.sub("", text)):
                raise self.bad(where, f"stray brace in {text!r}", "write {slot}")
            self.apart(text, where)
            self.known(places(text), where)
            for name in places(text):
                if self.slots[name].yes_no:
                    mend = "say it in words, as its value is never said"
                    raise self.bad(where, f"yes/no slot {name!r} in {text!r}", mend)
        return found

    def apart(self, text: str, where: str) -> None:
        """A value has to be a word of its own, so that it can be marked."""
        if re.search(r"\w\{|\}\w", text):
            raise self.bad(where, f"a gap touches a letter in {text!r}", "put a space between")

    def domain(self, raw: Any) -> Domain:
        top = self.mapping(raw, "file", "domain slots intents", "requests small_talk")
        head = self.mapping(top["domain"], "domain", "name description", "names")
        name = head["name"]
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise self.bad("domain", f"bad name {name!r}", "use lower-case letters and _")
        for key in ("slots", "intents"):
            if not isinstance(top[key], dict) or not top[key]:
                raise self.bad(key, "nothing there", f"describe the {key}")
        for slot, body in top["slots"].items():
            self.slots[slot] = self.slot(str(slot), body)
        intents = {str(k): self.intent(str(k), v) for k, v in top["intents"].items()}
        return Domain(
            name,
            self.texts(head["description"], "domain description", 1),
            self.texts(head.get("names"), "domain names"),
            dict(self.slots),
            intents,
            self.requests(top.get("requests") or {}),
            self.small_talk(top.get("small_talk") or []),
        )

    def slot(self, name: str, raw: Any) -> Slot:
        where = f"slot {name!r}"
        body = self.mapping(raw, where, "description", "names value values ask tell")
        if ("value" in body) == ("values" in body):
            raise self.bad(where, "needs `value` or `values`", "give one of the two")
        kind, patterns, examples, listed = "", (), (), {}  # type: Any, Any, Any, Any
        if "values" in body:
            if not isinstance(body["values"], dict) or len(body["values"]) < 2:
                mend = "map two values or more to wordings"
                raise self.bad(where, "`values` lists too few", mend)
            for value, wordings in body["values"].items():
                if not isinstance(value, str) or not value.strip():
                    raise self.bad(where, f"value {value!r} is no text", "put it in quotes")
                listed[value] = self.texts(wordings, f"{where}, value {value!r}")
        elif isinstance(body["value"], str):
            kind = body["value"]
            if kind not in KINDS:
                mend = f"use one of {', '.join(sorted(KINDS))}"
                raise self.bad(where, f"unknown kind {kind!r}", mend)
        elif isinstance(body["value"], dict):
            code = self.mapping(body["value"], f"{where}, value", "code")
            kind, patterns = "code", self.texts(code["code"], f"{where}, code", 1)
        else:
            examples = self.texts(body["value"], f"{where}, value", _LEAST_EXAMPLES)
        tell = self.texts(body.get("tell"), f"{where}, tell")
        for text in tell:
            if not places(text) or set(places(text)) != {""}:
                raise self.bad(f"{where}, tell", f"{text!r} needs a {{}}", "put {} for the value")
            self.apart(text, f"{where}, tell")
        ask = self.texts(body.get("ask"), f"{where}, ask")
        for text in ask:
            if re.search(r"[{}]", text):
                mend = "ask without mentioning values"
                raise self.bad(f"{where}, ask", f"a gap in {text!r}", mend)
        names = self.texts(body.get("names"), f"{where}, names")
        descriptions = self.texts(body["description"], f"{where}, description", 1)
        slot = Slot(name, descriptions, names, kind, patterns, examples, listed, ask, tell)
        if slot.yes_no:
            if tell:
                raise self.bad(f"{where}, tell", "yes/no values are never said", "write tell: []")
            for value, wordings in listed.items():
                if not wordings:
                    raise self.bad(where, f"no wordings for {value!r}", "list how people say it")
        return slot

    def intent(self, name: str, raw: Any) -> Intent:
        where = f"intent {name!r}"
        keys = "names optional offer action failed"
        body = self.mapping(raw, where, "description required open done", keys)
        required = self.texts(body["required"], f"{where}, required")
        self.known(required, f"{where}, required")
        optional = body.get("optional") or {}
        if not isinstance(optional, dict):
            raise self.bad(f"{where}, optional", "not a mapping", "write {slot: default}")
        self.known(optional, f"{where}, optional")
        for slot, value in optional.items():
            listed = self.slots[slot].listed
            if not isinstance(value, str) or (listed and value not in (*listed, "dontcare")):
                mend = "use dontcare or one of its values, in quotes"
                raise self.bad(f"{where}, optional {slot!r}", f"bad default {value!r}", mend)
        results: Tuple[str, ...] = ()
        if "action" in body:
            results = self.action(body["action"], f"{where}, action")
        offer = self.offer(body["offer"], f"{where}, offer") if "offer" in body else None
        for slot in offer.slots if offer else ():
            if slot not in required and slot not in optional:
                mend = "add it to required or optional"
                raise self.bad(f"{where}, offer", f"{slot!r} is not the intent's", mend)
        offered = offer.slots if offer else ()
        for slot in required:
            if slot not in offered and not self.slots[slot].ask:
                raise self.bad(where, f"required slot {slot!r} has no ask", "write one")
        opens = self.templates(body["open"], f"{where}, open")
        for text in opens:
            for slot in places(text):
                if slot not in required and slot not in optional:
                    mend = "add it to required or optional, or take it out"
                    raise self.bad(f"{where}, open", f"{slot!r} is not the intent's", mend)
        done = self.templates(body["done"], f"{where}, done")
        failed = self.templates(body.get("failed"), f"{where}, failed", 0)
        known = {*required, *results, *offered, *(offer.results if offer else ())}
        for key, templates in (("done", done), ("failed", failed)):
            for text in templates:
                for slot in places(text):
                    if slot not in known and slot not in optional:
                        mend = "add it to the action's results"
                        raise self.bad(f"{where}, {key}", f"nothing gives {slot!r}", mend)
        if not any(set(places(text)) <= known for text in done):
            raise self.bad(f"{where}, done", "all need optional slots", "add one that needs none")
        return Intent(
            name,
            self.texts(body["description"], f"{where}, description", 1),
            self.texts(body.get("names"), f"{where}, names"),
            required,
            dict(optional),
            opens,
            results,
            done,
            failed,
            offer,
        )

    def action(self, raw: Any, where: str) -> Tuple[str, ...]:
        body = self.mapping(raw, where, "name", "description results")
        results = self.texts(body.get("results"), f"{where}, results")
        self.known(results, f"{where}, results")
        return results

    def offer(self, raw: Any, where: str) -> Offer:
        body = self.mapping(raw, where, "slots one two", "needs action")
        needs = self.texts(body.get("needs"), f"{where}, needs")
        slots = self.texts(body["slots"], f"{where}, slots", 1)
        self.known((*needs, *slots), where)
        if len(slots) > 2 or set(slots) & set(needs):
            raise self.bad(where, "bad slots", "offer one or two slots that it doesn't need")
        results = self.action(body["action"], f"{where}, action") if "action" in body else ()
        one = self.templates(body["one"], f"{where}, one")
        two = self.templates(body["two"], f"{where}, two")
        for text in (*one, *two):
            if not set(slots) & set(places(text)):
                raise self.bad(where, f"{text!r} names no offered slot", "mention one")
        for text in two:
            if not re.search(rf"\{{{slots[0]}:2\}}|\{{{slots[-1]}:2\}}", text):
                raise self.bad(f"{where}, two", f"{text!r} has no second option", "write {slot:2}")
        return Offer(needs, slots, tuple(r for r in results if r not in slots), one, two)

    def requests(self, raw: Any) -> Dict[str, Request]:
        if not isinstance(raw, dict):
            raise self.bad("requests", "not a mapping", "write {slot: {ask: …, tell: …}}")
        self.known(raw, "requests")
        found = {}
        for slot, item in raw.items():
            where = f"requests, {slot!r}"
            body = self.mapping(item, where, "ask tell")
            ask = self.texts(body["ask"], f"{where}, ask", 1)
            for text in ask:
                if places(text):
                    raise self.bad(where, f"a gap in {text!r}", "ask without mentioning values")
            found[slot] = Request(ask, self.templates(body["tell"], f"{where}, tell"))
        return found

    def small_talk(self, raw: Any) -> Tuple[Tuple[str, str], ...]:
        if not isinstance(raw, list):
            raise self.bad("small_talk", "not a list", "write - {user: …, bot: …} lines")
        pairs = [self.mapping(item, "small_talk", "user bot") for item in raw]
        for item in pairs:
            self.texts([item["user"], item["bot"]], "small_talk")
        return tuple((item["user"], item["bot"]) for item in pairs)
