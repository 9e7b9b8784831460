"""Processes killed at 200 random moments, and a real bot killed while people talk to it.

pytest tests/slow/test_killed.py -s        # about 15 minutes on two cores
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any, List

import pytest

from killing import KINDS, Trial
from rasa_onramp.store import open_store
from rasa_programs import RasaServer
from servers import wait_for
from small_bot import BIKES, corpus_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes as POSIX does")

#: Kills of a store; there are 200 of them.
KILLS, SEEDS = 20, range(5)

#: Kills of a real `rasa run`, which takes long to start.
BOT_KILLS = 5

TALK = ("can i book a table on friday", "it is hana", "thanks, that is all", "when are you open")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_is_lost_or_half_done(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, seed: int
) -> None:
    url = f"sqlite:///{tmp_path / 'onramp.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_url")
    kinds = [KINDS[number % len(KINDS)] for number in range(KILLS)]
    random.Random(seed).shuffle(kinds)
    began = time.monotonic()
    trial = Trial(url, tmp_path, seed=seed)
    for kind in kinds:
        trial.kill_one(kind)
    trial.close()
    print(f"\n{database}, seed {seed}: {KILLS} kills in {time.monotonic() - began:.0f} s")


@pytest.mark.timeout(1200)
def test_a_bot_that_is_killed_goes_on_where_it_was(pizzerias: Any) -> None:
    """Its conversations are in a file of Rasa's; what we know of them is in there too."""
    choose = random.Random(0)
    server = RasaServer(pizzerias.ours)
    try:
        server.wait()
        for number in range(BOT_KILLS):
            assert server.say(f"waiting{number}", TALK[0]) == ["Under which name?"]
            talkers = [_Talker(server, f"talker{number}-{which}") for which in range(3)]
            wait_for(lambda talkers=talkers: any(each.heard for each in talkers))
            with open_store(pizzerias.url) as store:
                time.sleep(choose.uniform(0, 2))
                store.dialogues.import_corpus(corpus_of(BIKES, support=3 + number))
                time.sleep(choose.uniform(0, 0.5))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            server.stop()  # what it left open
            for talker in talkers:
                talker.join()
                talker.check()
            server = RasaServer(pizzerias.ours)
            server.wait()
            assert server.say(f"waiting{number}", TALK[1]) == [
                "Your table is booked for friday under hana, the code is t77."
            ]
            slots = server.tracker(f"waiting{number}")["slots"]
            assert slots["onramp"]["state"]["values"] == {
                "visit_day": ["friday"],
                "guest_name": ["hana"],
            }
        assert "Traceback" not in server.log()
    finally:
        server.stop()


class _Talker(threading.Thread):
    """Holds one conversation after the other until the bot doesn't answer any more."""

    RIGHT = (
        "Under which name?",
        "Your table is booked for friday under hana, the code is t77.",
        "You're welcome!",
        "We bake from noon to midnight.",
    )

    def __init__(self, server: RasaServer, name: str):
        super().__init__(name=name)
        self.heard: List[List[str]] = []
        self._server = server
        self.start()

    def run(self) -> None:
        conversation = 0
        while True:
            conversation += 1
            for text in TALK:
                try:
                    self.heard.append(self._server.say(f"{self.name}-{conversation}", text))
                except AssertionError:  # it doesn't answer
                    return

    def check(self) -> None:
        """All that it answered before was right."""
        for place, answers in enumerate(self.heard):
            assert answers == [self.RIGHT[place % len(TALK)]]
