"""No utterance of the Schema-Guided Dialogue data is in this repository.

Its licence (CC BY-SA 4.0) differs from ours, and our own dialogues must be our own to be a fair
measure of a tracker that was trained on it.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path
from typing import Iterator, List, Set, Tuple

#: Shorter utterances ("I would like to book it, please") may well be written twice.
SHORTEST = 9


def words(text: str) -> List[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def tracked_texts(repository: Path) -> Iterator[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        content = (repository / name).read_bytes()
        if b"\0" not in content and not name.endswith(".lock"):
            # marks, "[text](slot)", stand in the middle of our own sentences
            yield re.sub(r"\]\([\w.]+\)", "", content.decode("utf-8")).replace("[", "")


def runs_of(text: str) -> Set[Tuple[str, ...]]:
    """Every run of SHORTEST words."""
    found = words(text)
    return {tuple(found[i : i + SHORTEST]) for i in range(len(found) - SHORTEST + 1)}


def repeats(utterance: str, ours: Set[Tuple[str, ...]]) -> bool:
    runs = runs_of(utterance)
    return bool(runs) and runs <= ours


def utterances(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("dialogues_*.json*")):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        for dialogue in json.loads(content):
            for turn in dialogue["turns"]:
                yield turn["utterance"]


def test_the_comparison() -> None:
    ours = runs_of('- user: "Could you tell me, please, where my parcel is right now?"')
    assert repeats("could you tell me please where my parcel is right now", ours)
    assert not repeats("could you tell me please where my parcel is this morning", ours)
    assert not repeats("where my parcel is", ours)


def test_no_utterance_is_repeated(repository: Path, sgd_folder: Path) -> None:
    ours = set().union(*map(runs_of, tracked_texts(repository)))
    spoken = set(utterances(sgd_folder))
    assert len(spoken) > 10_000
    assert sorted(utterance for utterance in spoken if repeats(utterance, ours)) == []
