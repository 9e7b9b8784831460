"""training_data/dialogues/: hand-written domains, labelled soundly, and none that judges us."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Set, Tuple

import pytest
from rapidfuzz import fuzz, process

from labelled import JUDGES, steps
from rasa_onramp.dialogue import DONTCARE, Corpus, Dialogue, Schema, Turn
from rasa_onramp.formats import read
from rasa_onramp.metalearning.corpus import tasks_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "training_data" / "dialogues"
DOMAINS = sorted(FOLDER.glob("*.yml"))
#: Never trained on.
DEV = sorted((ROOT / "training_data" / "dev").glob("*.yml"))


@pytest.mark.parametrize("path", DOMAINS + DEV, ids=lambda path: path.stem)
def test_a_domain_is_sound(path: Path) -> None:
    file_holds_one_domain_named_like_it_and_its_dialogues(path)
    no_domain_is_one_that_we_judge_by(path)
    free_values_stand_verbatim_in_the_dialogue_so_far(path)
    calls_are_made_with_what_the_user_said(path)
    people_talk_like_people(path)
    if path in DOMAINS:
        paraphrase_says_the_same_in_other_words(path)


@lru_cache(maxsize=None)
def corpus_of(path: Path) -> Tuple[Schema, Corpus]:
    corpus = read(path)
    (schema,) = corpus.schemas.values()
    return schema, corpus


Values = Mapping[str, Tuple[str, ...]]


def changes(dialogue: Dialogue) -> Iterator[Tuple[List[Turn], Values]]:
    """For each user turn in scope: the turns up to it, and the values it set or changed."""
    for turns, before, after in steps(dialogue):
        yield turns, {s: v for s, v in after.values.items() if before.values.get(s) != v}


def file_holds_one_domain_named_like_it_and_its_dialogues(path: Path) -> None:
    schema, corpus = corpus_of(path)
    assert schema.name == path.stem
    assert len(corpus.dialogues) >= 12
    assert 5 <= len(schema.slots) <= 12
    assert any(slot.categorical for slot in schema.slots)
    assert all(not dialogue.turns[-1].is_user for dialogue in corpus.dialogues)
    assert {dialogue.split for dialogue in corpus.dialogues} == {None}


def paraphrase_says_the_same_in_other_words(path: Path) -> None:
    schema, corpus = corpus_of(path)
    (task,) = tasks_of(corpus, [read(FOLDER / "paraphrase_1" / path.name).schemas])
    ((other, names),) = task.variants
    assert [slot.values for slot in other.slots] == [slot.values for slot in schema.slots]
    for old, new in zip(schema.intents, other.intents):
        assert [names.slots[slot] for slot in old.required_slots] == list(new.required_slots)
        assert {names.slots[slot] for slot in old.optional_slots} == set(new.optional_slots)
    renamed = sum(old != new for old, new in names.slots.items())
    assert renamed * 2 >= len(names.slots)


def free_values_stand_verbatim_in_the_dialogue_so_far(path: Path) -> None:
    schema, corpus = corpus_of(path)
    for dialogue in corpus.dialogues:
        for turns, changed in changes(dialogue):
            so_far = "\n".join(turn.text for turn in turns).lower()
            for slot, values in changed.items():
                if not schema.slot(slot).categorical and values != (DONTCARE,):
                    assert values[0].lower() in so_far, (dialogue.id, slot, values)


def calls_are_made_with_what_the_user_said(path: Path) -> None:
    _, corpus = corpus_of(path)
    for dialogue in corpus.dialogues:
        state: Mapping[str, Tuple[str, ...]] = {}
        for turn in dialogue.turns:
            if turn.state is not None:
                state = turn.state.values
            for slot, value in turn.parameters.items():
                assert value in state.get(slot, ()), (dialogue.id, turn.text, slot)


def people_talk_like_people(path: Path) -> None:
    schema, corpus = corpus_of(path)
    found: Dict[str, int] = dict.fromkeys(("meant", "accepted", "changed", "out of scope"), 0)
    for dialogue in corpus.dialogues:
        found["out of scope"] += any(t.is_user and t.state is None for t in dialogue.turns)
        seen: Set[str] = set()
        for turns, changed in changes(dialogue):
            for slot, values in changed.items():
                unsaid = values[0].lower() not in turns[-1].text.lower() and values != (DONTCARE,)
                found["meant" if schema.slot(slot).categorical else "accepted"] += unsaid
                found["changed"] += slot in seen
                seen.add(slot)
    assert found["meant"] >= 5
    assert found["changed"] >= 2
    assert found["out of scope"] >= 1


def no_domain_is_one_that_we_judge_by(path: Path) -> None:
    schema, _ = corpus_of(path)
    text = " ".join((schema.name, schema.description, *(i.description for i in schema.intents)))
    words = re.sub("[_-]", " ", text.lower())
    assert [word for word in JUDGES if word in words] == []


def said(folder: Path) -> Set[str]:
    """The user turns of more than four words in a folder, without case and signs."""
    corpora = [corpus_of(path)[1] for path in sorted(folder.glob("*.yml"))]
    texts = (t.text for c in corpora for d in c.dialogues for t in d.turns if t.is_user)
    return {re.sub(r"[^\w\s]", "", text.lower()) for text in texts if len(text.split()) > 4}


def test_nobody_says_what_is_said_where_we_are_judged() -> None:
    judges = sorted(said(ROOT / "dialogue_data"))
    for text in sorted(said(FOLDER)):
        twin = process.extractOne(text, judges, scorer=fuzz.ratio, score_cutoff=90)
        assert twin is None, (text, twin)


def test_the_folders_share_no_domain_and_hold_what_the_readme_says() -> None:
    generated = (ROOT / "training_data" / "domains").glob("*.yml")
    others = {path.name for path in (*DEV, *generated)}
    assert not {path.name for path in DOMAINS} & others
    readme = (ROOT / "training_data" / "README.md").read_text(encoding="utf-8")
    for paths, folder in ((DOMAINS, "dialogues/"), (DEV, "dev/")):
        corpora = [corpus_of(path)[1] for path in paths]
        dialogues = [d for corpus in corpora for d in corpus.dialogues]
        turns = sum(turn.is_user for d in dialogues for turn in d.turns)
        row = f"| `{folder}` | {len(paths)} | {len(dialogues):,} | {turns:,} |"
        assert row in readme, row
