"""How often a message that the tracker understood nothing of is answered with a goodbye.

    python bench/farewells.py [--data training_data/dev --data dialogue_data]

Each domain's support dialogues answer the user turns of its held-out ones (where it has no split,
five of its dialogues and the others), once with the labelled state and once with the state of the
turn before, as if nothing had been heard. Replies are retrieved; no language model. An end is a
turn after which the held-out dialogue says its last words: there a goodbye is right.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Counter as Counts
from typing import Iterator, Tuple

from tqdm import tqdm

from rasa_onramp.dialogue import Dialogue, Schema, State
from rasa_onramp.evaluation.protocol import Protocol, splits
from rasa_onramp.formats import read
from rasa_onramp.generator import RetrievalGenerator
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.tracker.sentences import cached_sentences

ROOT = Path(__file__).resolve().parent.parent
SHOTS = 5


def main() -> None:
    """Answer, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = [ROOT / "training_data" / "dev", ROOT / "dialogue_data"]
    parser.add_argument("--data", type=Path, action="append", help="folder of YAML; repeatable")
    options = parser.parse_args()
    files = [path for folder in options.data or default for path in sorted(folder.glob("*.yml"))]
    embed = cached_sentences()
    turns: Counts[bool] = Counter()
    goodbyes: Counts[Tuple[bool, bool]] = Counter()
    for path in tqdm(files, unit="domain", disable=None):
        corpus = read(path)
        own = any(dialogue.split == "held-out" for dialogue in corpus.dialogues)
        protocol = Protocol((SHOTS,), seeds=1, own_split=own)
        for split in splits(corpus, list(corpus.schemas), protocol):
            generator = RetrievalGenerator(split.schema, split.pool, embed)
            farewells = {reply.source for reply in generator.pool.replies if reply.ends}
            for dialogue in split.held_out:
                for number, ends in user_turns(split.schema, dialogue):
                    turns[ends] += 1
                    for heard in (True, False):
                        said = answer(generator, dialogue, number, heard)
                        goodbyes[heard, ends] += said in farewells
    print("| answered with a goodbye | at an end | elsewhere |\n|---|---|---|")
    for heard, name in ((True, "state as labelled"), (False, "nothing heard")):
        cells = [f"{goodbyes[heard, ends]} of {turns[ends]}" for ends in (True, False)]
        print(f"| {name} | {cells[0]} | {cells[1]} |")


def user_turns(schema: Schema, dialogue: Dialogue) -> Iterator[Tuple[int, bool]]:
    """The numbers of the user turns in scope that are answered; whether each is an end."""
    ends = {reply.source for reply in support_replies(schema, [dialogue]) if reply.ends}
    for number, turn in enumerate(dialogue.turns[:-1]):
        if turn.state is not None and not dialogue.turns[number + 1].is_user:
            yield number, f"{dialogue.id}#{number + 1}" in ends


def answer(generator: RetrievalGenerator, dialogue: Dialogue, number: int, heard: bool) -> str:
    """The source of the reply to a user turn, its state as labelled or, not heard, as before it."""
    turn, said = dialogue.turns[number], dialogue.turns[number + 1]
    earlier = dialogue.turns[:number]
    if heard:
        turns = (*earlier, turn)
        return generator.reply(turns, turn.state, said.results, said.action).source
    states = [each.state for each in earlier if each.is_user and each.state is not None]
    before = replace(states[-1] if states else State(), requested_slots=())
    return generator.reply((*earlier, replace(turn, state=before)), before).source


if __name__ == "__main__":
    main()
