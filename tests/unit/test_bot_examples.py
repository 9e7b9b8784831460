"""What of a bot's own training examples, and of what its NLU says, counts as the bot's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional

import pytest

pytest.importorskip("rasa")

from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.entities_parser import parse_training_example
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from channel_server import runtime_on
from rasa_onramp.components.bot_examples import examples_in
from rasa_onramp.components.state_tracker import OnrampStateTracker
from rasa_onramp.runtime.router import BotView
from rasa_onramp.store import open_store
from tiny_tracker import corpus, tiny_tracker

EXAMPLES = {
    "inform": [
        *("[paris](city)", "[high street](street) [5](number)", "i live in [paris](city)"),
        *('[high street 5]{"entity": "address", "role": "home"}!', "[paris](city) please"),
        *("4711", "b", "west end"),
    ],
    "code": ["AB-12"],
    "out_of_scope": ["book me a flight"],
    "onramp": ["book a table"],
}


def test_examples_that_are_a_value_and_nothing_else_are_left_out() -> None:
    """They are answers to our questions, too. What isn't marked as a value is none."""
    data = [parse_training_example(text, i) for i, texts in EXAMPLES.items() for text in texts]
    assert examples_in(TrainingData(data)) == {
        "inform": ["i live in paris", "paris please", "west end"]
    }


@pytest.mark.parametrize(
    ("intent", "sure"),
    [("greet", 0.97), ("nlu_fallback", 0.0), ("out_of_scope", 0.0), ("onramp", 0.0), (None, 0.0)],
)
def test_an_intent_for_what_is_not_the_bots_is_none_of_which_it_is_sure(
    intent: Optional[str], sure: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views: List[BotView] = []
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus())
        with runtime_on(store, tiny_tracker()) as runtime:
            engine = runtime.engine()
            route = engine.router.route

            def routed(*asked: Any, bot: BotView, **how: Any) -> Any:
                views.append(bot)
                return route(*asked, bot=bot, **how)

            monkeypatch.setattr(engine.router, "route", routed)
            message = Message({TEXT: "a table", INTENT: {"name": intent, "confidence": 0.97}})
            OnrampStateTracker(None, None).process([message], None, runtime)  # type: ignore[arg-type]
    assert [view.confidence for view in views] == [sure]
