"""Which runtime a process has, as models are trained and loaded in it."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Sequence

import click
import pytest
import torch
from safetensors.torch import save
from torch import Tensor

pytest.importorskip("rasa")

from rasa.engine.exceptions import GraphComponentException
from rasa.engine.graph import ExecutionContext, GraphSchema, SchemaNode
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message

from command_line import invoke
from rasa_onramp.cli.main import cli
from rasa_onramp.components import OnrampModel, OnrampPolicy, OnrampStateTracker, console, host
from rasa_onramp.components.bot_examples import save_examples
from rasa_onramp.components.host import current_runtime, runtime_for
from rasa_onramp.dialogue import Corpus
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.settings import ModelSettings
from rasa_onramp.store import open_store
from rasa_onramp.tracker.sentences import SentenceEncoder
from servers import wait_for
from tiny_tracker import CAFE, bookings, tiny_tracker, write_domains

PLAIN = ModelSettings(replies=False)


@pytest.fixture(autouse=True)
def no_runtime() -> Iterator[None]:
    host._current.clear()
    yield
    host._current.clear()


def created(**config: Any) -> OnrampModel:
    settings = {**OnrampModel.get_default_config(), "replies": False, **config}
    return OnrampModel.create(settings, None, None, None)  # type: ignore[arg-type]


def test_training_leaves_the_running_bot_its_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rasa trains in the process of a bot that runs with --enable-api."""
    url = f"sqlite:///{tmp_path / 'onramp.db'}"
    monkeypatch.setenv("RASA_ONRAMP_DATABASE_URL", url)
    with open_store(url) as store:
        store.upgrade()
    running = runtime_for(PLAIN)
    made = created(cache_mb=7)
    assert made.provide() is not running and made.provide().settings.engine.cache_mb == 7
    with pytest.raises((InvalidConfigException, GraphComponentException), match="nowhere"):
        created(checkpoint=str(tmp_path / "nowhere"))
    assert current_runtime() is running


def test_the_runtime_of_the_same_settings_is_kept_and_another_let_go() -> None:
    first = runtime_for(PLAIN)
    assert runtime_for(ModelSettings(replies=False)) is first
    gone = weakref.ref(first)
    second = runtime_for(ModelSettings(replies=False, encoder="another"))
    assert current_runtime() is second
    del first
    gc.collect()
    assert gone() is None


def test_a_bot_loads_whatever_keeps_ours_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rasa would load no model at all."""
    opened = []

    def out_of_memory(*_: Any, **__: Any) -> None:
        opened.append(1)
        raise RuntimeError("can't allocate memory")

    monkeypatch.setattr(host.Engine, "open", out_of_memory)
    settings = {**OnrampModel.get_default_config(), "replies": False}
    runtime = OnrampModel.load(settings, None, None, None).provide()  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="allocate"):
        runtime.engine()
    assert opened == [1]  # not with every message


def test_no_message_waits_for_what_failed_to_be_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened, may = [], threading.Event()

    def slow(*_: Any, **__: Any) -> object:
        opened.append(threading.current_thread().name)
        if len(opened) > 1:
            assert may.wait(60)
        if len(opened) < 3:
            raise RuntimeError(f"attempt {len(opened)}")
        return engine

    engine = object()
    monkeypatch.setattr(host.Engine, "open", slow)
    monkeypatch.setattr(host, "_RETRY", 0.0)
    runtime = runtime_for(PLAIN)
    for _ in range(3):  # the second begins to try again, the third finds that being done
        with pytest.raises(RuntimeError, match="attempt 1"):
            runtime.engine()
    wait_for(lambda: len(opened) == 2)
    may.set()
    wait_for(lambda: not runtime._trying)
    with pytest.raises(RuntimeError, match="attempt 2"):
        runtime.engine()
    wait_for(lambda: runtime.opened is not None)
    assert runtime.engine() is engine
    assert opened[1:] == ["onramp-open"] * 2


def test_what_reads_messages_is_current_though_another_was_loaded() -> None:
    """A model that is loaded and then fails leaves the one before in service."""
    serving = runtime_for(PLAIN)
    other = runtime_for(ModelSettings(replies=False, checkpoint="nowhere"))
    assert current_runtime() is other
    OnrampStateTracker(None, None).process([Message({TEXT: ""})], None, serving)  # type: ignore[arg-type]
    assert current_runtime() is serving
    other = runtime_for(ModelSettings(replies=False, checkpoint="nowhere either"))
    assert current_runtime() is other
    del other
    gc.collect()
    assert current_runtime() is serving  # before anything is said


def test_a_runtime_lives_as_long_as_the_model_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next model may be one without us."""

    def closed(*_: Any, **__: Any) -> None:
        raise RuntimeError("no engine")

    monkeypatch.setattr(host.Engine, "open", closed)
    config = {**OnrampModel.get_default_config(), "replies": False}
    node = SchemaNode({}, OnrampModel, "load", "provide", config, eager=True)  # as Rasa's recipe's
    schema = GraphSchema({"provide_OnrampModel0": node})
    model = DaskGraphRunner(schema, None, ExecutionContext(schema))  # type: ignore[arg-type]
    gc.collect()
    runtime = current_runtime()
    assert model.run(targets=["provide_OnrampModel0"])["provide_OnrampModel0"] is runtime
    del model, runtime
    gc.collect()
    assert current_runtime() is None


def test_a_loaded_model_has_made_what_the_first_message_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        asked: List[Sequence[str]] = []
        sentences = SentenceEncoder.load()

        def embed(texts: Sequence[str]) -> Tensor:
            asked.append(texts)
            return sentences.embed(texts)

        engine = Engine(store, tiny_tracker(), embed)
        save_examples(tmp_path, {"greet": ["hello there", "hi you"]}, engine)
        asked.clear()
        monkeypatch.setattr(host.Engine, "open", lambda *_, **__: engine)

        class Saved:
            @contextmanager
            def read_from(self, resource: Any) -> Iterator[Path]:
                yield tmp_path

        settings = {**OnrampModel.get_default_config(), "replies": False}
        model = OnrampModel.load(settings, None, None, None)  # type: ignore[arg-type]
        assert model.provide().opened is engine
        assert [len(texts) for texts in asked] == [1, 1]  # twice, as PyTorch speeds traces up
        context, saved = ExecutionContext(GraphSchema({})), Saved()
        tracker = OnrampStateTracker.load({}, saved, None, context)  # type: ignore[arg-type]
        assert tracker._index is not None and tracker._index[0] is engine
        # what can't be indexed is no reason to load no model
        (tmp_path / "bot_examples.safetensors").write_bytes(save({"rows": torch.ones(1, 3)}))
        odd = OnrampStateTracker.load({}, saved, None, context)  # type: ignore[arg-type]
        assert odd._index is None


def test_rasa_trains_anew_where_the_store_or_the_settings_changed(tmp_path: Path) -> None:
    def digests(**config: Any) -> List[Any]:
        components: Sequence[Any] = (OnrampModel, OnrampStateTracker, OnrampPolicy)
        return [component.fingerprint_addon(config) for component in components]

    def imported(count: int) -> None:
        folder = tmp_path / str(count)
        folder.mkdir()
        write_domains(folder, Corpus({CAFE.name: CAFE}, bookings(count)))
        assert invoke("import", folder).code == 0

    assert invoke("init").code == 0
    imported(1)
    model, *code = digests()
    assert None not in (model, *code)
    assert digests() == [model, *code]
    assert digests(threshold=0.6)[0] != model
    imported(2)
    again, *others = digests()
    assert again != model and others == code


def test_what_a_bot_starts_works_as_the_bot_is_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setenv("SHOP", "sqlite:///shop.db")
    folders = {"checkpoint": str(tmp_path / "a"), "reply_checkpoint": str(tmp_path / "b")}
    for folder in folders.values():
        Path(folder).mkdir()

    def asked(command: str) -> Any:
        """What the command understands of it."""
        arguments = [*found.options[command], *(["one"] if command == "curve" else [])]
        made = cli.get_command(click.Context(cli), command)
        assert made is not None
        given = made.make_context(command, arguments).params
        return {name: given.get(name) for name in (*folders, "with_replies", "threads")}

    runtime = runtime_for(ModelSettings(database_url_env="SHOP", **folders))
    found = console._surroundings()
    assert found.environment["RASA_ONRAMP_DATABASE_URL"] == "sqlite:///shop.db"
    assert asked("worker") == {**folders, "with_replies": True, "threads": 3}
    assert asked("curve")["checkpoint"] == folders["checkpoint"]
    assert asked("curve")["threads"] == 3
    runtime = runtime_for(ModelSettings(replies=False, reply_checkpoint="nowhere"))
    found = console._surroundings()
    assert asked("worker")["with_replies"] is False
    assert asked("worker")["reply_checkpoint"] is None
    assert current_runtime() is runtime
