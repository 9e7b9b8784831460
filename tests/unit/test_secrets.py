"""Passwords and tokens: in no message, no log at any level, no traceback, no repr."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from command_line import invoke, spawn
from rasa_onramp.actions.calls import Call
from rasa_onramp.actions.http import post
from rasa_onramp.errors import ActionFailed, OnrampError
from rasa_onramp.store import RasaEvents, Store, open_store
from servers import free_port

pytest.importorskip("psycopg2")

SECRET = "s3cret"


@pytest.fixture(params=["postgresql://ann:{}@{}/shop", "postgresql://{1}/shop?user=a&password={0}"])
def url(request: pytest.FixtureRequest) -> str:
    """Of a database where nobody answers."""
    return str(request.param).format(SECRET, f"127.0.0.1:{free_port()}")


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., str]]:
    """All that was logged, by all libraries too, with what is given."""
    caplog.set_level(logging.DEBUG)
    names = ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "alembic", "rasa_onramp")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)

    def told(*parts: Any) -> str:
        logged = [record.getMessage() + str(record.exc_text or "") for record in caplog.records]
        return "\n".join([*logged, *map(str, parts)])

    yield told
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def traced(error: BaseException) -> str:
    return "".join(traceback.format_exception(None, error, error.__traceback__))


@pytest.mark.parametrize(
    "use",
    [
        Store.revision,
        Store.upgrade,
        lambda store: store.dialogues.domains(),
        lambda store: store.adapters.get("taxi", 1),
    ],
)
def test_a_database_that_cannot_be_reached(
    url: str, everything: Callable[..., str], use: Callable[[Store], Any]
) -> None:
    with open_store(url) as store:
        with pytest.raises(OnrampError) as caught:
            use(store)
        database = store._database
        inside = [repr(value) for value in (database, *vars(database).values())]
    text = everything(traced(caught.value), repr(store), store.name, *inside)
    assert "127.0.0.1" in text
    assert SECRET not in text


def test_a_tracker_store_that_cannot_be_reached(url: str, everything: Callable[..., str]) -> None:
    events = RasaEvents(url)
    with pytest.raises(OnrampError) as caught:
        events.count()
    inside = [repr(value) for value in (events, *vars(events).values())]
    assert SECRET not in everything(traced(caught.value), events.name, *inside)


@pytest.mark.parametrize("command", [["domains"], ["init"], ["adapt", "--all"]])
def test_the_command_line(
    url: str, tmp_path: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RASA_ONRAMP_DATABASE_URL", url)
    done = spawn(*command)
    assert done.code == 2
    assert SECRET not in done.out + done.err


@pytest.mark.parametrize("source", ["postgresql:/ann:s3cret@db/rasa", "ann:s3cret@db/rasa"])
def test_a_url_with_a_slip_in_it(
    source: str, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RASA_ONRAMP_DATABASE_URL", f"sqlite:///{tmp_path / 'onramp.db'}")
    schema = repository / "dialogue_data" / "parcel_delivery.yml"
    assert invoke("init").code == 0
    for options in ((), ("--schema", schema)):
        done = invoke("import", *options, source)
        assert done.code == 2 and SECRET not in done.out + done.err
    assert "PATH is neither a database URL nor a file" in done.err


@pytest.mark.parametrize(
    "target",
    [
        "http://ann:s3cret@127.0.0.1:{}/book?key=s3cret",
        "http://ann:s3cret@127.0.0.1:port/?key=s3cret",
        "http://ann:s3cret@[::1/?key=s3cret",
        "http://a..b/?key=s3cret",
        "http://127.0.0.1:{}/a\x01b?key=s3cret",
        "ftp://ann:s3cret@127.0.0.1/",
    ],
)
def test_an_endpoint_that_cannot_be_called(target: str) -> None:
    call = Call("taxi", "send", {}, target.format(free_port()))
    with pytest.raises(ActionFailed) as caught:
        post(call, timeout=5)
    assert SECRET not in str(caught.value)
