"""What can't be written to its end leaves what was there, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.whole_files import whole


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write_figures(str(path), {"figure": 1})
    with pytest.raises(UnicodeEncodeError):
        write_figures(str(path), {"half of a pair": "\ud800"})
    with pytest.raises(KeyboardInterrupt), whole(path) as file:
        file.write_text("half")
        raise KeyboardInterrupt
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == '{\n "figure": 1\n}\n'
