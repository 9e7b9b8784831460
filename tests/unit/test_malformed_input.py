"""A few hundred malformed files, command lines and requests, the same each time. Ten thousand, and
others each time, are in tests/slow.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from malformed import FILES, Workplace, commands

EXAMPLES = 20

few = settings(
    max_examples=EXAMPLES,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace.made_in(tmp_path_factory.mktemp("workplace"))


@pytest.fixture
def place(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    return workplace.enter(monkeypatch)


@pytest.mark.parametrize("what", sorted(FILES))
def test_files(place: Workplace, what: str) -> None:
    kind = FILES[what]
    taken = []

    @few
    @given(kind.trees)
    def fuzz(tree: dict) -> None:
        done, folder = place.run(kind, tree)
        taken.append(place.check(done, folder))

    fuzz()
    assert len(taken) >= EXAMPLES
    assert not all(taken)


def test_command_lines(place: Workplace) -> None:
    @settings(few, max_examples=3 * EXAMPLES)
    @given(commands())
    def fuzz(drawn: tuple) -> None:
        place.check(place.run_line(*drawn))

    fuzz()


def test_requests(place: Workplace) -> None:
    pytest.importorskip("rasa")
    from malformed_requests import ENDPOINTS, requests_to, serving

    with serving(place) as served:

        @settings(few, max_examples=2 * EXAMPLES)
        @given(st.sampled_from(ENDPOINTS).flatmap(requests_to))
        def fuzz(sent: object) -> None:
            served.check(sent)

        fuzz()
