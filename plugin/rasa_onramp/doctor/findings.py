"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Iterator

from rasa_onramp.errors import OnrampError
from rasa_onramp.formats import wording

__all__ = ["OK", "PROBLEM", "WARNING", "Finding", "guarded", "ok", "problem", "some", "warning"]

OK, WARNING, PROBLEM = "ok", "warning", "problem"

#: Names that are told of many.
_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """What a `check` found: `level` is OK, WARNING (it works, but not as well as it could) or
    PROBLEM; `says` is one line, which ends with what to do about it unless all is well.
    """

    check: str
    level: str
    says: str


def ok(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check, OK, says)


def warning(check: str, says: str) -> Finding:
    """It works, but not as well as it could."""
    return Finding(check, WARNING, says)


def problem(check: str, says: str) -> Finding:
    """It doesn't work."""
    return Finding(check, PROBLEM, says)


def guarded(check: str, run: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What `run` finds; an error that it raises is a problem."""
    try:
        yield from run()
    except OnrampError as error:
        yield problem(check, " ".join(str(error).split()))
    except Exception as error:  # a broken library may raise anything
        said = " ".join(str(error).split())
        yield problem(
            check,
            f"this couldn't be looked at ({type(error).__name__}: {said}); if what it says is no "
            "help, please report it",
        )


def some(names: Iterable[str]) -> str:
    """A few of many names."""
    return wording.some(names, _NAMED)
