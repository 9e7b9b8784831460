"""What is met again and again is logged now and then."""

from __future__ import annotations

import time

from rasa_onramp.logs import Seldom


def test_what_was_said_of_late_is_not_said_again() -> None:
    seldom = Seldom()
    assert [seldom.due("a"), seldom.due("a"), seldom.due(("b", 1)), seldom.due("a")] == [
        *(True, False, True, False)
    ]
    assert [seldom.due(), seldom.due()] == [True, False]


def test_it_is_said_again_later_and_forgotten_meanwhile() -> None:
    seldom = Seldom(0.05)
    for number in range(100):
        assert seldom.due(number)
    time.sleep(0.06)
    assert seldom.due("a") and seldom.due(0)
    assert set(seldom._said) == {"a", 0}
