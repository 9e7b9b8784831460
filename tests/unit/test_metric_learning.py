"""Metric-based learning: losses against hand-written computation, episodes, runs, checkpoints."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import List, Tuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from command_line import invoke
from rasa_onramp.dialogue import Turn
from rasa_onramp.embedding import CachedEmbed
from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.generator.situation import situate
from rasa_onramp.metalearning.metric import matching, prototypical, siamese
from rasa_onramp.metalearning.metric.checkpoint import Metric, load_metric, save_metric
from rasa_onramp.metalearning.metric.embeddings import embed_once
from rasa_onramp.metalearning.metric.episodes import (
    Kind,
    MetricEpisode,
    MetricShape,
    draw_metric_episode,
    usable,
)
from rasa_onramp.metalearning.metric.space import Space
from rasa_onramp.metalearning.metric.training import (
    METHODS,
    MetricConfig,
    episode_loss,
    train_metric,
)
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.runtime.background import load_background
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.session import Session
from rasa_onramp.store import open_store
from rasa_onramp.tracker.sentences import cached_sentences
from small_bot import TABLES, corpus_of
from tiny_tracker import corpus, tiny_tracker, write_domains

#: Two classes in the plane, one with two examples; a query of each, and one of neither.
TOY = MetricEpisode(
    support=torch.tensor([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]]),
    labels=torch.tensor([0, 0, 1]),
    queries=torch.tensor([[0.8, 0.6], [-0.6, 0.8], [0.0, -1.0]]),
    wanted=torch.tensor([0, 1, 2]),
    ways=2,
)
SCALE, THRESHOLD = torch.tensor(2.0), torch.tensor(0.3)


def cosine(x: Tensor, y: Tensor) -> float:
    return sum(float(a) * float(b) for a, b in zip(x, y))


def negative_log_share(terms: List[float], wanted: int) -> float:
    return -math.log(terms[wanted] / sum(terms))


def test_the_prototypical_loss_is_the_papers() -> None:
    prototypes = [(0.8, 0.4), (-1.0, 0.0)]
    losses = []
    for query, wanted in zip(TOY.queries.tolist(), TOY.wanted.tolist()):
        squares = [sum((a - b) ** 2 for a, b in zip(query, centre)) for centre in prototypes]
        terms = [math.exp(-2.0 * square) for square in [*squares, 0.3]]
        losses.append(negative_log_share(terms, wanted))
    found = prototypical.loss(TOY, SCALE, THRESHOLD)
    assert found.item() == pytest.approx(sum(losses) / 3, rel=1e-5)


def test_the_matching_loss_is_the_papers() -> None:
    losses = []
    for query, wanted in zip(TOY.queries, TOY.wanted.tolist()):
        attention = [math.exp(2.0 * cosine(query, shown)) for shown in TOY.support]
        of_class = [attention[0] + attention[1], attention[2], math.exp(2.0 * 0.3)]
        losses.append(negative_log_share(of_class, wanted))
    found = matching.loss(TOY, SCALE, THRESHOLD)
    assert found.item() == pytest.approx(sum(losses) / 3, rel=1e-5)


def test_the_siamese_loss_is_the_papers_with_both_kinds_of_pairs_alike() -> None:
    same, other = [], []
    for query, wanted in zip(TOY.queries, TOY.wanted.tolist()):
        for shown, label in zip(TOY.support, TOY.labels.tolist()):
            p = 1 / (1 + math.exp(-2.0 * (cosine(query, shown) - 0.3)))
            (same if label == wanted else other).append(-math.log(p if label == wanted else 1 - p))
    assert (len(same), len(other)) == (3, 6)
    wanted_loss = 0.5 * (sum(same) / 3 + sum(other) / 6)
    found = siamese.loss(TOY, SCALE, THRESHOLD)
    assert found.item() == pytest.approx(wanted_loss, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_every_query_of_the_toy_is_sorted_rightly(method: str) -> None:
    threshold = torch.tensor(1.2 if method == "prototypical" else 0.3)
    logits = METHODS[method].logits(TOY, torch.tensor(5.0), threshold)
    assert logits.shape == (3, 3)
    assert logits.argmax(1).tolist() == TOY.wanted.tolist()


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_those_of_finite_differences(method: str) -> None:
    """Of the whole: the space, the scale and the threshold."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    rows = F.normalize(drawn, dim=-1)
    episode = MetricEpisode(
        rows[:5], torch.tensor([0, 0, 1, 1, 1]), rows[5:], torch.tensor([0, 1, 1, 2]), 2
    )
    space = Space(drawn.mean(0) / 4, scale=3.0, threshold=0.4)

    def value(delta: Tensor, log_scale: Tensor, threshold: Tensor) -> Tensor:
        space.delta, space.log_scale, space.threshold = delta, log_scale, threshold
        return episode_loss(space, method, episode)

    learned = (space.delta, space.log_scale, space.threshold)
    start = [p.detach().double().requires_grad_(True) for p in learned]
    assert torch.autograd.gradcheck(value, start)


def test_an_untrained_space_is_that_of_centred_embeddings() -> None:
    rows, mean = torch.tensor([[3.0, 1.0], [0.0, 2.0]]), torch.tensor([1.0, 1.0])
    space = Space(mean, scale=10.0, threshold=0.5)
    assert space(rows).tolist() == F.normalize(rows - mean, dim=-1).tolist()


def kinds(count: int, examples: int, known: int = 1) -> List[Kind]:
    """Classes around their own axis, told apart by a half of the dimensions only: the other half
    is the same noise in all of them.
    """
    generator = torch.Generator().manual_seed(1)
    found = []
    for number in range(count):
        centre = torch.zeros(8)
        centre[number % 4] = 0.4
        centre[4:] = 0
        noise = torch.randn(examples + known, 8, generator=generator)
        noise[:, :4] *= 0.05
        rows = F.normalize(centre + noise, dim=-1)
        found.append(Kind(f"kind {number}", rows[:examples], rows[examples:]))
    return found


SHAPE = MetricShape(ways=(2, 3), shots=(1, 3), queries=2, strangers=0.5)


def test_episodes_show_and_ask_different_examples_and_strangers_are_of_no_class() -> None:
    every = kinds(6, 4)
    rng = random.Random(0)
    for _ in range(30):
        episode = draw_metric_episode([every], SHAPE, rng)
        assert 2 <= episode.ways <= 3
        assert set(episode.labels.tolist()) == set(range(episode.ways))
        shown = {tuple(row) for row in episode.support.tolist()}
        classes: List[int] = []
        for query, wanted in zip(episode.queries.tolist(), episode.wanted.tolist()):
            assert tuple(query) not in shown
            home = next(n for n, kind in enumerate(every) if query in kind.examples.tolist())
            alike = [n for n in range(len(shown)) if episode.labels[n] == wanted]
            of_class = [episode.support[n].tolist() in every[home].examples.tolist() for n in alike]
            assert any(of_class) == (wanted < episode.ways)
            classes.append(wanted)
        assert classes.count(episode.ways) == round(0.5 * 2 * episode.ways)


def test_an_episode_leaves_a_third_of_its_area_to_strangers() -> None:
    shape = replace(SHAPE, ways=(50, 50))
    episode = draw_metric_episode([kinds(9, 3)], shape, random.Random(0))
    assert episode.ways == 6


def test_too_few_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match="three classes with two examples each"):
        usable([kinds(2, 4), [*kinds(2, 4), *kinds(1, 1)]])


@pytest.mark.parametrize("method", METHODS)
def test_training_finds_the_dimensions_that_matter(method: str, tmp_path: Path) -> None:
    config = MetricConfig(method, steps=50, ways=(2, 3), rate=2e-2, decay=1e-4, episodes_a_step=2)
    trained = train_metric(
        [kinds(4, 12)], torch.zeros(8), config, Run(tmp_path, tensorboard=False), progress=False
    )
    scale, threshold = METHODS[method].START
    raw = Space(torch.zeros(8), scale=scale, threshold=threshold)
    rng = random.Random(5)
    fresh = [draw_metric_episode([kinds(4, 12)], SHAPE, rng) for _ in range(40)]

    def right(space: Space) -> float:
        found = []
        for episode in map(space.mapped, fresh):
            logits = METHODS[method].logits(episode, space.log_scale.exp(), space.threshold)
            asked = episode.wanted < episode.ways
            found.append((logits[asked, :-1].argmax(1) == episode.wanted[asked]).float().mean())
        return float(torch.stack(found).mean())

    assert right(raw) < 0.7
    assert right(trained) > right(raw) + 0.1
    signal, noise = trained.projection[:, :4].norm(), trained.projection[:, 4:].norm()
    assert signal > 1.3 * noise


def test_a_run_resumes_where_it_stopped_and_the_same_seed_gives_the_same_metric(
    tmp_path: Path,
) -> None:
    config = MetricConfig(steps=12, ways=(2, 3), save_every=4)
    area = [kinds(4, 6)]
    mean = torch.zeros(8)
    whole = train_metric(area, mean, config, Run(tmp_path / "a", tensorboard=False), progress=False)
    again = train_metric(area, mean, config, Run(tmp_path / "b", tensorboard=False), progress=False)
    assert torch.equal(whole.delta, again.delta)
    assert whole.delta.abs().max() > 0
    finished = train_metric(
        area, mean, config, Run(tmp_path / "a", tensorboard=False), progress=False
    )
    assert torch.equal(whole.delta, finished.delta)
    lines = (tmp_path / "a" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 13))
    longer = replace(config, steps=16)
    train_metric(area, mean, longer, Run(tmp_path / "a", tensorboard=False), progress=False)
    lines = (tmp_path / "a" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines[12:]] == [13, 14, 15, 16]


def test_the_last_good_state_outlives_a_loss_that_is_no_number(tmp_path: Path) -> None:
    config = MetricConfig(steps=12, ways=(2, 3), save_every=2)
    run, mean = Run(tmp_path, tensorboard=False), torch.zeros(8)
    good = train_metric([kinds(4, 6)], mean, config, run, progress=False)
    broken = [Kind(k.name, k.examples * float("nan"), k.known) for k in kinds(4, 6)]
    longer = replace(config, steps=40)
    with pytest.raises(ConfigError, match="is NaN or infinite at step 22, as at the 9 before it"):
        train_metric([broken], mean, longer, run, progress=False)
    further = train_metric([kinds(4, 6)], mean, replace(config, steps=20), run, progress=False)
    assert torch.equal(further.delta, good.delta)  # as of step 20, none of eight taken


def test_an_unknown_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose one of prototypical, matching, siamese"):
        train_metric(
            [kinds(4, 3)], torch.zeros(8), MetricConfig("nearest"), Run(tmp_path, tensorboard=False)
        )


METRIC = Metric(
    torch.tensor([0.5, 0.0]),
    torch.tensor([[2.0, 0.0], [0.5, 1.0]]),
    scale=12.5,
    threshold=0.25,
    method="matching",
    purpose="domains",
    training_services=("a", "b"),
    card={"encoder": "all-MiniLM-L6-v2"},
)


def test_a_metric_comes_back_from_disk(tmp_path: Path) -> None:
    digest = save_metric(METRIC, tmp_path)
    found = load_metric(tmp_path, "domains")
    assert found.digest == digest
    assert torch.equal(found.projection, METRIC.projection)
    assert replace(found, digest="", mean=METRIC.mean, projection=METRIC.projection) == METRIC
    rows = torch.tensor([[1.5, 0.0]])
    assert torch.allclose(found(rows), F.normalize(torch.tensor([[2.0, 0.5]]), dim=-1))


def test_a_metric_for_something_else_is_refused(tmp_path: Path) -> None:
    save_metric(METRIC, tmp_path)
    with pytest.raises(CheckpointError, match=r"is a metric for domains, not for replies.*--for"):
        load_metric(tmp_path, "replies")


def test_a_broken_metric_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="give a folder written by meta-train"):
        load_metric(tmp_path, "domains")
    save_metric(METRIC, tmp_path)
    weights = tmp_path / "metric.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2] + b"\0\1")
    with pytest.raises(CheckpointError, match="not what its digest says"):
        load_metric(tmp_path, "domains")
    save_metric(replace(METRIC, projection=torch.eye(3)), tmp_path)
    with pytest.raises(CheckpointError, match="don't fit each other"):
        load_metric(tmp_path, "domains")


def test_embeddings_are_computed_once_for_the_same_texts(tmp_path: Path) -> None:
    asked: List[str] = []

    def embed(texts):
        asked.extend(texts)
        return torch.tensor([[float(len(text)), 1.0] for text in texts])

    path = tmp_path / "embeddings.safetensors"
    for _ in range(2):
        found = embed_once(path, ["a", "bb"], embed, by="one", progress=False)
        assert found.tolist() == [[1, 1], [2, 1]]
    assert asked == ["a", "bb"]
    assert embed_once(path, ["ccc"], embed, by="one", progress=False).tolist() == [[3, 1]]
    path.write_bytes(b"half of a fi")
    assert embed_once(path, ["ccc"], embed, by="one", progress=False).tolist() == [[3, 1]]
    assert embed_once(path, ["ccc"], embed, by="other", progress=False).tolist() == [[3, 1]]
    assert asked == ["a", "bb", "ccc", "ccc", "ccc"]


# -- from the command line, and in use -----------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five domains in YAML, four dialogues each."""
    return write_domains(tmp_path_factory.mktemp("data"), corpus(services=5, dialogues=4))


def test_meta_train_makes_a_metric_of_domains(data: Path, tmp_path: Path) -> None:
    command = ("meta-train", "--algorithm", "matching", "--data", data, "--run", tmp_path)
    done = invoke(*command, "--meta-steps", "3", "--spare", "1", "--progress")
    assert done.code == 0, done.err
    assert "3/3" in done.err
    metric = load_metric(tmp_path / "metric", "domains")
    assert done.out == f"{tmp_path / 'metric'}: {metric.digest[:12]}\n"
    assert metric.method == "matching"
    assert len(metric.training_services) == 4
    (spared,) = metric.card["spared"]
    assert spared not in metric.training_services
    size = (tmp_path / "metric" / "metric.safetensors").stat().st_size
    assert size < 2_000_000
    # embeddings were kept, and the run is over: nothing is left to do
    again = invoke(*command, "--meta-steps", "3", "--spare", "1", "--progress")
    assert "embed" not in again.err
    assert load_metric(tmp_path / "metric", "domains").digest == metric.digest


def test_a_run_of_another_metric_isnt_resumed(data: Path, tmp_path: Path) -> None:
    def train(method: str, *options: str, folder: Path = tmp_path):
        return invoke(
            *("meta-train", "--algorithm", method, "--data", data, "--run", folder),
            *("--meta-steps", "2", *options),
        )

    assert train("prototypical").code == 0
    for done, complaint in (
        (train("matching"), "is of another method (prototypical, not matching)"),
        (train("prototypical", "--seed", "1"), "is of another seed (0, not 1)"),
        (train("prototypical", "--spare", "1"), "is of another corpus (5 services, "),
    ):
        assert done.code == 2
        assert complaint in done.err and done.err.endswith("; give a new run folder\n")
    assert load_metric(tmp_path / "metric", "domains").method == "prototypical"


def test_meta_train_makes_a_metric_of_replies(repository: Path, tmp_path: Path) -> None:
    parcels = repository / "dialogue_data" / "parcel_delivery.yml"
    command = ("meta-train", "--algorithm", "siamese", "--data", parcels, "--run", tmp_path)
    done = invoke(*command, "--for", "replies", "--meta-steps", "3")
    assert (done.code, done.err) == (0, "")
    assert load_metric(tmp_path / "metric", "replies").method == "siamese"


def test_data_without_a_reply_is_refused_for_replies(tmp_path: Path) -> None:
    whole = corpus(services=1, dialogues=4)
    silent = [replace(d, turns=d.turns[:1]) for d in whole.dialogues]
    data = write_domains(tmp_path, replace(whole, dialogues=tuple(silent)))
    done = invoke(
        *("meta-train", "--algorithm", "matching", "--data", data, "--run", tmp_path / "run"),
        *("--for", "replies"),
    )
    assert done.code == 2 and "--data: metric-based learning needs three classes" in done.err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--spare", "5"), "--spare: 5 of 5 services leave none to train on"),
        (("--spare", "3"), "--data: metric-based learning needs three classes"),
        (("--hold-back", "TableBooking_1"), "--hold-back goes with a tracker, not with prototypi"),
        (
            (
                *("--start", "somewhere", "--stage", "both", "--steps", "4000", "--minutes", "1"),
                *("--tokens", "600", "--encoder-rate", "1", "--heads-rate", "1"),
                *("--episodes-a-step", "1", "--device", "cpu", "--paraphrases", "somewhere"),
            ),
            "--paraphrases, --stage, --start, --steps, --minutes, --episodes-a-step, --tokens, "
            "--encoder-rate, --heads-rate, --device go with a tracker, not with prototypical",
        ),
        (("--for", "replies"), "--data: metric-based learning needs three classes"),
    ],
)
def test_what_a_metric_cant_be_trained_with_is_refused(
    data: Path, tmp_path: Path, options: Tuple[str, ...], complaint: str
) -> None:
    command = ("meta-train", "--algorithm", "prototypical", "--data", data, "--run", tmp_path)
    done = invoke(*command, *options)
    assert done.code == 2
    assert complaint in done.err
    assert len(done.err.splitlines()) == 1


@pytest.fixture(scope="module")
def embed() -> CachedEmbed:
    return cached_sentences()


def test_a_router_sees_domains_in_the_space_of_its_metric(embed: CachedEmbed) -> None:
    """With W = I nothing changes; where W keeps one direction only, texts are alike or opposite."""
    plain = load_background()
    size = len(plain.mean)
    same = plain.seen_by(replace(METRIC, mean=plain.mean, projection=torch.eye(size)))
    line = torch.zeros(size, size)
    line[0] = embed(["where is my bike"])[0] - plain.mean
    flat = plain.seen_by(replace(METRIC, mean=plain.mean, projection=line))
    texts = ["where is my bike", "a table for two", "can i hire a bike", "hello"]
    assert torch.allclose(same.centred(embed(texts)), plain.centred(embed(texts)))
    assert torch.allclose(same.centres, plain.centres, atol=1e-6)
    seen = flat.centred(embed(texts))
    assert torch.allclose(seen[0] @ seen.T, (seen[0] @ seen.T).sign())
    assert torch.allclose(flat.centres[:, 0].abs(), torch.ones(len(flat.centres)))


def test_a_metric_of_embeddings_of_another_size_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"with 2 dimensions.*train it with all-MiniLM-L6-v2"):
        load_background().seen_by(METRIC)


def test_an_engine_routes_and_retrieves_by_the_metrics_that_it_is_given(
    tmp_path: Path, embed: CachedEmbed
) -> None:
    """Metrics in which all texts are alike: the router routes nothing, the first reply wins."""
    size = len(load_background().mean)
    blind = torch.zeros(size, size)
    blind[0] = 1e-3
    for name, purpose in (("router", "domains"), ("replies", "replies")):
        mean = torch.full((size,), -10.0)
        metric = replace(METRIC, mean=mean, projection=blind, purpose=purpose)
        save_metric(metric, tmp_path / name)
    text, tracker = "can i book a table on friday", tiny_tracker(rank=2, steps=2)
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        engines = [
            Engine(store, tracker, embed),
            Engine(
                store,
                tracker,
                embed,
                router_metric=load_metric(tmp_path / "router", "domains"),
                reply_metric=load_metric(tmp_path / "replies", "replies"),
            ),
        ]
        assert [engine.understand(Session(), text).domain for engine in engines] == [
            TABLES.name,
            None,
        ]
        for engine, same in zip(engines, (False, True)):
            pool = engine.catalogue.domains()[TABLES.name].generator.pool
            likeness, _ = pool.text_likeness(situate(TABLES, [Turn("user", text)], None))
            assert (float(likeness.min()) > 0.999) == same
