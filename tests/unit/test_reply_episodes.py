"""Episodes to learn replies from: what each dialogue is read with, and their file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List, Sequence

import numpy
import pytest
import torch

from rasa_onramp.dialogue import Dialogue
from rasa_onramp.errors import FormatError
from rasa_onramp.generator.packing import Packed
from rasa_onramp.generator.replies import SupportReply, support_replies
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.reply_episodes import (
    SHOTS,
    KnownReplies,
    ReplyEpisode,
    make_episodes,
    read_episodes,
    support_and_queries,
    write_episodes,
)
from tiny_replies import SCHEMA, corpus, dialogue, embed, shared_tokens, system, user

TOKENS = shared_tokens()


def made(count: int = 4, seed: int = 0) -> List[ReplyEpisode]:
    return list(make_episodes(TOKENS, tasks_of(corpus()), count, seed, embed))


@pytest.fixture(scope="module")
def episodes() -> List[ReplyEpisode]:
    return made()


def as_text(sequence: Packed) -> str:
    return TOKENS.text(sequence.ids.tolist())


def answered(name: str, *answers: str) -> Sequence[SupportReply]:
    """A dialogue with the same question before every answer."""
    turns = []
    for answer in answers:
        turns += [user("hi", "track", tracking_number="QQ7"), system(answer)]
    return support_replies(SCHEMA, [dialogue(name, *turns)])


def same(one: Sequence[ReplyEpisode], other: Sequence[ReplyEpisode]) -> bool:
    def plain(episodes: Sequence[ReplyEpisode]) -> List:
        return [
            (
                each.service,
                *(
                    [
                        (s.ids.tolist(), s.learned.tolist(), s.ids.dtype, s.learned.dtype)
                        for s in part
                    ]
                    for part in (each.support, each.query)
                ),
            )
            for each in episodes
        ]

    return plain(one) == plain(other)


def test_a_wording_that_differs_in_an_action_alone_has_replies_of_its_own() -> None:
    (action, *others) = SCHEMA.actions
    renamed = replace(SCHEMA, actions=(replace(action, name="look_it_up"), *others))
    talk = dialogue(
        "one",
        user("where is it", "track", tracking_number="AB1"),
        system("It is in transit.", action.name, {"status": "in transit"}),
    )
    told = replace(talk, turns=(talk.turns[0], replace(talk.turns[1], action="look_it_up")))
    known = KnownReplies()
    first, again, other = known.of(SCHEMA, talk), known.of(SCHEMA, talk), known.of(renamed, told)
    assert again is first
    assert [r.situation.action for r in (*first, *other)] == [action.name, "look_it_up"]


def liked(sequence: Packed) -> List[str]:
    return [line for line in as_text(sequence).split("\n") if line.startswith("Like: ")]


def test_a_support_dialogue_is_read_without_itself() -> None:
    support = [answered("a", "Alpha."), answered("b", "Beta.")]
    episode = support_and_queries(TOKENS, SCHEMA, support, [answered("c", "Gamma.")], embed)
    assert episode.service == SCHEMA.name
    assert [liked(each) for each in episode.support] == [["Like: Beta."], ["Like: Alpha."]]
    assert [as_text(each).split("\n")[-2] for each in episode.support] == [
        "Bot: Alpha.",
        "Bot: Beta.",
    ]
    (query,) = episode.query
    assert liked(query) == ["Like: Alpha. | Beta."]
    assert as_text(query).endswith("\nBot: Gamma.\n")


def test_queries_are_never_copied_from() -> None:
    queries = [answered("c", "Gamma."), answered("d", "Delta.")]
    episode = support_and_queries(TOKENS, SCHEMA, [], queries, embed)
    assert episode.support == ()
    assert [liked(each) for each in episode.query] == [[], []]


def test_dialogues_without_replies_are_left_out() -> None:
    silent: Sequence[SupportReply] = ()
    episode = support_and_queries(
        TOKENS, SCHEMA, [silent, answered("a", "Alpha.")], [silent], embed
    )
    assert (len(episode.support), episode.query) == (1, ())


def test_all_texts_are_embedded_at_once() -> None:
    calls: List[Sequence[str]] = []

    def counted(texts: Sequence[str]) -> torch.Tensor:
        calls.append(texts)
        return embed(texts)

    support = [answered("a", "Alpha.", "Again alpha."), answered("b", "Beta.")]
    support_and_queries(TOKENS, SCHEMA, support, [answered("c", "Gamma.")], counted)
    assert [sorted(texts) for texts in calls] == [["", "Alpha.", "hi"]]


def test_episodes_hold_what_their_weights_say(episodes: List[ReplyEpisode]) -> None:
    assert len(episodes) == 4
    assert {each.service for each in episodes} == {SCHEMA.name}
    assert all(each.query for each in episodes)
    assert {len(each.support) for each in episodes} <= set(SHOTS)
    assert all(len(each.query) <= 2 for each in episodes)
    assert sum(SHOTS.values()) == pytest.approx(1)
    for each in episodes:
        held = [as_text(sequence) for sequence in (*each.support, *each.query)]
        assert len(set(held)) == len(held)


def test_episodes_are_the_same_for_the_same_seed(episodes: List[ReplyEpisode]) -> None:
    assert same(made(), episodes)
    assert same(made(2), episodes[:2])
    assert not same(made(2, seed=1), episodes[:2])


def test_an_episode_is_of_its_service_whatever_a_wording_calls_it() -> None:
    other = replace(SCHEMA, name="parcel_delivery1", description="Everything about packages")
    tasks = tasks_of(corpus(), [{other.name: other}])
    found = list(make_episodes(TOKENS, tasks, 8, 0, embed))
    assert any(other.description in as_text(each.query[0]) for each in found)
    assert {each.service for each in found} == {SCHEMA.name}


def test_services_without_replies_are_passed_over() -> None:
    held = corpus(1)
    silent = tuple(Dialogue(f"s{n}", SCHEMA.name, (user("hi", "track"),)) for n in range(4))
    (task,) = tasks_of(type(held)(held.schemas, held.dialogues + silent))
    for each in make_episodes(TOKENS, [task], 4, 0, embed):
        assert each.query and all(s.ids.size for s in (*each.support, *each.query))


def test_what_is_written_is_read_again(episodes: List[ReplyEpisode], tmp_path: Path) -> None:
    path = tmp_path / "episodes.npz"
    # none of a multiple of eight marks, which are packed; and no support
    episodes = [*episodes, ReplyEpisode("another", (), episodes[0].query[:1])]
    write_episodes(path, episodes, TOKENS.vocabulary)
    assert same(read_episodes(path, TOKENS.vocabulary), episodes)
    assert [each.name for each in tmp_path.iterdir()] == ["episodes.npz"]
    write_episodes(path, episodes[:1], TOKENS.vocabulary)
    assert same(read_episodes(str(path), TOKENS.vocabulary), episodes[:1])


def test_tokens_of_another_language_model_are_refused(
    episodes: List[ReplyEpisode], tmp_path: Path
) -> None:
    path = tmp_path / "episodes.npz"
    write_episodes(path, episodes, "another's")
    with pytest.raises(FormatError, match=r"for another language model.*pack again with this"):
        read_episodes(path, TOKENS.vocabulary)
    with numpy.load(str(path), allow_pickle=False) as file:
        earlier = {name: file[name] for name in file.files if name != "vocabulary"}
    numpy.savez(str(path), **earlier)  # earlier versions didn't say
    assert same(read_episodes(path, TOKENS.vocabulary), episodes)


@pytest.mark.parametrize("share", [0.99, 0.5, 0.01])
def test_a_truncated_file_is_refused(
    share: float, episodes: List[ReplyEpisode], tmp_path: Path
) -> None:
    path = tmp_path / "episodes.npz"
    write_episodes(path, episodes, TOKENS.vocabulary)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path)


def test_other_files_are_refused(episodes: List[ReplyEpisode], tmp_path: Path) -> None:
    path = tmp_path / "episodes.npz"
    refused(path)
    path.write_text("nothing of the kind")
    refused(path)
    numpy.savez(str(path), ids=numpy.zeros(3))
    refused(path)


@pytest.mark.parametrize("part", ["ids", "lengths", "parts"])
def test_parts_that_do_not_fit_are_refused(
    part: str, episodes: List[ReplyEpisode], tmp_path: Path
) -> None:
    path = tmp_path / "episodes.npz"
    write_episodes(path, episodes, TOKENS.vocabulary)
    with numpy.load(str(path), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    cut = max(1, len(arrays[part]) // 2)
    numpy.savez(str(path), **{**arrays, part: arrays[part][:cut]})
    refused(path)


def refused(path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        read_episodes(path, TOKENS.vocabulary)
    message = str(caught.value)
    assert message.startswith(f"{path}: not packed episodes")
    assert message.endswith("; pack them again") and "\n" not in message
