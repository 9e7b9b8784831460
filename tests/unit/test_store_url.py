"""Database URLs: what is refused, and that no message shows a password."""

from __future__ import annotations

import socket
import sys
import threading
import traceback

import pytest

from rasa_onramp.errors import ConfigError, StoreUnavailable
from rasa_onramp.store import RasaEvents, connect, open_store
from rasa_onramp.store.connect import connecting, parse_any_url, parse_url, shown


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "can't be parsed; write it like"),
        ("not a url", "can't be parsed; write it like"),
        ("postgresql://bot:hush@host:port/db", "can't be parsed; write it like"),
        ("postgresql://bot:hu@sh@host/db", "an '@' too many; write special characters"),
        ("postgresql://bot:p@hu/sh@host/db", "an '@' too many; write special characters"),
        ("postgresql://bot:p@hu/db?hush=x@host/db", "an '@' too many; write special characters"),
        ("mysql://bot:hush@host/db", "kind 'mysql' aren't supported; write"),
        ("postgresql+asyncpg://bot:hush@host/db", "'postgresql.asyncpg' aren't supported"),
        ("nosuch://bot:hush@host/db", "kind 'nosuch' aren't supported; write"),
        ("sqlite:///file:s.db?mode=ro&uri=true", "URI options aren't supported; write"),
        ("sqlite:///~no-such-user/s.db", r"path is none \(.*\); write another"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_it(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_store(url)
    everything = "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
    assert "\n" not in str(caught.value)
    for part in ("hush", "hu@sh", "sh@host"):
        assert part not in everything.replace(f'"{url}"', "")


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ConfigError, match=r"psycopg2; pip install 'rasa-onramp\[postgresql\]'"):
        open_store("postgresql://bot:hush@host/db")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://bot:hush@host:5433/db", "postgresql://bot:***@host:5433/db"),
        ("postgres://bot:hu%40sh@host/db", "postgresql://bot:***@host/db"),
        ("postgresql://host/db?password=hush&user=bot", None),
        ("postgresql://host/db?sslpassword=hush", None),
        ("postgresql://host/db?user=ann%40corp&password=hu%40sh", None),
        ("postgresql://host/db?options=-c%20hush", None),
        ("sqlite:////tmp/s.db", "/tmp/s.db"),
        ("sqlite://", "sqlite://"),
    ],
)
def test_what_is_shown_masks_passwords(url: str, expected: str) -> None:
    text = shown(parse_url(url))
    assert "hush" not in text
    assert "hu@sh" not in text
    if expected is not None:
        assert text == expected


def test_a_tracker_store_that_says_nothing_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An import from it holds the store's write lock."""
    pytest.importorskip("psycopg2")
    monkeypatch.setitem(connect._PSYCOPG2, "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hang_up = threading.Timer(20, silent.shutdown, [socket.SHUT_RDWR])
        hang_up.start()
        events = RasaEvents(f"postgresql://bot@127.0.0.1:{silent.getsockname()[1]}/rasa")
        try:
            with pytest.raises(StoreUnavailable, match="timeout expired"):
                events.count()
        finally:
            hang_up.cancel()


def test_the_url_has_the_last_word_on_time_limits() -> None:
    _, ours = connecting(parse_any_url("postgresql+psycopg2://host/db?keepalives_idle=7"))
    assert {"connect_timeout", "tcp_user_timeout"} < set(ours) and "keepalives_idle" not in ours
    assert connecting(parse_any_url("sqlite:////tmp/s.db"))[1] == {}
