"""A real bot under load while its database is stopped, killed, frozen and started again."""

from __future__ import annotations

import itertools
import re
import sys
import threading
import time
from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple

import pytest

from postgres import PostgresServer
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.store import open_store
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_programs import RasaServer
from servers import wait_for
from small_bot import TABLES

#: What users say, and what is right to answer where the database is there.
TALK = {
    "can i book a table on friday": "Under which name?",
    "it is hana": "Your table is booked for friday under hana, the code is t77.",
    "thanks, that is all": "You're welcome!",
    "when are you open": "We bake from noon to midnight.",
}
OPENING, NAME = list(TALK)[:2]

#: Threads that talk at once.
USERS = 4

#: Seconds within which a bot is itself again after the database is: it looks every two.
BACK = 4.0


class Said(NamedTuple):
    """A message: its conversation, when it was sent and answered, and the answers."""

    sender: str
    text: str
    sent: float
    answered: float
    answers: List[str]


class Load:
    """Users who hold one conversation after the other until `stop`; what goes wrong is kept."""

    def __init__(self, server: RasaServer, name: str):
        """`name` keeps its conversations apart from another load's on the same server."""
        self.said: List[Said] = []
        self.wrong: List[BaseException] = []
        self._server = server
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._talk, args=(f"{name}-user{number}",))
            for number in range(USERS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let all end the conversation that they are in."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _talk(self, user: str) -> None:
        conversation = 0
        try:
            while not self._ended.is_set():
                conversation += 1
                sender = f"{user}-{conversation}"
                for text in TALK:
                    sent = time.monotonic()
                    answers = self._server.say(sender, text)
                    self.said.append(Said(sender, text, sent, time.monotonic(), answers))
        except BaseException as error:
            self.wrong.append(error)


class World(NamedTuple):
    """The bot with us, what the one without us may answer to each text, and the database's URL."""

    server: RasaServer
    plain: Dict[str, List[List[str]]]
    url: str


def _answers_without_us(plain: RasaServer) -> Dict[str, List[List[str]]]:
    """What the host bot answers to each text, whichever of those before it was its own too.

    Its form goes on where it was: "it is hana" is answered otherwise by who waits for a size.
    """
    found: Dict[str, List[List[str]]] = {text: [] for text in TALK}
    for heard in itertools.product((False, True), repeat=len(TALK)):
        for text in itertools.compress(TALK, heard):
            answers = plain.say(f"plain {heard}", text)
            if answers not in found[text]:
                found[text].append(answers)
    return found


@pytest.fixture(scope="module")
def world(pizzerias: Any) -> Iterator[World]:
    servers = []
    try:
        for bot in (pizzerias.plain, pizzerias.ours):
            servers.append(RasaServer(bot))
        for server in servers:
            server.wait()
        plain = _answers_without_us(servers[0])
        weights = adapter_to_bytes(dict(load_tracker(pizzerias.checkpoint).weights))
        with open_store(pizzerias.url) as store:  # so that a switch can be seen
            store.adapters.add(
                TABLES.name,
                weights,
                support_digest="made for this test",
                checkpoint_digest=load_tracker(pizzerias.checkpoint).digest,
                figures={},
            )
        yield World(servers[1], plain, pizzerias.url)
    finally:
        for server in servers:
            server.stop()


class Outage(NamedTuple):
    """When the database began to go, was gone, was let come back, and was back."""

    going: float
    gone: float
    coming: float
    back: float

    def none_of(self, said: Said) -> bool:
        """Whether a message met nothing of it."""
        return said.answered < self.going or said.sent > self.back + BACK

    def all_of(self, said: Said) -> bool:
        """Whether a message met nothing else."""
        return self.gone < said.sent and said.answered < self.coming


def _check(world: World, load: Load, outages: List[Outage], slowest: float) -> None:
    """No error, no wrong answer, nobody who waits for long; itself whenever it can be."""
    assert load.wrong == []
    assert world.server.process.poll() is None
    talks: Dict[str, List[Said]] = {}
    for said in load.said:
        talks.setdefault(said.sender, []).append(said)
        plain = world.plain[said.text]
        assert said.answers in [[TALK[said.text]], *plain], said
        assert said.answered - said.sent < slowest, said
        if any(outage.all_of(said) for outage in outages):
            assert said.answers in plain, said
    whole = [
        talk
        for talk in talks.values()
        if all(outage.none_of(said) for outage in outages for said in talk)
    ]
    assert whole
    for talk in whole:
        assert [said.answers for said in talk] == [[answer] for answer in TALK.values()]
    abstained = {said.text for said in load.said if said.answers in world.plain[said.text]}
    assert {OPENING, NAME} <= abstained  # the outages were noticed
    log = world.server.log()
    assert "Traceback" not in log and "s3cret" not in log


def _served_version(world: World, sender: str) -> Any:
    assert world.server.say(sender, OPENING) == [TALK[OPENING]]
    return world.server.understood(sender)["adapter"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("immediately", [False, True])
def test_a_database_that_is_stopped_and_started_under_load(
    world: World, postgres_server: PostgresServer, immediately: bool
) -> None:
    back = world.server.log().count("is reachable again")
    outages: List[Outage] = []
    rounds = 5
    load = Load(world.server, "killed" if immediately else "stopped")
    try:
        for number in range(rounds):
            time.sleep(3)
            going = time.monotonic()
            postgres_server.stop(immediately=immediately)
            gone = time.monotonic()
            time.sleep(1 + number % 3)
            coming = time.monotonic()
            postgres_server.start()
            outages.append(Outage(going, gone, coming, time.monotonic()))
            time.sleep(BACK)
            # what changes after it comes back is seen at the next message
            version = None if number % 2 else 1
            with open_store(world.url) as store:
                store.adapters.activate(TABLES.name, version)
            assert _served_version(world, f"switched-{immediately}-{number}") == version
        time.sleep(3)
    finally:
        load.stop()
    _check(world, load, outages, slowest=20)
    assert world.server.log().count("is reachable again") == back + rounds
    _print(load)


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="finds the server's processes in /proc")
def test_a_database_that_freezes_under_load(world: World, postgres_server: PostgresServer) -> None:
    outages: List[Outage] = []
    load = Load(world.server, "frozen")
    try:
        for seconds in (6, 15, 6):  # the second is longer than connecting may take
            time.sleep(3)
            going = time.monotonic()
            with postgres_server.frozen():
                gone = time.monotonic()
                time.sleep(seconds)
                coming = time.monotonic()
            outages.append(Outage(going, gone, coming, time.monotonic()))
            time.sleep(BACK)
        time.sleep(3)
    finally:
        load.stop()
    # the first message waits for three seconds, and those behind it for that one
    _check(world, load, outages, slowest=20)
    _print(load)
    wait_for(lambda: bool(re.search(r"hasn't answered for 3 s", world.server.log())))


def _print(load: Load) -> None:
    taken = sorted(said.answered - said.sent for said in load.said)
    answers: Counter = Counter(tuple(said.answers) for said in load.said)
    print(f"\n{len(load.said)} messages, slowest {taken[-1]:.1f} s; {dict(answers)}")
