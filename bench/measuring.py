"""How a long measurement goes on and ends: its rows are kept as they come, then written at once."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

from tqdm import tqdm

from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.errors import ConfigError, OnrampError
from rasa_onramp.evaluation.journal import Journal, Row, compare_settings
from rasa_onramp.evaluation.processes import in_processes
from result_tables.table import Table, printed

__all__ = [
    "as_command",
    "finish",
    "journal_beside",
    "label",
    "measure_pieces",
    "refuse_others",
    "tell_if_done",
]

#: Settings that results of before they were kept don't have.
_LATER = {"adaptation", "device", "finetune", "precision"}

Piece = TypeVar("Piece")
Found = TypeVar("Found")


def as_command(main: Callable[[], None]) -> None:
    """Run it; what went wrong is one line, without a traceback."""
    try:
        main()
    except OnrampError as error:
        raise SystemExit(f"error: {error}") from None


def label(folder: Union[str, Path]) -> str:
    """What settings call a folder of data, so that it may lie elsewhere on another machine."""
    path = Path(folder).resolve()
    root = Path(__file__).resolve().parent.parent
    return path.name if path.parent == root else "/".join(path.parts[-2:])


def journal_beside(
    results: Optional[Path], settings: Mapping[str, Any], *, key: str = "runs"
) -> Tuple[Journal[Row], Row]:
    """The journal of a measurement that adds to its results, whenever it is run, and what else
    those hold.

    Its rows are those under `key` in the file of results, if it is there, and those that an
    interrupted run has measured since. Raises ConfigError as Journal, of the file too.
    """
    if results is None:
        return Journal(None, settings), {}
    found: Row = {}
    rows: List[Row] = []
    if results.exists():
        try:
            found = json.loads(results.read_text(encoding="utf-8"))
            there, rows = dict(found.pop("settings")), [dict(row) for row in found.pop(key)]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ConfigError(
                f"{results} holds no figures of this measurement; name another file"
            ) from None
        untold = _LATER - there.keys()
        known = {name: value for name, value in settings.items() if name not in untold}
        compare_settings(results, there, known)
    journal: Journal[Row] = Journal(f"{results}.journal", settings, resume=True)
    # a run that was stopped before it deleted its journal has them in both
    journal.rows = rows + [row for row in journal.rows if row not in rows]
    return journal, found


def refuse_others(
    journal: Journal[Row],
    key: str,
    digests: Mapping[str, str],
    earlier: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Complain of rows of other checkpoints than these, by the name that rows have under `key`.

    A row has its checkpoint's digest under "checkpoint"; `earlier` are those of rows without.
    Raises ConfigError.
    """
    for row in journal.rows:
        name = row[key]
        measured = row.get("checkpoint", earlier.get(name))
        if name in digests and measured not in (None, digests[name]):
            raise ConfigError(
                f"{name!r} was measured on another checkpoint ({str(measured)[:12]}, now "
                f"{digests[name][:12]}); write to another --json"
            )


def tell_if_done(pieces: Sequence[Any]) -> None:
    """Say where the file has all results already, so that nobody takes them for measured anew."""
    if not pieces:
        print("nothing is left to measure; give another --json to measure anew", file=sys.stderr)


def measure_pieces(
    journal: Journal[Found],
    work: Callable[[Any, Piece], List[Found]],
    pieces: Sequence[Piece],
    *,
    jobs: int,
    load: Callable[[], Any],
    threads: int,
) -> None:
    """Add what `work` measures on each piece to the journal, as `in_processes` gives it."""
    tell_if_done(pieces)
    found = in_processes(work, pieces, jobs=jobs, load=load, threads=threads)
    with tqdm(total=len(pieces), desc="measure", disable=None) as bar, closing(found):
        for rows in found:
            journal.add(rows)
            bar.update()


def finish(journal: Journal[Any], results: Mapping[str, Any], path: Path, table: Table) -> None:
    """Write the results to `path`, which the journal is beside, and print their table."""
    write_figures(str(path), results)
    journal.close()
    print(printed(table, [dict(results)]))
