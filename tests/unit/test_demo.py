"""demo/: what answers the examples' API calls, and how a recorded conversation is held."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator

import pytest

pytest.importorskip("rasa_sdk")

from rasa_onramp.actions import Call, registry
from rasa_onramp.actions.answer import answer_now
from rasa_onramp.formats import read
from rasa_onramp.store.serialise import state_to_json

NAME = "parcel_delivery"

Import = Callable[[str], ModuleType]


@pytest.fixture
def demo(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Imports modules of the demo, which no other test meets; nor does it their handlers."""
    folder = repository / "demo"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(registry, "_handlers", {})
    yield importlib.import_module
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_a_call_is_answered_as_in_the_examples(demo: Import, repository: Path) -> None:
    """As `rasa run actions --actions answers` does."""
    calls = demo("answers").recorded_calls(repository / "dialogue_data")[NAME, "find_parcel"]
    assert len(calls) > 5
    for parameters, rows in calls[:5]:
        assert answer_now(Call(NAME, "find_parcel", parameters)) == rows
    assert answer_now(Call(NAME, "find_parcel", {"tracking_number": "never seen"}))


def test_a_recorded_conversation_is_held(
    demo: Import, repository: Path, capsys: pytest.CaptureFixture
) -> None:
    found = read(repository / "dialogue_data" / f"{NAME}.yml")
    dialogue = next(d for d in found.dialogues if d.split == "held-out")
    turns = [turn for turn in dialogue.turns if turn.is_user]

    class Bot:
        """Understands all as it is labelled; but only where it knows the domain."""

        def __init__(self, domain: Any):
            self.domain, self.turns = domain, iter(turns)

        def say(self, sender: str, text: str) -> Any:
            turn = next(self.turns)
            assert (sender, text) == ("ann", turn.text)
            state = state_to_json(turn.state)
            return ["Well."], {"domain": self.domain, "state": state, "states": {NAME: state}}

    hold, console = demo("conversation").hold, demo("console")
    hold(console.Console(), Bot(NAME), found.schemas[NAME], dialogue, "ann")
    printed = capsys.readouterr().out
    assert f"as labelled after {len(turns)} of {len(turns)} user turns" in printed
    assert f"user:  {turns[0].text}" in printed and "bot:   Well." in printed
    with pytest.raises(console.DemoFailed, match=f"to be about {NAME}"):
        hold(console.Console(), Bot(None), found.schemas[NAME], dialogue, "ann")


def test_its_servers_listen_where_no_connection_goes_out_from(demo: Import) -> None:
    ports = [demo("processes").free_port() for _ in range(50)]
    assert all(10_000 <= port < 32_768 for port in ports)


def test_its_action_server_listens_for_this_machine_alone(demo: Import) -> None:
    assert demo("run").environment()["SANIC_HOST"] == "127.0.0.1"
