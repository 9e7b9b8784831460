"""10,000 malformed inputs, others each time: files of every kind, command lines, requests.

    pytest tests/slow/test_malformed_input.py -s                 about 15 minutes on one core
    pytest tests/slow/test_malformed_input.py -s -k yaml --hypothesis-seed=7

RASA_ONRAMP_FUZZ says how many of each kind, if not EXAMPLES.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from malformed import FILES, Workplace, commands

#: Of each kind, so that all together are more than 10,000.
EXAMPLES = 850
KINDS = (*sorted(FILES), "command line", "request")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace.made_in(tmp_path_factory.mktemp("workplace"))


@pytest.fixture
def place(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    return workplace.enter(monkeypatch)


def fuzzed(strategy: st.SearchStrategy[Any], check: Callable[[Any], Any], what: str) -> None:
    """Check every drawn example, and say how they were answered."""
    answers: Counter = Counter()

    @settings(
        max_examples=int(os.environ.get("RASA_ONRAMP_FUZZ", EXAMPLES)),
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def fuzz(drawn: Any) -> None:
        answers["examples"] += 1
        answers[str(check(drawn))] += 1

    fuzz()
    print(f"\n{what}: {dict(answers)}")
    assert answers["examples"] >= int(os.environ.get("RASA_ONRAMP_FUZZ", EXAMPLES))


def test_there_are_enough() -> None:
    assert len(KINDS) * EXAMPLES >= 10_000


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", KINDS)
def test_malformed_input(place: Workplace, what: str) -> None:
    if what == "request":
        pytest.importorskip("rasa")
        from malformed_requests import ENDPOINTS, requests_to, serving

        with serving(place) as served:
            fuzzed(st.sampled_from(ENDPOINTS).flatmap(requests_to), served.check, what)
    elif what == "command line":
        fuzzed(
            commands(),
            lambda drawn: "taken" if place.check(place.run_line(*drawn)) else "refused",
            what,
        )
    else:
        kind = FILES[what]

        def check(tree: Any) -> str:
            done, folder = place.run(kind, tree)
            return "taken" if place.check(done, folder) else "refused"

        fuzzed(kind.trees, check, what)
