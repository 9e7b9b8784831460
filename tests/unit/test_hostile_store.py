"""A database that somebody else writes: what can't be is refused in one line, and fills no memory.

Digests don't help here: who writes the weights writes their digest, too.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
import torch
from safetensors.torch import save

from command_line import invoke
from rasa_onramp.checkpoint_files import read_checkpoint
from rasa_onramp.dialogue import State, Turn
from rasa_onramp.errors import CheckpointError, OnrampError
from rasa_onramp.formats.yaml import parse_yaml
from rasa_onramp.metalearning.lora import adapter_from_bytes, adapter_to_bytes
from rasa_onramp.store import Embeddings, Feedback, Store, cells, open_store
from rasa_onramp.store.digest import bytes_digest
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_onramp.weights.files import sha256_of
from tiny_tracker import tiny_tracker, tokenizer_json
from valid_input import VALID_YAML

WEIGHTS = {"encoder.layer.0.attention.self.query.lora_A.weight": torch.ones(2, 4)}
PREFIX = "base_model.model."


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store's file, with a domain and an adapter version of it."""
    path = tmp_path_factory.mktemp("made") / "onramp.db"
    with open_store(f"sqlite:///{path}") as store:
        store.upgrade()
        store.dialogues.import_corpus(parse_yaml(VALID_YAML, "taxi.yml"))
        add(store, adapter_to_bytes(WEIGHTS))
        store.embeddings.keep({"taxi": Embeddings("1" * 64, b"rows")})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "onramp.db"
    path.write_bytes(content)
    return path


@pytest.fixture
def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store that the commands use."""
    monkeypatch.setenv("RASA_ONRAMP_DATABASE_URL", f"sqlite:///{path}")
    with open_store() as opened:
        yield opened


def add(store: Store, weights: bytes) -> int:
    return store.adapters.add(
        "taxi", weights, support_digest="s", checkpoint_digest="c", figures={"JGA": 0.5}
    )


def write(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def file_of(header: Dict[str, Any], data: bytes = b"") -> bytes:
    """A safetensors file with this header."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(shape: Any, dtype: str = "F16", end: int = 0) -> Dict[str, Any]:
    return {PREFIX + "x": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


FILES = {
    "no header": b"",
    "a header longer than memory": struct.pack("<Q", 2**63) + b"{}",
    "a header of 99 MB that isn't there": struct.pack("<Q", 99_000_000) + b"{}",
    "more values than bytes": file_of(tensor([2**40]), b"\0\0"),
    "a product of sizes that wraps around": file_of(tensor([2**32, 2**32]), b""),
    "none of something endless": file_of(tensor([0, 2**63])),
    "none of a lot of a lot": file_of(tensor([0, 2**40, 2**40])),
    "negative sizes": file_of(tensor([-1, 2])),
    "a size that is no number": file_of(tensor(["2"])),
    "a kind of number that torch lacks": file_of(tensor([1], "F4", 2), b"\0\0"),
    "whole numbers": save({PREFIX + "x": torch.ones(2, dtype=torch.int64)}),
    "not a number": save({PREFIX + "x": torch.tensor([float("nan")])}),
    "names of others": save({"x": torch.ones(2)}),
    "deep nesting": struct.pack("<Q", 200_000) + b"[" * 100_000 + b"]" * 100_000,
}


@pytest.mark.parametrize("what", sorted(FILES))
def test_weights_that_cannot_be(what: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        adapter_from_bytes(FILES[what])
    assert str(caught.value).endswith("adapt the domain again")
    assert len(str(caught.value).splitlines()) == 1


def test_weights_that_can_be() -> None:
    (found,) = adapter_from_bytes(adapter_to_bytes(WEIGHTS)).values()
    assert torch.equal(found, torch.ones(2, 4))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("adapters", "weights"),
        ("adapters", "figures"),
        ("adapters", "created_at"),
        ("domains", "schema"),
        ("turns", "state"),
        ("turns", "parameters"),
        ("turns", "spans"),
        ("dialogues", "split"),
        ("embeddings", "rows"),
    ],
)
@pytest.mark.parametrize("value", [10**12, "x", "[" * 5000, b"\xff", '{"a": 1}', -1.5, ""])
def test_cells_of_another_kind(
    store: Store, path: Path, tmp_path: Path, table: str, column: str, value: Any
) -> None:
    """Nothing but our own errors, whatever is read; 10**12 in `weights` is no terabyte of zeros."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"UPDATE {table} SET {column} = ?", [value])
    out = tmp_path / "out"
    for command in (
        ["domains"],
        ["versions", "list", "taxi"],
        ["versions", "activate", "taxi", "1"],
        ["export", "taxi", "--out", out],
    ):
        done = invoke(*command)
        assert done.code in (0, 2), done
        if done.code == 2:
            assert done.err.startswith("rasa-onramp: "), done
            assert done.err.count("\n") == 1, done
    if column == "weights":
        with pytest.raises(OnrampError):
            store.adapters.get("taxi", 1)
    if column == "rows":
        with suppress(OnrampError):
            assert store.embeddings.read(["taxi"])["taxi"].rows == value


def test_weights_that_would_fill_the_memory_are_not_read(
    path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(store.adapters.get("taxi", 1).weights) > 100
    heavy = bytes(1000)
    statement = "UPDATE adapters SET weights = ?, digest = ?"
    write(path, statement, heavy, bytes_digest(heavy))
    monkeypatch.setattr(cells, "MOST_BYTES", 999)
    with open_store() as other, pytest.raises(CheckpointError, match="digest"):
        other.adapters.get("taxi", 1)
    monkeypatch.setattr(cells, "MOST_BYTES", 1000)
    with open_store() as other:
        assert other.adapters.get("taxi", 1).weights == heavy


@pytest.mark.parametrize("name", ["a\udcff", "\ud800", "a\0b"])
def test_a_command_with_a_name_that_no_database_holds(store: Store, name: str) -> None:
    """The command; the store itself is in store_contract.py."""
    done = invoke("versions", "list", name)
    assert (done.code, done.err.count("\n")) == (2, 1)


def test_what_people_said_cannot_steer_a_terminal(store: Store, path: Path) -> None:
    said = "ok\x1b[2J\x1b]0;root\x07 \u202eoops"
    store.feedback.add(Feedback("taxi", Turn("system", said), conversation="ann", thumb="down"))
    write(path, "INSERT INTO domains SELECT ?, schema, digest, updated_at FROM domains", "b\x1b[3J")
    for command in (["feedback", "list", "taxi"], ["domains"], ["versions", "list", "x\x1b[2J"]):
        done = invoke(*command)
        assert "\\x1b[" in done.out + done.err
        assert not {"\x1b", "\x07", "\u202e"} & {*done.out, *done.err}


def test_what_people_said_passes_for_no_other_entry(store: Store) -> None:
    said = "hello\n0123456789ab  2024-06-01 10:00  up\n    bot:       Free for all."
    turns = (Turn("user", said, State()), Turn("system", "ok"))
    store.feedback.add(Feedback("taxi", turns[1], turns[:1], conversation="a\nb", thumb="up"))
    (first, user, bot) = invoke("feedback", "list", "taxi").out.splitlines()
    assert first.endswith("up  a\\nb")
    assert user.startswith("    user:      hello\\n0123456789ab") and bot == "    bot:       ok"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_database_is_made_for_its_user_alone(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'new' / 'onramp.db'}") as new:
        new.upgrade()
        new.dialogues.import_corpus(parse_yaml(VALID_YAML, "taxi.yml"))
        for file in (tmp_path / "new").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(tiny_tracker(rank=2, steps=1), folder, tokenizer_json())
    return folder


def rewritten(checkpoint: Path, folder: Path, **changes: Any) -> Path:
    """The checkpoint with another config, its digest that of the weights that are there."""
    folder.mkdir(exist_ok=True)
    for file in checkpoint.iterdir():
        target = folder / file.name
        if not target.exists():
            target.write_bytes(file.read_bytes())
    config = json.loads((checkpoint / "tracker.json").read_text())
    config["sha256"] = sha256_of(folder / "tracker.safetensors")
    config["encoder"].update(changes)
    (folder / "tracker.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("hidden_size", 10**9),
        ("vocab_size", 10**12),
        ("num_hidden_layers", 10**9),
        ("intermediate_size", 10**12),
        ("max_position_embeddings", 10**12),
        ("type_vocab_size", 10**12),
    ],
)
def test_a_checkpoint_takes_no_more_memory_than_its_file(
    checkpoint: Path, tmp_path: Path, name: str, size: int
) -> None:
    folder = rewritten(checkpoint, tmp_path / "bad", **{name: size})
    with pytest.raises(CheckpointError, match=f"{name} is {size}, but the tensors make it"):
        load_tracker(folder)


@pytest.mark.parametrize("what", sorted(set(FILES) - {"whole numbers", "not a number"}))
def test_a_checkpoint_whose_digest_is_right_and_whose_tensors_are_not(
    checkpoint: Path, tmp_path: Path, what: str
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "tracker.safetensors").write_bytes(FILES[what])
    with pytest.raises(CheckpointError):
        load_tracker(rewritten(checkpoint, folder))


def test_a_config_of_any_depth(checkpoint: Path, tmp_path: Path) -> None:
    folder = rewritten(checkpoint, tmp_path / "bad")
    (folder / "tracker.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError):
        read_checkpoint(folder, "tracker", {}, "mend it")


def test_a_dialogue_deleted_by_hand_can_be_imported_again(store: Store, path: Path) -> None:
    corpus = parse_yaml(VALID_YAML, "taxi.yml")
    whole = store.dialogues.dialogues("taxi")
    write(path, "DELETE FROM dialogues WHERE id = ?", whole[0].id)  # its turns stay
    assert store.dialogues.import_corpus(corpus).added == 1
    assert {each.id: each for each in store.dialogues.dialogues("taxi")} == {
        each.id: each for each in whole
    }


def test_a_domain_whose_feedback_cannot_be_read_can_be_removed(store: Store, path: Path) -> None:
    store.feedback.add(Feedback("taxi", Turn("system", "no"), thumb="down"))
    write(path, "UPDATE feedback SET reply = '[]'")
    with pytest.raises(OnrampError, match="rasa-onramp feedback remove DOMAIN ID"):
        store.feedback.list("taxi")
    done = invoke("remove", "taxi", "--yes")
    assert (done.code, done.err) == (0, "") and "1 feedback" in done.out


def test_embeddings_of_what_feedback_said_go_with_it(store: Store) -> None:
    given = Feedback("taxi", Turn("system", "no"), thumb="down")
    store.feedback.add(given)
    store.embeddings.keep({"taxi": Embeddings("1" * 64, b"rows")})
    store.feedback.remove("taxi", given.id)
    assert not store.embeddings.read(["taxi"])
