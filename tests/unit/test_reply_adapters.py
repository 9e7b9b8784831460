"""The reply updates in memory, read from the store."""

from __future__ import annotations

import itertools
import logging
import threading
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest
import torch

from rasa_onramp.errors import CheckpointError, StoreUnavailable
from rasa_onramp.generator.neural import NeuralGenerator
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.runtime import reply_adapters
from rasa_onramp.runtime.background import load_background
from rasa_onramp.runtime.domain_writer import DomainWriter
from rasa_onramp.runtime.domains import Catalogue, LiveDomain
from rasa_onramp.runtime.generators import Generators
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.runtime.reply_adapters import ReplyAdapters
from rasa_onramp.store import ReplyAdapter, Store, open_store
from servers import wait_for
from tiny_replies import SCHEMA, corpus, random_updates, tiny_model

pytest.importorskip("transformers")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus())
        yield store


def add(store: Store, weights: dict, checkpoint: str = "start") -> str:
    """A version that writes replies; the digest of what it writes with."""
    store.adapters.add(
        *(SCHEMA.name, b"tracker"),
        support_digest="s",
        checkpoint_digest="c",
        figures={},
        activate=True,
        reply_weights=adapter_to_bytes(weights),
        reply_checkpoint_digest=checkpoint,
    )
    (summary,) = store.dialogues.summary()
    assert summary.active_reply_digest is not None
    return summary.active_reply_digest


def test_updates_are_where_the_model_is_and_in_its_precision(store: Store) -> None:
    weights = random_updates(tiny_model())
    digest = add(store, weights)
    found = ReplyAdapters(Reach(store), "start", torch.bfloat16, "meta", limit=2**20).get(
        SCHEMA.name, 1, digest
    )
    assert found is not None and found.digest == digest
    kinds = {(value.device.type, value.dtype) for value in found.weights.values()}
    assert kinds == {("meta", torch.bfloat16)}
    assert set(found.weights) == set(weights)


def test_what_is_known_is_not_read_again(store: Store) -> None:
    digest = add(store, random_updates(tiny_model()))
    adapters = ReplyAdapters(Reach(store), "start", torch.float32, limit=2**20)
    first = adapters.get(SCHEMA.name, 1, digest)
    store.close()
    assert adapters.get(SCHEMA.name, 1, digest) is first


def test_what_comes_too_late_for_a_message_serves_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = add(store, random_updates(tiny_model()))
    monkeypatch.setattr(Store, "remote", True)  # as one on a server, which may be slow
    read, asked, goes_on = store.adapters.reply, [], threading.Event()

    def slow(domain: str, version: int) -> Optional[ReplyAdapter]:
        asked.append(version)
        goes_on.wait(60)
        return read(domain, version)

    monkeypatch.setattr(store.adapters, "reply", slow)
    adapters = ReplyAdapters(Reach(store, 2.0, 1000.0), "start", torch.float32, limit=2**20)
    with pytest.raises(StoreUnavailable):
        adapters.get(SCHEMA.name, 1, digest)
    goes_on.set()
    wait_for(lambda: len(adapters.kept) == 1)
    assert adapters.get(SCHEMA.name, 1, digest) is not None and asked == [1]


def test_those_of_another_initialisation_are_refused_and_remembered(store: Store) -> None:
    digest = add(store, random_updates(tiny_model()), "another")
    adapters = ReplyAdapters(Reach(store), "start", torch.float32, limit=2**20)
    for _ in range(2):
        with pytest.raises(CheckpointError, match="another initialisation"):
            adapters.get(SCHEMA.name, 1, digest)
        store.close()  # the second time it isn't asked


def test_a_version_without_replies_has_none(store: Store) -> None:
    assert (
        ReplyAdapters(Reach(store), "start", torch.float32, limit=2**20).get(
            SCHEMA.name, None, None
        )
        is None
    )


def live(store: Store) -> LiveDomain:
    return Catalogue(
        Reach(store), embed, load_background(), Generators(embed, limit=2**20)
    ).domains()[SCHEMA.name]


def embed(texts: list) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.ones(len(texts), 384), dim=1)


#: How much is free differs each time.
FREE = itertools.count()


class Full:
    """Weights for which there is no room where the model is."""

    def to(self, *_: Any) -> None:
        raise torch.cuda.OutOfMemoryError(f"CUDA out of memory: {next(FREE)} bytes are free")


def test_where_a_gpu_is_full_a_domain_answers_by_its_support_replies(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add(store, random_updates(tiny_model()), tiny_model().digest)
    domain = live(store)
    writer = DomainWriter(Reach(store), tiny_model(), embed, seconds=1.0, sure=0.8, limit=2**20)
    with monkeypatch.context() as full, caplog.at_level(logging.ERROR):
        full.setattr(reply_adapters, "adapter_from_bytes", lambda _: {"layer": Full()})
        assert [writer.generator(domain) for _ in range(3)] == [domain.generator] * 3
    assert caplog.text.count("answers by its support replies: OutOfMemoryError: CUDA out") == 1
    assert isinstance(writer.generator(domain), NeuralGenerator)  # once there is room


def test_a_domain_that_cannot_use_its_updates_answers_all_the_same_and_says_so_once(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    add(store, random_updates(tiny_model()), "another")
    domain = live(store)
    writer = DomainWriter(Reach(store), tiny_model(), embed, seconds=1.0, sure=0.8, limit=2**20)
    with caplog.at_level(logging.ERROR):
        assert [writer.generator(domain) for _ in range(3)] == [domain.generator] * 3
    assert caplog.text.count("answers by its support replies") == 1
