"""What operators get wrong: refused by `rasa train`, which only warns of the store, as no model
takes anything from it; abstained from with a log line at run time.

The components are made as Rasa's graph makes them; one case goes through `rasa train` itself.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, List

import pytest
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.core.domain import Domain
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.utils.endpoints import EndpointConfig

from rasa_onramp.components import (
    OnrampModel,
    OnrampPolicy,
    OnrampResponseGenerator,
    OnrampStateTracker,
)
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.store import open_store
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_programs import Bot
from servers import free_port
from small_bot import TABLES, corpus_of
from tiny_tracker import tiny_tracker, tokenizer_json

VARIABLE = "SHOP_STORE"
TABLE = "can i book a table on friday"


class Components:
    """Makes components as Rasa's graph does, in a model storage of their own."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self._storage = LocalModelStorage.create(folder)
        self._context = ExecutionContext(GraphSchema({}))

    def create(self, kind: Any, **config: Any) -> Any:
        return self._made(kind, kind.create, config)

    def load(self, kind: Any, **config: Any) -> Any:
        return self._made(kind, kind.load, config)

    def _made(self, kind: Any, make: Any, config: Dict[str, Any]) -> Any:
        config = {**kind.get_default_config(), **config}
        return make(config, self._storage, Resource(kind.__name__), self._context)


@pytest.fixture
def components(tmp_path: Path) -> Components:
    return Components(tmp_path / "storage")


@pytest.fixture
def store_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with a domain in it, named by the variable."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    monkeypatch.setenv(VARIABLE, url)
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
    return url


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "tracker"
    save_tracker(tiny_tracker(0, rank=2, steps=2), folder, tokenizer_json())
    return folder


def refusal(components: Components, **config: Any) -> List[str]:
    with pytest.raises(InvalidConfigException) as refused:
        components.create(OnrampModel, **config)
    return str(refused.value).splitlines()


def warnings(components: Components, caplog: pytest.LogCaptureFixture, **config: Any) -> List[str]:
    """What is logged by a training that isn't refused."""
    components.create(OnrampModel, **config)
    name = "rasa_onramp.components.model"
    return [record.getMessage() for record in caplog.records if record.name == name]


def understood(components: Components, **config: Any) -> List[Any]:
    """What a running bot leaves on three messages."""
    runtime = components.load(OnrampModel, **config).provide()
    tracker = components.load(OnrampStateTracker)
    messages = [Message({TEXT: TABLE}) for _ in range(3)]
    return [m.get("onramp") for m in tracker.process(messages, None, runtime)]


def told(caplog: pytest.LogCaptureFixture) -> List[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "rasa_onramp.components.host" and record.levelno >= logging.ERROR
    ]


def add_adapter(url: str, weights: bytes, checkpoint_digest: str) -> None:
    with open_store(url) as store:
        store.adapters.add(
            *("table_booking", weights),
            support_digest="any",
            checkpoint_digest=checkpoint_digest,
            figures={},
        )


def test_all_settings_are_checked_at_once(components: Components) -> None:
    lines = refusal(components, treshold=0.5, threshold=3, cache_mb=0, checkpoint="")
    assert [line.split(";")[0] for line in lines] == [
        "OnrampModel: checkpoint is ''",
        "OnrampModel: threshold is 3",
        "OnrampModel: cache_mb is 0",
        "OnrampModel: there is no setting 'treshold'",
    ]


def test_a_variable_that_is_not_set(
    components: Components, caplog: pytest.LogCaptureFixture
) -> None:
    (line,) = refusal(components, database_url_env=VARIABLE)
    assert line.startswith("OnrampModel: the environment variable SHOP_STORE isn't set; set it to")
    found = understood(components, database_url_env=VARIABLE)
    assert [payload["reason"] for payload in found] == ["unavailable"] * 3
    lines = told(caplog)
    assert len(lines) == 1
    assert "SHOP_STORE isn't set" in lines[0]


@pytest.mark.parametrize(
    "url", ["postgresql://shop:s3cret@host/shop", "host=db user=u password=s3cret"]
)
def test_a_url_where_a_variables_name_belongs(components: Components, url: str) -> None:
    (line,) = refusal(components, database_url_env=url)
    assert "doesn't name an environment variable that is set; put the store's URL in one" in line
    assert "s3cret" not in line


def test_a_database_that_cannot_be_reached(
    components: Components,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    checkpoint: Path,
) -> None:
    pytest.importorskip("psycopg2")
    url = f"postgresql://shop:s3cret@127.0.0.1:{free_port()}/shop"
    monkeypatch.setenv(VARIABLE, url)
    config = {"database_url_env": VARIABLE, "checkpoint": str(checkpoint)}
    (line,) = warnings(components, caplog, **config)
    assert "the bot will abstain: the store at" in line and "can't be reached" in line
    found = understood(components, **config)
    assert [payload["domain"] for payload in found] == [None] * 3
    assert len(told(caplog)) == 1
    assert "s3cret" not in line + caplog.text


def test_a_store_that_was_never_created(
    components: Components,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    checkpoint: Path,
) -> None:
    """As where a model is trained for a bot that runs elsewhere."""
    monkeypatch.setenv(VARIABLE, f"sqlite:///{tmp_path / 'none.db'}")
    config = {"database_url_env": VARIABLE, "checkpoint": str(checkpoint)}
    (line,) = warnings(components, caplog, **config)
    assert "hasn't been created yet; create it with `rasa-onramp init`" in line
    assert not (tmp_path / "none.db").exists()


def test_a_damaged_checkpoint(
    components: Components, store_url: str, checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (weights,) = checkpoint.glob("*.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 255]))
    config = {"database_url_env": VARIABLE, "checkpoint": str(checkpoint)}
    (line,) = refusal(components, **config)
    assert line.startswith("OnrampModel: checkpoint: ")
    assert [payload["reason"] for payload in understood(components, **config)] == [
        "unavailable"
    ] * 3
    assert len(told(caplog)) == 1


def test_an_initialisation_of_replies_that_is_not_there(
    components: Components, store_url: str, checkpoint: Path, tmp_path: Path
) -> None:
    config = {"database_url_env": VARIABLE, "checkpoint": str(checkpoint)}
    (line,) = refusal(components, **config, reply_checkpoint=str(tmp_path / "none"))
    assert line.startswith("OnrampModel: reply_checkpoint: ")
    components.create(OnrampModel, **config, replies=False, reply_checkpoint=str(tmp_path / "none"))


@pytest.mark.parametrize("setting", ["router_metric", "reply_metric"])
def test_a_learned_metric_that_is_not_there(
    components: Components, store_url: str, checkpoint: Path, tmp_path: Path, setting: str
) -> None:
    config = {"database_url_env": VARIABLE, "checkpoint": str(checkpoint)}
    (line,) = refusal(components, **config, **{setting: str(tmp_path / "none")})
    assert line.startswith(f"OnrampModel: {setting}: ")


def test_an_encoder_that_is_not_there(components: Components, store_url: str) -> None:
    lines = refusal(components, database_url_env=VARIABLE, encoder="no-such/encoder")
    assert len(lines) == 1
    assert lines[0].startswith("OnrampModel: encoder: ")


@pytest.mark.parametrize("fault", ["another checkpoint", "can't be read"])
def test_an_adapter_that_cannot_be_used(
    components: Components,
    store_url: str,
    checkpoint: Path,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    tracker = load_tracker(checkpoint)
    if fault == "another checkpoint":
        add_adapter(store_url, adapter_to_bytes(dict(tracker.weights)), "another")
    else:
        add_adapter(store_url, b"no weights", tracker.digest)
    config = {"database_url_env": VARIABLE, "checkpoint": str(checkpoint)}
    (line,) = warnings(components, caplog, **config)
    assert "the bot will abstain: table_booking: adapter " in line
    assert fault in line
    mend = "`rasa-onramp adapt table_booking`"
    other = ", with --checkpoint where the bot has one" if fault == "another checkpoint" else ""
    assert mend + other in line
    assert [payload["reason"] for payload in understood(components, **config)] == [
        "unavailable"
    ] * 3
    (said,) = told(caplog)
    assert fault in said
    assert mend in said

    add_adapter(store_url, adapter_to_bytes(dict(tracker.weights)), tracker.digest)
    components.create(OnrampModel, **config)
    assert [payload["domain"] for payload in understood(components, **config)] == [
        "table_booking"
    ] * 3


def test_a_state_tracker_without_a_model(components: Components) -> None:
    component = components.create(OnrampStateTracker)
    with pytest.raises(InvalidConfigException, match="no OnrampModel before it in the pipeline"):
        component.train(TrainingData())
    with pytest.raises(InvalidConfigException, match="there is no setting 'threshold'"):
        components.create(OnrampStateTracker, threshold=0.5)


def test_a_policy_in_a_domain_that_lacks_what_it_needs(components: Components) -> None:
    policy = components.create(OnrampPolicy)
    with pytest.raises(InvalidConfigException) as refused:
        policy.train([], Domain.from_dict({"intents": ["greet"]}))
    lines = str(refused.value).splitlines()
    assert len(lines) == 5
    assert all("run `rasa-onramp init --bot .`" in line for line in lines)
    with pytest.raises(InvalidConfigException, match="priority is 6"):
        components.create(OnrampPolicy, priority=6)


def test_a_setting_that_the_response_generator_does_not_have() -> None:
    with pytest.raises(InvalidConfigException, match="nlg has no setting temperature"):
        OnrampResponseGenerator(EndpointConfig(temperature=1))


def test_rasa_train_refuses_in_so_many_words(bots: Any, tmp_path: Path) -> None:
    """What is refused and what is warned of is told by one run."""
    bot: Bot = bots.own.with_environment(RASA_ONRAMP_DATABASE_URL=f"sqlite:///{tmp_path}/none.db")
    bad = Bot.copy(
        *(bot.folder, tmp_path / "bad", "config.yml", "domain.yml", "endpoints.yml", "data"),
        **bot.environment,
    )
    variable = "database_url_env: RASA_ONRAMP_DATABASE_URL"
    bad.edit("config.yml", variable, f"{variable}\n    checkpoint: nowhere")
    done = bad.run("train")
    assert done.code != 0
    assert "OnrampModel: checkpoint: " in done.text
    assert "hasn't been created yet; create it with `rasa-onramp init`" in done.text
    assert not list((bad.folder / "models").glob("*.tar.gz"))
