"""The bots that the tests of Rasa share: each is trained once, and served once."""

from __future__ import annotations

import json
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import pytest

from language_model import lend_language_model
from rasa_onramp.formats import read
from rasa_onramp.store import open_store
from rasa_programs import ActionServer, Bot, RasaServer, end, stop_all
from servers import LocalServer
from small_bot import TABLES, corpus_of, save_small_tracker

BOTS = Path(__file__).resolve().parents[1] / "bots"

#: A line of config.yml's, below which the small tracker's folder goes.
_MODEL = "database_url_env: RASA_ONRAMP_DATABASE_URL"

_METRICS = """\
rasa_onramp.components.metrics.MetricsInput:
  token_env: RASA_ONRAMP_METRICS_TOKEN
"""

#: What opens the pizzeria's console page.
CONSOLE_TOKEN = "a-token-of-16-characters-or-more"
_CONSOLE = """\
rest:
rasa_onramp.components.console.ConsoleInput:
  token_env: RASA_ONRAMP_CONSOLE_TOKEN
"""

#: A line of domain.yml's, and what the test's bot says there, in other words if it finds some.
HELP = '- text: "Tell me in your own words what you need."'
OFFER = "How may I help you?"


class Bots(NamedTuple):
    """Trained bots: the repository's own, and a pizzeria's without us and with us."""

    own: Bot
    plain: Bot
    pizzeria: Bot


class Servers(NamedTuple):
    """The same bots, up and running; `actions` makes the pizzeria's calls."""

    own: RasaServer
    plain: RasaServer
    pizzeria: RasaServer
    actions: ActionServer


@pytest.fixture(scope="session")
def bots(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, repository: Path
) -> Bots:
    """All three trained by `rasa train`, at the same time.

    Our own has the shipped tracker and an SQLite store; the pizzeria a small tracker which knows
    what it needs to know, and a PostgreSQL store where the machine has one.
    """
    folder = tmp_path_factory.mktemp("bots")
    lend_language_model(folder / "home")
    shared = {"RASA_ONRAMP_HOME": str(folder / "home")}
    stores = [f"sqlite:///{folder / 'onramp.db'}", f"sqlite:///{folder / 'pizzeria.db'}"]
    with suppress(pytest.skip.Exception):
        stores[1] = request.getfixturevalue("postgres_server").create_database()
    domains = (read(repository / "dialogue_data" / "parcel_delivery.yml"), corpus_of(TABLES))
    for url, domain in zip(stores, domains):
        with open_store(url) as store:
            store.upgrade()
            store.dialogues.import_corpus(domain)

    names = ("config.yml", "domain.yml", "endpoints.yml", "credentials.yml", "data")
    own = Bot.copy(repository, folder / "own", *names, **shared)
    plain = Bot.copy(BOTS / "pizzeria", folder / "plain", **shared)
    pizzeria = Bot.copy(BOTS / "pizzeria", folder / "pizzeria", **shared)
    own = own.with_environment(
        RASA_ONRAMP_DATABASE_URL=stores[0],
        RASA_ONRAMP_METRICS_TOKEN="a-token-of-16-characters-or-more",
    )
    own.edit("credentials.yml", "rest:", f"rest:\n{_METRICS}")
    # all is written, however busy the machine
    own.edit("config.yml", _MODEL, f"{_MODEL}\n    reply_threshold: 1.0\n    reply_seconds: 30.0")
    own.edit("domain.yml", HELP, f'- text: "{OFFER}"\n      metadata:\n        rephrase: true')
    pizzeria = pizzeria.with_environment(
        RASA_ONRAMP_DATABASE_URL=stores[1], RASA_ONRAMP_CONSOLE_TOKEN=CONSOLE_TOKEN
    )
    pizzeria.edit("credentials.yml", "rest:\n", _CONSOLE)

    trainings = [bot.begin("train") for bot in (own, plain)]
    pizzeria.onramp("init", "--bot", ".", "--yes")
    save_small_tracker(folder / "tracker")
    model = f"{_MODEL}\n    checkpoint: {folder / 'tracker'}\n    replies: false"
    pizzeria.edit("config.yml", _MODEL, model)
    trainings.append(pizzeria.begin("train"))
    for done in [end(training) for training in trainings]:
        assert done.code == 0, done.text
    return Bots(own, plain, pizzeria)


@pytest.fixture(scope="session")
def servers(bots: Bots) -> Iterator[Servers]:
    """`rasa run` for all three and `rasa run actions`, started at the same time.

    The pizzeria's action server answers the plain one too.
    """
    running: List[Any] = []
    found = []
    logged = bots.pizzeria.with_environment(LOG=str(bots.pizzeria.folder / "calls.log"))
    try:
        ours = ActionServer(bots.own, "rasa_onramp.actions")
        running.append(ours)
        theirs = ActionServer(logged)
        running.append(theirs)
        for bot, actions in zip(bots, (ours, theirs, theirs)):
            bot.edit("endpoints.yml", "localhost:5055", f"127.0.0.1:{actions.port}")
            found.append(RasaServer(bot))
            running.append(found[-1])
        for server in running:
            server.wait()
        yield Servers(*found, theirs)
    finally:
        stop_all(running)


class Api:
    """A real HTTP endpoint: answers every call with `rows`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.rows: List[Dict[str, str]] = []
        self.asked: List[Dict[str, Any]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                api.asked.append(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(api.rows).encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = LocalServer(Handler)
        self.url, self.close = f"{server.url}/calls", server.close


@pytest.fixture
def api() -> Iterator[Api]:
    """An endpoint of the test's own."""
    api = Api()
    yield api
    api.close()
