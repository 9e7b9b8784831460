"""What users make long must not take the longer, nor be remembered the longer it is."""

from __future__ import annotations

import time
from typing import Iterator

import pytest

pytest.importorskip("rasa")

from rasa.shared.core.events import UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message

from rasa_onramp.components import OnrampStateTracker, host
from rasa_onramp.components.host import OnrampRuntime
from rasa_onramp.components.sessions import (
    exchanged,
    session_of,
)
from rasa_onramp.rasa_names import KEY
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.session import LONGEST
from rasa_onramp.runtime.settings import ModelSettings
from rasa_onramp.store import open_store
from rasa_onramp.tracker.sentences import cached_sentences
from tiny_tracker import CAFE, corpus, tiny_tracker

LONG = {
    "words": "where is my table " * 20_000,
    "one word": "x" * 300_000,
    "digits": "0123456789" * 30_000,
    "brackets": "[{(" * 100_000,
    "blanks": "a" + " " * 300_000 + "b",
    "emoji": "\U0001f469\u200d\U0001f680" * 70_000,
}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnrampRuntime]:
    path = tmp_path_factory.mktemp("long") / "onramp.db"
    with open_store(f"sqlite:///{path}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus())
        made = host.runtime_for(ModelSettings(replies=False))
        made._engine = Engine(store, tiny_tracker(), cached_sentences())
        OnrampStateTracker(None, None).process([Message({TEXT: "hi"})], None, made)  # warm
        yield made
        host._current.clear()


@pytest.mark.parametrize("what", sorted(LONG))
def test_a_long_message_is_read_as_far_as_it_counts(runtime: OnrampRuntime, what: str) -> None:
    text = LONG[what]
    said = DialogueStateTracker("ann", [])
    said.update(UserUttered(text, {"name": "x"}))
    message = Message({TEXT: text})
    begun = time.process_time()
    OnrampStateTracker(None, None).process([message], said, runtime)
    assert time.process_time() - begun < 5
    assert message.get(KEY)["reason"] != "unavailable"
    engine = runtime.engine()
    assert [len(each.turn.text) for each in session_of(said, engine).turns] == [LONGEST]
    assert exchanged(said) == []
    assert max(map(len, engine.tracker.tokens._split.recent()), default=0) <= LONGEST
    assert CAFE.name in engine.catalogue.domains()
