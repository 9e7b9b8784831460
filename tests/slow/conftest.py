"""A bot for the tests that break what it stands on: trained once, served by each test itself."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

from postgres import PostgresServer
from rasa_onramp.store import open_store
from rasa_programs import ActionServer, Bot, end
from small_bot import TABLES, corpus_of, save_small_tracker

_PIZZERIA = Path(__file__).resolve().parents[1] / "bots" / "pizzeria"
_MODEL = "database_url_env: RASA_ONRAMP_DATABASE_URL"


class Pizzerias(NamedTuple):
    """The pizzeria without us and with us, on PostgreSQL, and the server of its actions."""

    plain: Bot
    ours: Bot
    url: str
    checkpoint: Path
    actions: ActionServer


@pytest.fixture(scope="session")
def pizzerias(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Pizzerias]:
    """Both trained by `rasa train`; both keep their conversations in a file."""
    folder = tmp_path_factory.mktemp("pizzerias")
    url, checkpoint = postgres_server.create_database(), folder / "tracker"
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
    shared = {
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
        "RASA_ONRAMP_HOME": str(folder / "home"),
        "RASA_ONRAMP_DATABASE_URL": url,
        "LOG": str(folder / "calls.log"),
    }
    plain = Bot.copy(_PIZZERIA, folder / "plain", **shared)
    ours = Bot.copy(_PIZZERIA, folder / "ours", **shared)
    ours.onramp("init", "--bot", ".", "--yes")
    save_small_tracker(checkpoint)
    ours.edit("config.yml", _MODEL, f"{_MODEL}\n    checkpoint: {checkpoint}")
    for bot in (plain, ours):
        done = end(bot.begin("train"))
        assert done.code == 0, done.text
    actions = ActionServer(ours)
    try:
        actions.wait()
        for bot in (plain, ours):
            bot.edit("endpoints.yml", "localhost:5055", f"127.0.0.1:{actions.port}")
            bot.keep_conversations()
        yield Pizzerias(plain, ours, url, checkpoint, actions)
    finally:
        actions.stop()
