"""Malformed input by the thousand: valid files, commands and requests, damaged by hypothesis.

`FILES` has one strategy a kind of file that a command reads, and `commands` makes command lines of
options that there are and values that there shouldn't be; malformed_requests.py makes requests.
What must hold of the answer is checked here too: one line on stderr that names the file, an exit
code that is documented, never a traceback, and the store as it was.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import click
import pytest
from hypothesis import strategies as st

from command_line import Outcome, dump, invoke
from rasa_onramp.cli.main import COMMANDS, cli
from rasa_onramp.evaluation.judging import pairs_of
from rasa_onramp.formats.replies import read_replies
from rasa_onramp.formats.wording import visible
from valid_input import (
    VALID_EVENTS,
    VALID_LOG,
    VALID_REPLIES,
    VALID_SGD,
    VALID_STORIES,
    VALID_YAML,
)

__all__ = ["FILES", "Kind", "Workplace", "commands", "damaged_bytes", "json_bytes"]

#: Characters that parsers, terminals and databases trip over.
_STRANGE = (
    *("\0", "\x07", "\x1b[2J", "\x85", "\u2028", "\u202e", "\ufeff", "\ufffe", "\U0010ffff"),
    *("\ud83d", "\udcff", "e\u0301" * 20, "\r", "\n", "\t", '"', "'", "\\", "\\u0000", "\\ud800"),
    *(
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a ",
        "!!python/object:os.system ",
        "<<: ",
        "%",
        "---\n",
        "...\n",
    ),
)
_NUMBERS = (0, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, float("nan"), float("inf"))
_TEXTS = st.one_of(
    st.sampled_from(_STRANGE),
    st.text(max_size=8),
    st.sampled_from(("x" * 70_000, "../../etc/passwd", "dontcare", "none", "", " ", "[a](b)")),
)
#: Values that JSON has, and some that only Python's has.
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.sampled_from(_NUMBERS) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)
#: Stands for a list in a list in a list …, which json.dumps itself couldn't write.
_DEEP = "@deep@"


@st.composite
def damaged_bytes(draw: st.DrawFn, valid: bytes) -> bytes:
    """`valid` with bytes flipped, cut out, put in or doubled, lines in another order, cut short."""
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        size = draw(st.integers(1, 40))
        how = draw(st.sampled_from(("flip", "cut", "end", "put", "double", "shuffle")))
        if how == "flip" and data:
            data[at] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del data[at : at + size]
        elif how == "end":
            del data[at:]
        elif how == "put":
            put = draw(_TEXTS | st.integers(0, 9**9).map(str))
            data[at:at] = put.encode("utf-8", "surrogatepass")
        elif how == "double":
            data[at:at] = data[at : at + size] * draw(st.sampled_from((1, 2, 500)))
        else:
            lines = bytes(data).split(b"\n")
            random.Random(size).shuffle(lines)
            data = bytearray(b"\n".join(lines))
    return bytes(data)


@st.composite
def damaged_json(draw: st.DrawFn, valid: Any) -> str:
    """`valid` as JSON, with values of other kinds, keys gone or renamed, or deep nesting in it."""
    content = json.loads(json.dumps(valid))
    for _ in range(draw(st.integers(1, 3))):
        put = draw(_VALUES | st.just(_DEEP))
        change(content, draw(st.integers(0, 10**6)), put, draw(st.sampled_from(_CHANGES)))
    text = json.dumps(content, ensure_ascii=draw(st.booleans()))
    depth = draw(st.sampled_from((20, 120, 700, 900, 960, 980, 985, 990, 5000, 100_000)))
    return text.replace(json.dumps(_DEEP), "[" * depth + "]" * depth)


_CHANGES = ("value", "value", "value", "gone", "renamed", "twice")


def change(content: Any, seed: int, put: Any, how: str = "value") -> None:
    """Put something else somewhere into `content`, or take out, rename or double what is there."""
    containers: List[Any] = [content]
    for container in containers:  # grows as it goes
        inside = container.values() if isinstance(container, dict) else container
        containers.extend(item for item in inside if isinstance(item, (dict, list)) and item)
    choose = random.Random(seed)
    container = choose.choice([each for each in containers if each] or [[None]])
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    key = choose.choice(keys)
    if how == "gone":
        del container[key]
    elif how == "renamed" and isinstance(container, dict):
        container[put if isinstance(put, str) else "other"] = container.pop(key)
    elif how == "twice" and isinstance(container, list):
        container.append(container[key])
    else:
        container[key] = put


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def json_bytes(valid: Any) -> st.SearchStrategy[bytes]:
    """JSON of `valid`, damaged as bytes or as a value."""
    return damaged_bytes(json.dumps(valid, indent=1).encode()) | damaged_json(valid).map(_bytes_of)


def _lines(valid: List[Any]) -> st.SearchStrategy[bytes]:
    whole = "\n".join(map(json.dumps, valid)).encode()
    changed = st.tuples(*(damaged_json(line) | st.just(json.dumps(line)) for line in valid))
    return damaged_bytes(whole) | changed.map(lambda lines: _bytes_of("\n".join(lines)))


_ANYTHING = st.binary(max_size=80) | st.text(max_size=80).map(
    lambda text: text.encode("utf-8", "replace")
)


def _yaml(valid: str) -> st.SearchStrategy[bytes]:
    from ruamel.yaml import YAML

    parsed = YAML(typ="safe", pure=True).load(valid)
    # JSON is YAML, but for a few characters
    return damaged_bytes(valid.encode()) | damaged_json(parsed).map(_bytes_of) | _ANYTHING


@st.composite
def _packed(draw: st.DrawFn, content: st.SearchStrategy[bytes]) -> Tuple[str, bytes]:
    """(suffix, bytes) of a file as it is or gzipped, and what was gzipped damaged again."""
    data = draw(content)
    how = draw(st.sampled_from(("plain", "plain", "packed", "broken", "misnamed")))
    if how == "plain":
        return "", data
    packed = data if how == "misnamed" else gzip.compress(data, mtime=0)
    return ".gz", draw(damaged_bytes(packed)) if how == "broken" else packed


#: File → content, within the folder of an example.
Tree = Mapping[str, bytes]


@st.composite
def _sgd(draw: st.DrawFn) -> Tree:
    whole = {name: json.dumps(content).encode() for name, content in VALID_SGD.items()}
    name = draw(st.sampled_from(sorted(whole)))
    suffix, data = draw(_packed(json_bytes(VALID_SGD[name]) | _ANYTHING))
    del whole[name]
    other = draw(st.sampled_from((name, name, name, "dialogues_002.json", "notes.json", "x.yml")))
    return {**whole, f"{other}{suffix}": data}


def _one(name: str, content: st.SearchStrategy[bytes]) -> st.SearchStrategy[Tree]:
    return content.map(lambda data: {name: data})


@st.composite
def _log(draw: st.DrawFn) -> Tree:
    suffix, data = draw(_packed(_lines(VALID_LOG) | _ANYTHING))
    return {f"chats.jsonl{suffix}": data}


@st.composite
def _events(draw: st.DrawFn) -> Tree:
    """A tracker store as Rasa makes it, with damaged events, cells of other kinds, or bytes."""
    texts = [json.dumps(event) for event in VALID_EVENTS]
    place = draw(st.integers(0, len(texts) - 1))
    cells: List[Any] = ["ann", VALID_EVENTS[place]["event"], texts[place]]
    how = draw(st.sampled_from(("json", "json", "json", "cell", "file")))
    if how == "json":
        cells[2] = draw(damaged_json(VALID_EVENTS[place]))
    elif how == "cell":
        junk = st.sampled_from((None, 0, 2**62, 1.5, b"\xff\0", "", "é", b"{}"))
        cells[draw(st.integers(0, 2))] = draw(junk | st.text(st.characters(codec="utf-8")))
    data = _database(texts, place, cells)
    return {"rasa.db": draw(damaged_bytes(data)) if how == "file" else data}


def _database(texts: List[str], place: int, cells: List[Any]) -> bytes:
    # Rasa's own column types
    columns = "id INTEGER PRIMARY KEY, sender_id VARCHAR(255), type_name VARCHAR(255), data TEXT"
    rows = [["ann", event["event"], text] for event, text in zip(VALID_EVENTS, texts)]
    rows[place] = [
        # SQLite takes no halves of surrogate pairs
        cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell
        for cell in cells
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rasa.db"
        with closing(sqlite3.connect(path)) as made, made:
            made.execute(f"CREATE TABLE events ({columns})")
            insert = "INSERT INTO events (sender_id, type_name, data) VALUES (?, ?, ?)"
            made.executemany(insert, rows)
        return path.read_bytes()


def _picks() -> Dict[str, Any]:
    """What the page made of VALID_REPLIES saves."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "replies.jsonl"
        path.write_text(_log_text(VALID_REPLIES), encoding="utf-8")
        replies = read_replies(path)
    pairs = pairs_of(replies, ("a", "b"), 0)
    picks = [{"pair": pair.id, "pick": "left"} for pair in pairs.pairs]
    head = {"onramp_picks": 1, "replies": replies.digest, "page": pairs.page, "seed": 0}
    return {**head, "judge": "Ann", "picks": picks}


def _log_text(lines: List[Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


@dataclass(frozen=True)
class Kind:
    """A kind of file: what is in its folder, and the command that reads it.

    In `arguments`, {folder} stands for the folder and {taxi} for a valid file of the domain.
    `has_lines` says whether an error in it can be on a line.
    """

    trees: st.SearchStrategy[Tree]
    arguments: Tuple[str, ...]
    has_lines: bool = True


_DOMAIN = ("--domain", "taxi")
_REPLIES = ("judge", "page", "--methods", "a,b", "--out", "{folder}/page.html", "--replies")

FILES: Dict[str, Kind] = {
    "yaml": Kind(_one("x.yml", _yaml(VALID_YAML)), ("import", "{file}")),
    "sgd": Kind(_sgd(), ("import", "--format", "sgd", "{folder}")),
    "multiwoz": Kind(_sgd(), ("import", "--format", "multiwoz", "{folder}")),
    "jsonl": Kind(_log(), ("import", *_DOMAIN, "{file}")),
    "stories": Kind(
        _one("stories.yml", _yaml(VALID_STORIES)),
        ("import", "--format", "stories", *_DOMAIN, "{file}"),
    ),
    "stories folder": Kind(
        _one("stories.yml", _yaml(VALID_STORIES)),
        ("import", "--format", "stories", *_DOMAIN, "{folder}"),
    ),
    "schema": Kind(
        _one("schema.yml", _yaml(VALID_YAML)), ("import", "--schema", "{file}", "{log}")
    ),
    "tracker store": Kind(
        _events(), ("import", "--format", "tracker-store", *_DOMAIN, "{file}"), has_lines=False
    ),
    "replies": Kind(
        _one("replies.jsonl", _lines(VALID_REPLIES) | _ANYTHING), (*_REPLIES, "{file}")
    ),
    "picks": Kind(
        _one("picks.json", json_bytes(_picks()) | _ANYTHING),
        ("judge", "import", "--replies", "{replies}", "{file}"),
    ),
}


class Workplace:
    """A folder with a store in it that holds the domain `taxi`; what is damaged goes there too."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.store = folder / "home" / "onramp.db"
        self.valid = {
            "taxi": folder / "taxi.yml",
            "log": folder / "valid.jsonl",
            "replies": folder / "valid_replies.jsonl",
            "work": folder / "work",
            "missing": folder / "missing",
        }
        self.valid["work"].mkdir()
        self.valid["taxi"].write_text(VALID_YAML, encoding="utf-8")
        for name, lines in (("log", VALID_LOG), ("replies", VALID_REPLIES)):
            self.valid[name].write_text(_log_text(lines), encoding="utf-8")
        assert invoke("init").code == 0
        assert invoke("import", "--quiet", self.valid["taxi"]).code == 0
        with closing(sqlite3.connect(self.store)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._content = self.store.read_bytes()
        self._dump = dump(self.store)

    @classmethod
    def made_in(cls, folder: Path) -> Workplace:
        """One whose commands find its store; those that are run later, after `enter`."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RASA_ONRAMP_HOME", str(folder / "home"))
            return cls(folder)

    def enter(self, patch: pytest.MonkeyPatch) -> Workplace:
        """Have commands run here."""
        patch.setenv("RASA_ONRAMP_HOME", str(self.folder / "home"))
        patch.chdir(self.valid["work"])
        return self

    def unchanged(self) -> bool:
        """Whether the store holds what it held at the beginning."""
        return dump(self.store) == self._dump

    def restore(self) -> None:
        """Make the store what it was at the beginning."""
        if not self.unchanged():
            for rest in ("-wal", "-shm"):
                self.store.with_name(self.store.name + rest).unlink(missing_ok=True)
            self.store.write_bytes(self._content)

    def run(self, kind: Kind, tree: Tree) -> Tuple[Outcome, Path]:
        """What the kind's command says to the files of an example, and where those are."""
        folder = self.folder / "example"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, data in tree.items():
            (folder / name).write_bytes(data)
        places = {"folder": folder, "file": folder / next(iter(tree)), **self.valid}
        return invoke(*(each.format(**places) for each in kind.arguments)), folder

    def run_line(self, line: Sequence[str], typed: str) -> Outcome:
        """What a command line says that `commands` drew."""
        return invoke(*(each.format(**self.valid) for each in line), input=typed)

    def check(self, done: Outcome, where: Optional[Path] = None) -> bool:
        """Whether the input was taken. What wasn't must have been refused as documented, with the
        name of the file, and without a trace in the store.
        """
        if done.code == 0:
            self.restore()
            return True
        assert done.code in (1, 2), done
        assert self.unchanged(), done
        assert "Traceback" not in done.err
        if done.code == 1:  # a check that failed: `doctor` says so on its output
            return False
        complaint = done.err.splitlines()[-1:] or [""]
        assert complaint[0].startswith("rasa-onramp: "), done
        assert complaint[0] == visible(complaint[0]), done
        assert len(complaint[0]) < 1000, done
        if where is not None:
            assert len(done.err.splitlines()) == 1, done
            assert str(where) in complaint[0] or _IN_STORE.search(complaint[0]), done
        return False


#: What contradicts the store is said in its own terms.
_IN_STORE = re.compile(r"rasa-onramp: (dialogue '|the (new )?schema of domain '|a judge)")
_LINE = re.compile(r":\d+: ")


@st.composite
def commands(draw: st.DrawFn) -> Tuple[List[str], str]:
    """A command line, and what is piped to it. None does real work: what learns or downloads is
    given a folder that isn't there.
    """
    name = draw(st.sampled_from(sorted(COMMANDS)))
    command: click.Command = cli.get_command(click.Context(cli), name)  # type: ignore[assignment]
    line = [name]
    if isinstance(command, click.Group) and draw(st.integers(0, 9)):
        inner = draw(st.sampled_from(sorted(command.commands)))
        command = command.commands[inner]
        line.append(inner)
    poison = [option for option in ("--checkpoint", "--model", "--data") if _has(command, option)]
    for param in command.params:
        if isinstance(param, click.Option):
            if param.required or not draw(st.integers(0, 5)):
                option = draw(st.sampled_from(sorted(param.opts + param.secondary_opts)))
                line.append(option)
                if not param.is_flag and draw(st.integers(0, 19)):
                    line.append(draw(_ARGUMENTS))
        elif draw(st.integers(0, 9)):
            line.append(draw(_ARGUMENTS))
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        line.insert(draw(st.integers(0, len(line))), draw(_ARGUMENTS | st.sampled_from(_OPTIONS)))
    place = line.index("--") if "--" in line else len(line)  # behind it all are arguments
    line[place:place] = [each for option in poison for each in (option, "{missing}")]
    return line, draw(st.text(max_size=20))


def _has(command: click.Command, option: str) -> bool:
    return any(option in param.opts for param in command.params)


_OPTIONS = ("--", "-", "--no-such", "-x", "--quiet", "--help", "-h", "--version", "--yes", "--all")
#: No path out of the workplace: a command that is right by chance writes where it is told to.
_ARGUMENTS: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(
        ("taxi", "{taxi}", "{missing}", "{work}", "{log}", "{replies}", "none", "yaml")
    ),
    st.sampled_from(("0", "-1", "1", "2", "9" * 30, "9" * 5000, "1e400", "nan", "0x1", "٣", "a,b")),
    st.sampled_from(("book", "place=x", "size=x", "=", "a=", "cpu", "cuda:99", "tpu", "x" * 5000)),
    st.sampled_from(("\udcff", "a\udcffb", "\x1b[2J", "a\nb", "sqlite://", "sqlite:///{missing}")),
    st.text(st.characters(blacklist_characters="/\0~{}"), max_size=6),
)
