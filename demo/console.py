"""What the demo prints: numbered headings, how long each step took, indented lines."""

from __future__ import annotations

import textwrap
import time
from contextlib import contextmanager
from typing import Iterator, List, Tuple

__all__ = ["Console", "DemoFailed"]


class DemoFailed(Exception):
    """A step that did not do what it should. One line for the user."""


class Console:
    """Prints steps and remembers their times."""

    def __init__(self) -> None:
        self.times: List[Tuple[str, float]] = []
        self._began = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A numbered heading; its time is printed when the block ends well."""
        number = len(self.times) + 1
        self.times.append((title, float("nan")))
        print(f"\n{number}. {title}\n{'-' * (len(title) + 3)}", flush=True)
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        self.times[number - 1] = (title, seconds)
        print(f"   ({seconds:.0f} s)", flush=True)

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    def say(self, text: str = "") -> None:
        """Print, indented; long lines are wrapped."""
        for line in text.splitlines() or [""]:
            print(
                textwrap.fill(line, 100, initial_indent="   ", subsequent_indent="     "),
                flush=True,
            )

    def block(self, text: str) -> None:
        """Print as it is, indented: tables and other programs' output."""
        print(textwrap.indent(text, "   "), flush=True)
