"""What the tests of written dialogues have in common."""

from __future__ import annotations

from typing import Iterator, List, Tuple

from rasa_onramp.dialogue import Dialogue, State, Turn

#: The subjects of dialogue_data/: what the tracker is judged by must not be trained on.
JUDGES = ("parcel", "courier", "clinic", "sim card", "mobile plan", "helpdesk", "help desk")


def steps(dialogue: Dialogue) -> Iterator[Tuple[List[Turn], State, State]]:
    """For each user turn in scope: the turns up to it, the state before and the state after."""
    before = State()
    for i, turn in enumerate(dialogue.turns):
        if turn.is_user and turn.state is not None:
            yield list(dialogue.turns[: i + 1]), before, turn.state
            before = turn.state
