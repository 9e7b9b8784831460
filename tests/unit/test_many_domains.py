"""Many domains: a message is compared with few, and what didn't change isn't read again."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import pytest
import sqlalchemy as sa
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from rasa_onramp.dialogue import Corpus, Slot
from rasa_onramp.errors import StoreUnavailable
from rasa_onramp.runtime.background import Background, Heard, load_background
from rasa_onramp.runtime.domain_index import Crowd, DomainIndex
from rasa_onramp.runtime.domains import Catalogue
from rasa_onramp.runtime.generators import Generators
from rasa_onramp.runtime.known_embeddings import KnownEmbeddings
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.runtime.shortlist import Shortlist
from rasa_onramp.store import Embeddings, Store, cells, open_store
from servers import wait_for
from small_bot import TABLES, dialogues
from tiny_tracker import shared_tokens

WIDTH = 48


def near(centre: Tensor, count: int, spread: float, draw: torch.Generator) -> Tensor:
    """Directions about a direction."""
    noise = torch.randn(count, len(centre), generator=draw) / len(centre) ** 0.5
    return F.normalize(F.normalize(centre, dim=0) + spread * noise, dim=1)


@pytest.fixture(scope="module")
def many() -> Tuple[Dict[str, DomainIndex], List[Heard]]:
    """300 domains of five openings, ten messages, two topics and three slots; and messages to them.

    Of five words, each domain has three.
    """
    draw = torch.Generator().manual_seed(1)
    themes = torch.randn(30, WIDTH, generator=draw)
    vocabulary = load_background().vocabulary
    background = Background(torch.zeros(WIDTH), near(torch.ones(WIDTH), 40, 3.0, draw), vocabulary)
    indexes, asked = {}, []
    for number in range(300):
        (centre,) = near(themes[number % 30], 1, 1.0, draw)
        openings, others = near(centre, 6, 0.7, draw), near(centre, 10, 1.2, draw)
        topics, slots = near(centre, 2, 0.5, draw), near(centre, 3, 1.0, draw)
        messages = torch.cat([openings[:5], others])
        said = [("parcel", "hotel", "boiler", "visa", "horse")[(number + n) % 5] for n in range(3)]
        indexes[f"domain-{number}"] = DomainIndex(
            messages, openings[:5], topics, slots, (vocabulary.words(said),) * 2, background
        )
        asked.append(Heard(openings[5], vocabulary.words(["my", said[0]])))
    return indexes, asked


def test_the_likeliest_domains_are_on_the_shortlist(
    many: Tuple[Dict[str, DomainIndex], List[Heard]],
) -> None:
    indexes, asked = many
    every, few = Crowd(indexes, compared=1000), Crowd(indexes, compared=100)
    missed = {"message": 0, "opening": 0}
    for heard in asked:
        wanted, found = every.likenesses(heard), few.likenesses(heard, active="domain-7")
        assert len(wanted) == 300 and len(found) <= 129 and "domain-7" in found
        for name, likeness in found.items():
            assert dataclasses.astuple(likeness) == pytest.approx(
                dataclasses.astuple(wanted[name]), abs=1e-3
            )
        for kind in missed:
            best = max(wanted, key=lambda name: getattr(wanted[name], kind))
            missed[kind] += best not in found
    assert max(missed.values()) <= 3  # of 300


def test_stand_ins_are_likenesses_where_all_messages_are_one() -> None:
    draw = torch.Generator().manual_seed(2)
    (row,) = near(torch.ones(WIDTH), 1, 1.0, draw)
    (said,) = near(torch.ones(WIDTH), 1, 1.0, draw)
    vocabulary = load_background().vocabulary
    background = Background(torch.zeros(WIDTH), near(torch.ones(WIDTH), 9, 2.0, draw), vocabulary)
    nothing = vocabulary.words([])
    index = DomainIndex(*(said[None],) * 4, (nothing, nothing), background)
    found = index.stand_ins() @ torch.cat([row, torch.ones(1)])
    likeness = index.likeness(Heard(row, nothing))
    assert found.tolist() == pytest.approx([likeness.message, likeness.opening], abs=1e-3)


def test_groups_find_what_one_product_finds() -> None:
    draw = torch.Generator().manual_seed(3)
    themes = torch.randn(60, WIDTH, generator=draw)
    vectors = torch.stack([near(themes[n % 60], 2, 0.8, draw) for n in range(3000)])
    flat = Shortlist(vectors, grouped_from=10_000)
    grouped = Shortlist(vectors, grouped_from=1000)
    rows = torch.stack([near(vectors[n, 0], 1, 0.5, draw)[0] for n in range(0, 3000, 15)])
    best = [(vectors[:, kind] @ row).argmax().item() for row in rows for kind in (0, 1)]
    assert all(number in flat.of(rows[n // 2]) for n, number in enumerate(best))
    found = sum(number in grouped.of(rows[n // 2]) for n, number in enumerate(best))
    assert found >= 0.98 * len(best)
    # a few domains more: the groups' centres stay, and so do the answers
    more = torch.cat([vectors, vectors[:5] + 0.01])
    later = Shortlist(more, grouped, grouped_from=1000)
    assert later._centres is grouped._centres
    assert set(grouped.of(rows[0])) & set(later.of(rows[0]))
    # with another number of them by far, there are new ones
    fewer = Shortlist(vectors[:1100], grouped, grouped_from=1000)
    assert fewer._centres is not None and len(fewer._centres) == 33


def test_few_domains_are_all_compared(many: Tuple[Dict[str, DomainIndex], List[Heard]]) -> None:
    indexes, asked = many
    some = dict(list(indexes.items())[:5])
    crowd = Crowd(some)
    assert list(crowd.likenesses(asked[0])) == list(some)
    assert len(crowd) == 5 and "domain-3" in crowd and "domain-30" not in crowd
    for _ in range(2):  # nothing of it is stacked for a message
        alone = crowd.only("domain-3")
        assert list(alone.likenesses(asked[0])) == ["domain-3"]
        assert alone._all is some["domain-3"]._alone
    assert Crowd({}).likenesses(asked[0]) == {}


class CountedEmbed:
    """Embeds any text, and remembers which it was given."""

    def __init__(self) -> None:
        self.asked: List[str] = []

    def __call__(self, texts: Sequence[str]) -> Tensor:
        self.asked += texts
        seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) for text in texts]
        rows = [torch.randn(384, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return F.normalize(torch.stack(rows), dim=1)


class HeldEmbed(CountedEmbed):
    """Embeds when it may, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.may.set()
        self.failure: Optional[Exception] = None

    def __call__(self, texts: Sequence[str]) -> Tensor:
        assert self.may.wait(60)
        if self.failure is not None:
            raise self.failure
        return super().__call__(texts)


def domains(count: int) -> Corpus:
    names = [f"tables_{number}" for number in range(count)]
    schemas = {name: dataclasses.replace(TABLES, name=name) for name in names}
    found = [dataclasses.replace(d, domain=n) for n in names for d in dialogues(TABLES, 2)]
    return Corpus(schemas, tuple(found))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(domains(5))
        yield store


def catalogue(
    store: Store, embed: CountedEmbed, encoder: str = "one", *, seconds: float = 3.0
) -> Catalogue:
    generators, reach = Generators(embed, limit=2**20), Reach(store, seconds)
    return Catalogue(reach, embed, load_background(), generators, encoder=encoder)


def test_only_what_changed_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    live, embed = None, CountedEmbed()
    found = catalogue(store, embed)
    before = dict(found.domains())
    assert len(before) == 5
    read: List[str] = []
    support = store.support

    def counted(domain: str, *, held_out: bool = True):
        assert not held_out
        read.append(domain)
        return support(domain, held_out=held_out)

    monkeypatch.setattr(store, "support", counted)
    embed.asked.clear()
    changed = dataclasses.replace(TABLES, name="tables_3", description="Tables on a boat")
    store.dialogues.import_corpus(Corpus({"tables_3": changed}, ()))
    live = found.live()
    assert read == ["tables_3"] and "Tables on a boat" in embed.asked
    assert live.domains["tables_3"].schema.description == "Tables on a boat"
    assert all(live.domains[n] is before[n] for n in before if n != "tables_3")

    store.adapters.add(
        "tables_1", b"w", support_digest="s", checkpoint_digest="c", figures={}
    )  # another version is no reason to read the domain
    assert found.domains()["tables_1"].version == 1
    assert found.domains()["tables_1"].index is before["tables_1"].index
    store.dialogues.delete_domain("tables_0")
    assert set(found.domains()) == set(before) - {"tables_0"}
    assert "tables_0" not in found.live().crowd
    store.dialogues.import_corpus(domains(6))  # one is back, one is new, one is as it was at first
    assert sorted(read) == ["tables_3"]
    assert len(found.domains()) == 6
    assert sorted(read[1:]) == ["tables_0", "tables_3", "tables_5"]


def test_what_changed_while_it_was_read_and_changed_back_is_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, support, name = catalogue(store, CountedEmbed()), store.support, "tables_0"
    found.domains()

    def described(description: str) -> None:
        schema = dataclasses.replace(TABLES, name=name, description=description)
        store.dialogues.import_corpus(Corpus({name: schema}, ()))

    def changing(domain: str, *, held_out: bool = True):
        described("Tables on a ship")
        return support(domain, held_out=held_out)

    described("Tables on a boat")
    with monkeypatch.context() as patched:
        patched.setattr(store, "support", changing)
        assert found.domains()[name].schema.description == "Tables on a ship"
    described("Tables on a boat")
    assert found.domains()[name].schema.description == "Tables on a boat"


def test_an_older_copy_of_the_store_is_read_whole(store: Store) -> None:
    found = catalogue(store, CountedEmbed())
    changed = dataclasses.replace(TABLES, name="tables_0", description="Tables on a boat")
    store.dialogues.import_corpus(Corpus({"tables_0": changed}, ()))
    assert len(found.domains()) == 5
    store.dialogues.delete_domain("tables_4")
    other = dataclasses.replace(changed, description="Tables on a ship")
    store.dialogues.import_corpus(Corpus({"tables_0": other}, ()))
    with store._database.writing() as connection:  # as it was before somebody restored it
        connection.exec_driver_sql("UPDATE revision SET value = 1")
        connection.exec_driver_sql("DELETE FROM changes")
    live = found.domains()
    assert set(live) == {f"tables_{number}" for number in range(4)}
    assert live["tables_0"].schema.description == "Tables on a ship"


def test_a_domain_that_cannot_be_read_is_left_out_alone(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE domains SET schema = 'no' WHERE name = 'tables_3'")
    live = catalogue(store, CountedEmbed()).domains()
    assert sorted(live) == ["tables_0", "tables_1", "tables_2", "tables_4"]
    assert "domain tables_3 is left out: the schema of domain 'tables_3' isn't" in caplog.text


def test_a_domain_whose_schema_is_too_long_is_left_out(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Rather than be routed to, and fail at each message."""
    long = Slot("part", "Part", tuple(f"part {number}" for number in range(300)))
    schema = dataclasses.replace(TABLES, name="tables_5", slots=(*TABLES.slots, long))
    store.dialogues.import_corpus(Corpus({"tables_5": schema}, ()))
    embed = CountedEmbed()
    generators = Generators(embed, limit=2**20)
    found = Catalogue(
        Reach(store), embed, load_background(), generators, encoder="one", tokens=shared_tokens()
    )
    live = found.live()
    assert sorted(live.domains) == [f"tables_{number}" for number in range(5)]
    assert "tables_5" not in live.crowd
    assert "domain tables_5 is left out: domain 'tables_5' takes" in caplog.text
    assert "list fewer values or split the domain" in caplog.text
    assert "Part" not in embed.asked
    store.dialogues.import_corpus(domains(6))
    assert "tables_5" in found.domains()


def test_what_takes_long_to_be_read_holds_no_message_up(store: Store) -> None:
    embed = HeldEmbed()
    found = catalogue(store, embed, seconds=1.0)
    before = found.live(patient=False)
    embed.may.clear()
    embed.asked.clear()
    store.dialogues.import_corpus(domains(7))
    for least, most in ((0.9, 10.0), (0.0, 0.8)):  # one message waits a little, the next doesn't
        began = time.monotonic()
        assert found.live(patient=False) is before
        assert least <= time.monotonic() - began < most
    assert found.known("tables_6") is None
    assert [each.name for each in threading.enumerate()].count("onramp-domains") == 1
    changed = dataclasses.replace(TABLES, name="tables_1", description="Tables on a boat")
    store.dialogues.import_corpus(Corpus({"tables_1": changed}, ()))
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(found.live)
        embed.may.set()
        live = patient.result(60)
    # what changed while others were being read is there for who waits for all
    assert live.domains["tables_1"].schema.description == "Tables on a boat"
    assert {"tables_5", "tables_6"} <= set(live.domains)
    assert found.live(patient=False) is live
    assert embed.asked.count("Tables on a boat") == 1


def test_the_first_message_waits_no_longer_than_others(store: Store) -> None:
    """Of a bot that was started while the database was away."""
    embed = HeldEmbed()
    embed.may.clear()
    found = catalogue(store, embed, seconds=0.5)
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="read for the first time; ask again"):
            found.live(patient=False)
        assert time.monotonic() - began < 5
    embed.may.set()
    assert len(found.live().domains) == 5
    assert found.live(patient=False) is found.live()


def test_what_cannot_be_read_is_said_and_read_again(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    embed = HeldEmbed()
    found = catalogue(store, embed, seconds=0.5)
    before = found.live()
    embed.failure = RuntimeError("no room")
    store.dialogues.import_corpus(domains(6))
    with pytest.raises(RuntimeError, match="no room"):  # the message that asked says so
        found.live(patient=False)
    assert caplog.text == ""
    embed.may.clear()
    assert found.live(patient=False) is before
    embed.may.set()  # too late for a message
    wait_for(lambda: "what changed in the store can't be read: no room" in caplog.text)
    embed.failure = None
    assert "tables_5" in found.live().domains


def test_what_one_process_embedded_another_reads(store: Store) -> None:
    first, second = CountedEmbed(), CountedEmbed()
    one = catalogue(store, first).domains()
    two = catalogue(store, second).domains()
    assert first.asked and not second.asked
    for name in one:
        assert torch.equal(one[name].index.messages, two[name].index.messages)
    third = CountedEmbed()  # another encoder's are of no use
    catalogue(store, third, "another").domains()
    assert sorted(third.asked) == sorted(first.asked)


def test_embeddings_that_are_damaged_are_computed_anew(store: Store) -> None:
    first, second = CountedEmbed(), CountedEmbed()
    one = catalogue(store, first).domains()
    kept = store.embeddings.read(list(one))
    broken = {
        "tables_1": Embeddings(kept["tables_1"].digest, kept["tables_1"].rows[:100]),
        "tables_2": Embeddings(kept["tables_2"].digest, b""),
        "tables_3": Embeddings("0" * 64, kept["tables_3"].rows),
    }
    store.embeddings.keep(broken)
    two = catalogue(store, second).domains()
    assert len(second.asked) == 3 * len(first.asked) / 5
    assert all(torch.equal(one[n].index.topic, two[n].index.topic) for n in one)
    assert store.embeddings.read(list(one)) == kept


def test_embeddings_of_texts_with_symbols_are_computed_anew(tmp_path: Path) -> None:
    """They were embedded otherwise once, each such word as unknown; those of other texts weren't,
    and stay.
    """
    texts = ["Tables", "a table, please"]
    rows = save({"rows": F.normalize(torch.ones(2, 8)).half()})
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(domains(2))

        def kept(*texts: str) -> bool:
            digest = hashlib.sha256(b"one")
            for text in texts:
                digest.update(len(text).to_bytes(8, "big") + text.encode())
            store.embeddings.keep({"tables_0": Embeddings(digest.hexdigest(), rows)})
            embed = CountedEmbed()
            known = KnownEmbeddings(Reach(store), embed, "one", ["tables_0"])
            known.of("tables_0")(texts)
            known.close()
            again = KnownEmbeddings(Reach(store), embed, "one", ["tables_0"])
            again.of("tables_0")(texts)
            assert len(embed.asked) in (0, 2)  # at most once
            return not embed.asked

        assert kept(*texts)
        assert kept("Café", "10 € — René’s")
        assert not kept("Tables", "a table👍")
        assert not kept("Tables", "a table\U0001faf6")


@pytest.mark.parametrize("value", ["'x'", "1000000000000"])
def test_embeddings_that_are_no_bytes_silence_no_domain(
    store: Store, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    one = catalogue(store, CountedEmbed()).domains()
    kept = store.embeddings.read(list(one))
    with store._database.writing() as connection:
        connection.exec_driver_sql(
            f"UPDATE embeddings SET rows = {value} WHERE domain = 'tables_1'"
        )
    two = catalogue(store, CountedEmbed()).domains()
    assert sorted(two) == sorted(one)
    assert "5 domains are embedded anew: the store at" in caplog.text
    assert store.embeddings.read(list(one)) == kept


def test_embeddings_that_would_fill_the_memory_are_computed_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = CountedEmbed(), CountedEmbed()
    catalogue(store, first).domains()
    monkeypatch.setattr(cells, "MOST_BYTES", 9)
    with open_store(f"sqlite:///{store.name}") as other:
        assert len(catalogue(other, second).domains()) == 5
    assert sorted(second.asked) == sorted(first.asked)


def test_a_store_that_takes_no_embeddings_is_no_obstacle(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with store._database.writing() as connection:
        connection.execute(
            sa.text(
                "CREATE TRIGGER readonly BEFORE INSERT ON embeddings "
                "BEGIN SELECT RAISE(ABORT, 'no writing here'); END"
            )
        )
    assert len(catalogue(store, CountedEmbed()).domains()) == 5
    assert "weren't kept" in caplog.text


def test_a_generator_is_made_when_it_is_needed_and_kept_as_long_as_there_is_room(
    store: Store,
) -> None:
    embed = CountedEmbed()
    generators = Generators(embed, limit=2**30)
    live = Catalogue(Reach(store), embed, load_background(), generators).domains()
    assert len(generators.kept) == 0
    first = live["tables_1"].generator
    assert live["tables_1"].generator is first and len(generators.kept) == 1
    size = generators.kept.bytes
    assert first.pool.replies and size > 1000
    generators = Generators(embed, limit=3 * size)
    live = Catalogue(Reach(store), embed, load_background(), generators).domains()
    for domain in live.values():
        assert domain.generator.schema.name == domain.name
    assert 1 <= len(generators.kept) < 5 and generators.kept.bytes <= 3 * size
