"""How threads wait for one another, which torch reads when it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Dict, List

import pytest

_SAY = (
    "import os, rasa_onramp.cli.main, sys; "
    "print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
)
#: A bot's components load torch, and by then it is said.
_BOT = """
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("torch after", os.environ.get("GOMP_SPINCOUNT"))

sys.meta_path.insert(0, Finder())
import rasa_onramp.components
"""


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "None")],
)
def test_commands_spin_briefly_unless_told_otherwise(given: Dict[str, str], spins: str) -> None:
    assert _said(_SAY, given) == [spins, "False"]


def test_so_does_a_bot() -> None:
    pytest.importorskip("rasa")
    assert _said(_BOT, {}) == ["torch", "after", "10000"]


def _said(code: str, given: Dict[str, str]) -> List[str]:
    taken = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    clean = {key: value for key, value in os.environ.items() if key not in taken}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**clean, **given}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
