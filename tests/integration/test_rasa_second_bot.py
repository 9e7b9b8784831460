"""A bot with intents, rules, stories and a form of its own, without us and with us in it.

What it does on its own messages is compared event by event; its API calls go through a real action
server. The tracker is a small one that knows its two domains well.
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from postgres import PostgresServer
from rasa_onramp.dialogue import Corpus
from rasa_onramp.store import Store, open_store
from rasa_programs import RasaServer
from servers import wait_for
from small_bot import BIKES, corpus_of, dialogues

TABLE, BIKE = "can i book a table on friday", "my bike needs a repair, is tuesday possible"

#: Conversations about what the bot itself is for.
BACK = "is reachable again"
OWN = (
    ("hello", "when are you open", "thanks", "bye"),
    ("i want a pizza", "large", "with mushrooms", "high street 5", "thank you"),
    ("a small pizza with olives", "until when do you deliver", "elm road 12", "see you later"),
    ("order a pizza for me", "medium please", "i changed my mind", "hello"),
    ("a large pizza please", "i want to book a table on friday", "salami", "friday street 3"),
    ("the pizza was cold", "yes please", "thanks"),
    ("my pizza was burnt", "no thanks", "goodbye"),
    ("yes", "no", "friday", "hana", "5", "qwertz uiop"),
    ("/greet", "/order_pizza", '/inform{"size": "small"}', "/restart", "hi"),
)


@pytest.fixture
def server(servers: Any) -> RasaServer:
    return servers.pizzeria


@pytest.fixture
def store(bots: Any) -> Iterator[Store]:
    with open_store(bots.pizzeria.environment["RASA_ONRAMP_DATABASE_URL"]) as store:
        yield store


def calls(bots: Any) -> List[Tuple[str, Dict[str, str]]]:
    """What the pizzeria's action server was asked for, since it was asked last."""
    log = bots.pizzeria.folder / "calls.log"
    found = [tuple(json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]
    log.unlink()
    return found


def behaviour(server: RasaServer, sender: str) -> List[Any]:
    """All that happened in a conversation, but for what differs from one run to the next."""
    found: List[Any] = []
    for event in server.tracker(sender)["events"]:
        kind = event["event"]
        if kind == "user":
            data = event["parse_data"]
            entities = [
                (e["entity"], e["value"], e["start"]) for e in data["entities"] if "start" in e
            ]
            found.append((kind, event["text"], data["intent"]["name"], entities))
        elif kind == "action":
            found.append((kind, event["name"], event["policy"]))
        else:
            kept = ("name", "value", "text", "data", "is_validated")
            found.append((kind, *(event.get(name) for name in kept)))
    return found


def confidences(server: RasaServer, sender: str) -> List[float]:
    """How sure the bot is of each message's intent; two trainings of it agree on that roughly."""
    said = (event for event in server.tracker(sender)["events"] if event["event"] == "user")
    return [event["parse_data"]["intent"]["confidence"] for event in said]


@pytest.mark.parametrize("number", range(len(OWN)))
def test_on_its_own_messages_it_does_what_it_did_before(
    servers: Any, server: RasaServer, number: int
) -> None:
    sender = f"guest{number}"
    for text in OWN[number]:
        assert server.say(sender, text) == servers.plain.say(sender, text)
    assert behaviour(server, sender) == behaviour(servers.plain, sender)
    own = pytest.approx(confidences(servers.plain, sender), abs=0.02)
    assert confidences(server, sender) == own


@pytest.mark.parametrize("number", [1, 5], ids=["rules and a form", "a story"])
def test_it_does_so_after_a_domains_conversation_too(
    servers: Any, server: RasaServer, number: int
) -> None:
    sender, plain = f"both{number}", f"pizza-only{number}"
    for text in (TABLE, "it is hana", "thanks, that is all"):
        server.say(sender, text)
    assert "utter_onramp" in server.actions(sender)
    start = len(behaviour(server, sender))
    for text in OWN[number]:
        assert server.say(sender, text) == servers.plain.say(plain, text)
    own = behaviour(servers.plain, plain)
    first = next(i for i, event in enumerate(own) if event[0] == "user")
    assert behaviour(server, sender)[start:] == own[first:]
    alike = pytest.approx(confidences(servers.plain, plain), abs=0.02)
    assert confidences(server, sender)[-len(OWN[number]) :] == alike


def test_a_story_goes_on_after_a_domains_conversation_in_its_middle(server: RasaServer) -> None:
    """Its question has buttons, say, which are pressed later."""
    assert server.say("cold", OWN[5][0]) == ["I'm sorry. Shall the boss call you?"]
    server.say("cold", TABLE)
    assert server.understood("cold")["domain"] == "table_booking"
    assert server.say("cold", "/affirm") == ["The boss will call you."]


def test_an_action_that_the_domain_declares_is_called(bots: Any, server: RasaServer) -> None:
    assert server.say("diner", TABLE) == ["Under which name?"]
    assert server.actions("diner") == ["utter_onramp"]
    assert server.say("diner", "it is hana") == [
        "Your table is booked for friday under hana, the code is t77."
    ]
    assert server.actions("diner") == ["action_reserve_table", "utter_onramp"]
    asked = {"visit_day": "friday", "guest_name": "hana"}
    assert calls(bots)[-1] == ("reserve_table", asked)
    slots = server.tracker("diner")["slots"]
    assert (slots["guest_name"], slots["table_code"]) == ("hana", "t77")
    assert server.say("diner", "thanks, that is all") == ["You're welcome!"]


def test_a_form_keeps_its_messages(servers: Any, server: RasaServer) -> None:
    for text in ("i want a pizza", TABLE):
        assert server.say("eater", text) == servers.plain.say("eater", text)
    assert server.understood("eater")["reason"] == "form"


def test_an_action_of_a_domain_onboarded_later_is_dispatched(
    bots: Any, servers: Any, server: RasaServer, store: Store, api: Any
) -> None:
    before = servers.plain.say("early", BIKE)
    assert server.say("early", BIKE) == before
    store.dialogues.import_corpus(corpus_of(BIKES))
    assert server.say("cyclist", BIKE) == ["Under which name?"]
    assert server.say("cyclist", "it is dora") == [
        "We repair your bike on tuesday, dora. Your ticket is t88."
    ]
    assert server.actions("cyclist") == ["action_onramp_call", "utter_onramp"]
    assert calls(bots)[-1] == ("open_repair", {"repair_day": "tuesday", "owner_name": "dora"})

    # a handler that raises is an apology, and a traceback in the action server's log
    server.say("unlucky", BIKE)
    assert server.say("unlucky", "it is emil") == ["Sorry, I can't help with that right now."]
    wait_for(lambda: "the workshop is on fire" in servers.actions.log())
    assert server.say("unlucky", "when are you open") == ["We bake from noon to midnight."]

    # no handler: the schema's endpoint is called
    store.dialogues.delete_domain("bike_repair")
    (action,) = BIKES.actions
    schema = dataclasses.replace(
        BIKES, name="bike_workshop", actions=(dataclasses.replace(action, url=api.url),)
    )
    found = tuple(dataclasses.replace(d, domain=schema.name) for d in dialogues(BIKES, 5))
    store.dialogues.import_corpus(Corpus({schema.name: schema}, found))
    api.rows = [{"ticket_code": "t99"}]
    server.say("racer", BIKE)
    assert server.say("racer", "it is chen") == [
        "We repair your bike on tuesday, chen. Your ticket is t99."
    ]
    assert [call["parameters"] for call in api.asked] == [
        {"repair_day": "tuesday", "owner_name": "chen"}
    ]
    store.dialogues.delete_domain(schema.name)
    assert server.say("late", BIKE) == before


def test_without_its_database_it_is_what_it_was(
    servers: Any, server: RasaServer, postgres_server: PostgresServer
) -> None:
    server.say("loser", TABLE)
    logged = len(server.log())
    postgres_server.stop()
    try:
        began = time.monotonic()
        for text in (*OWN[2], TABLE):
            assert server.say("loser2", text) == servers.plain.say("loser2", text)
        assert server.understood("loser2")["reason"] == "unavailable"
        assert time.monotonic() - began < 20
        wait_for(lambda: "abstaining from a message" in server.log()[logged:])
    finally:
        postgres_server.start()
    wait_for(lambda: BACK in server.log()[logged:])
    assert server.say("loser", "it is hana")[0].startswith("Your table is booked for friday")


def test_no_log_shows_a_password_or_a_traceback_of_ours(servers: Any) -> None:
    for server in (servers.own, servers.plain, servers.pizzeria):
        log = server.log()
        assert "s3cret" not in log
        assert "Traceback" not in log


def test_without_its_action_server_it_says_that_it_cannot(servers: Any, server: RasaServer) -> None:
    servers.actions.stop()  # for good: keep this test the last
    server.say("stranded", TABLE)
    assert server.say("stranded", "it is hana") == ["Sorry, I can't help with that right now."]
    assert server.actions("stranded") == ["action_reserve_table", "utter_onramp"]
    assert server.understood("stranded")["state"]["values"] == {
        "visit_day": ["friday"],
        "guest_name": ["hana"],
    }
    assert server.say("stranded", "when are you open") == ["We bake from noon to midnight."]
