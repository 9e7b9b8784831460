"""Routing with the real sentence encoder and the repository's own domains."""

from __future__ import annotations

from pathlib import Path
from sys import getsizeof
from typing import Dict, List, Tuple

import pytest
import torch
from safetensors.torch import save_file

from rasa_onramp.dialogue import Corpus, Intent, Schema
from rasa_onramp.embedding import CachedEmbed
from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.formats import read
from rasa_onramp.runtime.background import Background, load_background
from rasa_onramp.runtime.domain_index import Crowd, DomainIndex
from rasa_onramp.runtime.router import BotView, Router
from rasa_onramp.tracker.sentences import cached_sentences
from small_bot import TABLES, dialogues

Indexes = Dict[str, DomainIndex]

#: What a bot of a cinema is trained on, small talk included.
CINEMA = {
    "greet": ["hello", "hi", "hey there", "good morning"],
    "affirm": ["yes", "yes please", "sure", "correct", "yep"],
    "deny": ["no", "nope", "no thanks"],
    "buy_ticket": [
        "i want to buy a cinema ticket",
        "two tickets for the film tonight",
        "book seats for the movie",
        "can i get a ticket for the eight o'clock showing",
    ],
    "opening_hours": ["when does the cinema open", "what are your opening hours"],
}


@pytest.fixture(scope="module")
def background() -> Background:
    return load_background()


@pytest.fixture(scope="module")
def embed() -> CachedEmbed:
    return cached_sentences()


@pytest.fixture(scope="module")
def corpora(repository: Path) -> Dict[str, Corpus]:
    paths = sorted((repository / "dialogue_data").glob("*.yml"))
    return {path.stem: read(path) for path in paths}


@pytest.fixture(scope="module")
def indexes(corpora: Dict[str, Corpus], embed: CachedEmbed, background: Background) -> Indexes:
    found = {}
    for name, corpus in corpora.items():
        support = [d for d in corpus.dialogues if d.split == "support"]
        found[name] = DomainIndex.build(corpus.schemas[name], support, embed, background)
    return found


@pytest.fixture(scope="module")
def router(embed: CachedEmbed, background: Background) -> Router:
    return Router(embed, background)


@pytest.fixture(scope="module")
def cinema(embed: CachedEmbed, background: Background) -> DomainIndex:
    index = DomainIndex.of_bot(CINEMA, embed, background)
    assert index is not None
    return index


def held_out(corpora: Dict[str, Corpus], *, later: bool) -> List[Tuple[str, str]]:
    """Held-out messages with their domain: the first of each dialogue, or the later ones."""
    return [
        (dialogue.domain, turn.text)
        for corpus in corpora.values()
        for dialogue in corpus.dialogues
        if dialogue.split == "held-out"
        for number, turn in enumerate(dialogue.turns)
        if turn.is_user and turn.state is not None and bool(number) == later
    ]


def test_most_openings_find_their_domain(
    router: Router, indexes: Indexes, corpora: Dict[str, Corpus]
) -> None:
    found = [
        (domain, router.route(text, Crowd(indexes)).domain)
        for domain, text in held_out(corpora, later=False)
    ]
    assert sum(a == b for a, b in found) >= 0.85 * len(found)
    assert sum(b not in (a, None) for a, b in found) <= 0.08 * len(found)


def test_nearly_all_later_messages_stay(
    router: Router, indexes: Indexes, corpora: Dict[str, Corpus]
) -> None:
    messages = held_out(corpora, later=True)
    stayed = [
        router.route(text, Crowd(indexes), active=domain).domain == domain
        for domain, text in messages
    ]
    assert sum(stayed) >= 0.95 * len(messages)


@pytest.mark.parametrize(
    "text",
    [
        "what will the weather be like in Lisbon tomorrow?",
        "play something by Miles Davis",
        "book me a flight to Tokyo",
        "who won the match last night",
        "tell me a joke",
    ],
)
def test_what_is_no_domains_business_is_out_of_scope(
    router: Router, indexes: Indexes, text: str
) -> None:
    route = router.route(text, Crowd(indexes))
    assert (route.domain, route.reason) == (None, "none")
    assert route.score < 0.5
    assert set(route.scores) == set(indexes)


@pytest.mark.parametrize(
    "text", ["yes", "5 pm", "RX4821", "no thanks", "Friday", "the second one", "y"]
)
def test_short_answers_stay_in_the_active_domain(
    router: Router, indexes: Indexes, text: str
) -> None:
    for domain in indexes:
        assert router.route(text, Crowd(indexes), active=domain).domain == domain
    assert router.route(text, Crowd(indexes)).domain is None


def test_another_domain_takes_over_what_is_clearly_its_own(
    router: Router, indexes: Indexes
) -> None:
    text = "hi, where is my parcel? it should have been delivered yesterday"
    route = router.route(text, Crowd(indexes), active="it_helpdesk")
    assert (route.domain, route.reason) == ("parcel_delivery", "match")
    assert route.score >= 0.85


def test_a_schema_alone_attracts_its_messages(
    router: Router, indexes: Indexes, embed: CachedEmbed, background: Background
) -> None:
    schema = Schema(
        name="library_loans",
        description="Borrow, renew and return books of the public library",
        intents=(Intent("renew_loan", "Keep a borrowed book for longer"), Intent("find_book")),
    )
    own = DomainIndex.build(schema, (), embed, background)
    domains = Crowd({**indexes, schema.name: own})
    assert router.route("can i renew the library books i borrowed?", domains).domain == schema.name
    assert router.route("where is my parcel?", domains).domain == "parcel_delivery"


def test_a_bots_own_messages_are_left_to_it(
    router: Router, indexes: Indexes, cinema: DomainIndex
) -> None:
    bot = BotView(cinema, 0.97)
    for text in ("hello", "i'd like two tickets for tonight's film", "when do you open?"):
        assert router.route(text, Crowd(indexes), bot=bot).domain is None
        assert router.route(text, Crowd(indexes), active="parcel_delivery", bot=bot).domain is None
    text = "can i buy a cinema ticket"
    assert router.route(text, Crowd(indexes), active="mobile_plan", bot=bot).reason == "bot"


def test_a_bots_examples_are_held_once_and_compared_as_before(
    router: Router,
    indexes: Indexes,
    cinema: DomainIndex,
    embed: CachedEmbed,
    background: Background,
) -> None:
    rows = cinema.messages.clone()  # as a domain whose parts differ
    apart = DomainIndex(rows, rows, rows, rows.clone(), cinema.words, background)
    assert cinema.slots is cinema.messages and apart.slots is not apart.messages
    assert cinema._alone._messages._rows is cinema.messages
    assert cinema._alone._slots is cinema._alone._messages
    assert torch.equal(cinema.mean, apart.mean) and torch.equal(cinema.spread, apart.spread)
    for text in ("two tickets for tonight", "hello", "where is my parcel"):
        router.route(text, Crowd(indexes), bot=BotView(apart, 0.9))  # which stacks it
        heard = background.heard(text, embed([text])[0])
        assert cinema.likeness(heard) == apart.likeness(heard)
        with torch.inference_mode():
            assert cinema.likeness(heard) == apart.likeness(heard)


def test_a_bots_examples_are_compared_with_what_may_be_a_domains_only(
    router: Router, indexes: Indexes, embed: CachedEmbed, background: Background
) -> None:
    index = DomainIndex.of_bot(CINEMA, embed, background)
    assert index is not None
    bot = BotView(index, 0.99)
    assert router.route("play something by Miles Davis", Crowd(indexes), bot=bot).reason == "none"
    assert "_alone" not in vars(index)
    assert router.route("where is my parcel?", Crowd(indexes), bot=bot).reason == "match"
    assert "_alone" in vars(index)


def test_what_is_nearly_a_bots_own_example_opens_no_domain(
    router: Router, indexes: Indexes, embed: CachedEmbed, background: Background
) -> None:
    """However much it sounds like a domain: a pizzeria delivers as well."""
    hours = ["until when do you deliver", "when are you open", "what are your opening hours"]
    index = DomainIndex.of_bot({"ask_hours": hours}, embed, background)
    text = "until when do you deliver in dublin"
    assert router.route(text, Crowd(indexes)).domain == "parcel_delivery"
    for confidence in (0.99, 0.0):
        route = router.route(text, Crowd(indexes), bot=BotView(index, confidence))
        assert (route.domain, route.reason) == (None, "bot")
    parcel = router.route("when do you deliver my parcel", Crowd(indexes), bot=BotView(index, 0.5))
    assert parcel.domain == "parcel_delivery"


def test_a_bot_that_is_sure_of_a_domains_message_doesnt_get_it(
    router: Router, indexes: Indexes, cinema: DomainIndex
) -> None:
    """Intent classifiers are sure of what they have never seen."""
    route = router.route("where is my parcel?", Crowd(indexes), bot=BotView(cinema, 0.99))
    assert (route.domain, route.reason) == ("parcel_delivery", "match")


def test_an_answer_is_the_active_domains_though_the_bot_has_an_intent_for_it(
    router: Router, indexes: Indexes, cinema: DomainIndex
) -> None:
    bot = BotView(cinema, 0.99)
    for text in ("yes", "no thanks", "correct"):
        route = router.route(text, Crowd(indexes), active="clinic_appointments", bot=bot)
        assert (route.domain, route.reason) == ("clinic_appointments", "context")
        assert router.route(text, Crowd(indexes), bot=bot).domain is None


@pytest.mark.parametrize("text", ["it is hana", "hana"])
def test_an_answer_opens_no_conversation(
    router: Router, embed: CachedEmbed, background: Background, text: str
) -> None:
    index = DomainIndex.build(TABLES, dialogues(TABLES, 5), embed, background)
    tables = Crowd({"tables": index})
    assert router.route(text, tables).domain is None
    assert router.route(text, tables, active="tables").domain == "tables"
    assert router.route("dinner on sunday?", tables).domain == "tables"


def test_doubt_is_told(router: Router, indexes: Indexes) -> None:
    crowd = Crowd(indexes)
    doubtful = router.route("do you also sell train tickets?", crowd, active="parcel_delivery")
    assert doubtful.domain == "parcel_delivery"
    assert doubtful.doubtful
    assert not router.route("yes please", crowd, active="parcel_delivery").doubtful


@pytest.mark.parametrize(
    "text",
    [
        "That's it, cheers",
        "ok that's all i needed",
        "all good thank you",
        "lovely thank you so much",
        "cheers mate",
    ],
)
def test_goodbyes_are_not_out_of_scope(router: Router, indexes: Indexes, text: str) -> None:
    for domain in indexes:
        found = router.route(text, Crowd(indexes), active=domain)
        assert (found.domain, found.doubtful) == (domain, False)


def test_thresholds_count(embed: CachedEmbed, background: Background, indexes: Indexes) -> None:
    text, crowd = "my laptop is broken", Crowd(indexes)
    assert Router(embed, background, threshold=0.3).route(text, crowd).domain == "it_helpdesk"
    assert Router(embed, background, threshold=1.0).route(text, crowd).domain is None


def test_no_domains_no_route(router: Router) -> None:
    assert router.route("where is my parcel?", Crowd({})).domain is None
    assert router.route("yes", Crowd({}), active="gone").domain is None


def test_a_bot_without_examples_has_no_index(embed: CachedEmbed, background: Background) -> None:
    assert DomainIndex.of_bot({}, embed, background) is None
    assert DomainIndex.of_bot({"greet": [" "]}, embed, background) is None


def test_embeddings_are_computed_once_and_the_oldest_forgotten() -> None:
    asked: List[str] = []

    def count(texts):
        asked.extend(texts)
        return torch.tensor([[float(len(text)), 1.0] for text in texts])

    embed = CachedEmbed(count, limit=2 * (getsizeof("bb") + 8))
    assert embed(["a", "bb", "a"]).tolist() == [[1, 1], [2, 1], [1, 1]]
    assert embed(["bb"]).tolist() == [[2, 1]]
    assert asked == ["a", "bb"]
    embed(["ccc"])
    embed(["a"])
    assert asked == ["a", "bb", "ccc", "a"]


def test_another_kind_of_encoder_is_refused(background: Background) -> None:
    with pytest.raises(ConfigError, match=r"have 8 dimensions.*use all-MiniLM-L6-v2"):
        Router(lambda texts: torch.ones(len(texts), 8), background)


def test_a_broken_background_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="reinstall rasa-onramp"):
        load_background(tmp_path / "router.safetensors")
    (tmp_path / "router.safetensors").write_bytes(b"half of a fi")
    with pytest.raises(CheckpointError, match="reinstall rasa-onramp"):
        load_background(tmp_path / "router.safetensors")
    save_file({"mean": torch.zeros(3)}, str(tmp_path / "router.safetensors"))
    with pytest.raises(CheckpointError, match="reinstall rasa-onramp"):
        load_background(tmp_path / "router.safetensors")


def test_many_domains_at_once_are_each_as_by_itself(
    indexes: Indexes, cinema: DomainIndex, embed: CachedEmbed, background: Background
) -> None:
    """Beside a reference that takes one domain and one message at a time, by the definition."""
    alone = DomainIndex.build(TABLES, (), embed, background)  # one message and one opening
    crowd = [*indexes.values(), cinema, alone]
    for text in ("where is my parcel", "hello", "a table for two, please"):
        heard = background.heard(text, embed([text])[0])
        row, said = heard.row, heard.words.vector()
        found_of = Crowd({str(n): each for n, each in enumerate(crowd)}).likenesses(heard)
        for index, found in zip(crowd, found_of.values()):
            near = sorted((float(each @ row) for each in index.messages), reverse=True)
            nearest = sum(near[:3]) / len(near[:3])
            slot = max(float(each @ row) for each in index.slots)
            topic, opening = float(index.topic @ row), float(index.opening @ row)
            raw = (
                0.45 * nearest + 0.27 * topic + 0.28 * slot,
                0.35 * opening + 0.35 * topic + 0.3 * slot,
            )
            alike = [
                min(8.0, (float(words.vector() @ said) - usual) / spread)
                for words, (usual, spread) in zip(index.words, index.usual_words)
            ]
            wanted = [
                (value - float(mean)) / float(spread) + 0.55 * words
                for value, words, mean, spread in zip(raw, alike, index.mean, index.spread)
            ]
            assert [found.message, found.opening] == pytest.approx(wanted, abs=1e-3)
            assert found.nearest == pytest.approx(near[0], abs=1e-5)
