"""How threads wait for one another, which torch reads when it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Dict

import pytest

_SAY = (
    "import os, rasa_onramp.cli.main, sys; "
    "print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
)


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "None")],
)
def test_commands_spin_briefly_unless_told_otherwise(given: Dict[str, str], spins: str) -> None:
    taken = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    clean = {key: value for key, value in os.environ.items() if key not in taken}
    done = subprocess.run(
        [sys.executable, "-c", _SAY], env={**clean, **given}, capture_output=True, text=True
    )
    assert done.stdout.split() == [spins, "False"], done.stderr
