"""A bot's own responses in other words: what may be said, and what it is learned from."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Sequence

import pytest

from rasa_onramp.errors import ConfigError
from rasa_onramp.generator.packing import Packed
from rasa_onramp.generator.rephrasing import Rephraser, keeps
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.rephrasings import make_rephrasings, wordings
from tiny_replies import corpus, dialogue, embed, shared_tokens, system, user

TOKENS = shared_tokens()

PARCEL = "Your parcel {number} should arrive on {date}."


@pytest.mark.parametrize(
    "template, written",
    [
        (PARCEL, "Your parcel {number} is expected on {date}."),
        (PARCEL, "On {date} your parcel {number} should be there!"),
        ("It runs from {a} to {b}.", "It goes to {b}, from {a}."),
        ("It runs from {a} to {b}.", "{a} to {b} is where it runs."),
        ("From {a} to {a}?", "So from {a} and to {a}?"),
        ("We're open from 9 to 17.", "Our hours are 9 to 17."),
        ("We open at 9 a.m. on sunday.", "On Sunday, opening is at 9 am."),
        ("It takes 3 hours, or one day.", "That'll be 3 hours, or a day."),
        ("It costs $5.", "That'll be 5 dollars."),
        ("It costs 5 EUR.", "That'll be 5 euros."),
        ("Have a nice day!", "All the best to you!"),
        ("Write to help@shop.example, please.", "Please write to help@shop.example."),
        ("What's your name?", "Can you tell me your name?"),
        ("I'm a bot, made with Rasa.", "I am a bot that was made with Rasa."),
        ("Sorry, that failed.", "Unfortunately that didn't work."),
        ("You can't do that here.", "It isn't possible for you here."),
    ],
)
def test_other_words_that_keep_all_of_it(template: str, written: str) -> None:
    assert keeps(template, written)


@pytest.mark.parametrize(
    "template, written, lost",
    [
        (PARCEL, "Your parcel should arrive on {date}.", "a placeholder is missing"),
        (PARCEL, "Your parcel {number}, {number} on {date}.", "one is there twice"),
        (PARCEL, "Your parcel {number} of {shop} arrives on {date}.", "one is new"),
        (PARCEL, "Your parcel {number} arrives on {date", "one is torn"),
        (PARCEL, PARCEL, "nothing changed"),
        (PARCEL, PARCEL.upper().replace("NUMBER", "number").replace("DATE", "date"), "only case"),
        (PARCEL, "Your parcel {number} won't arrive on {date}.", "it denies"),
        ("You can't do that here.", "You can do that here.", "it no longer denies"),
        ("It runs from {a} to {b}.", "It goes from {b} to {a}.", "the other way"),
        ("It runs from {a} to {b}.", "To the town of {a} it goes, from there to {b}.", "to both"),
        ("What's your name?", "Tell me your name.", "it no longer asks"),
        ("Tell me your name.", "What's your name?", "it asks"),
        ("Your order costs {price}.", "Your order costs {price}, or 1 dollar.", "a number is new"),
        (
            "Your order costs {price}.",
            "Yours costs {price}, twenty less than usual.",
            "one in words",
        ),
        ("We're open from 9 to 17.", "Our hours are 9 to 18.", "another number"),
        ("We're open from 9 to 17.", "We open at 9.", "a number is missing"),
        ("We send it tomorrow.", "We send it today.", "another day"),
        ("Sunday is our day off.", "Saturday is our day off.", "another day at the beginning"),
        ("We open at 9 am.", "We're open from 9 pm.", "another half of the day"),
        ("We open at 9 a.m. then.", "We're open from 9 p.m. then.", "the same with dots"),
        ("It takes 3 hours.", "That'll take 3 days.", "another unit"),
        ("It takes two working days.", "That'll take two working weeks.", "not right after it"),
        ("It takes an hour.", "That'll take a day.", "of one"),
        ("It takes {number} minutes.", "That'll take {number} hours.", "of a placeholder"),
        ("It costs $5.", "That'll be £5.", "another currency"),
        ("Visit us soon.", "Do come soon to Berlin.", "a name is new"),
        ("Ask for Hana there.", "Ask for her there.", "a name is missing"),
        ("Visit us soon.", "Come to www.evil.example soon.", "a link is new"),
        ("Write to help@shop.example.", "Write to us.", "an address is missing"),
        ("Thanks for calling us today.", "Ok.", "much shorter"),
        ("Bye.", "Bye, and let me tell you a long story " + "that goes on " * 8, "much longer"),
        ("Bye.", "  ", "empty"),
    ],
)
def test_what_loses_or_adds_something_is_refused(template: str, written: str, lost: str) -> None:
    assert not keeps(template, written), lost


class Model:
    """Writes the same texts, and keeps what it was asked."""

    def __init__(self, *texts: str):
        self.texts = texts
        self.asked: List[str] = []

    def __call__(self, prompt: Packed) -> Sequence[str]:
        self.asked.append(TOKENS.text(prompt.ids.tolist()))
        return self.texts


def rephraser(model: Model, alike: float = 0.3) -> Rephraser:
    return Rephraser(TOKENS, model, embed, alike=alike)


def test_the_model_reads_the_last_exchanges_and_what_to_say() -> None:
    model = Model("Your parcel {number} will arrive on {date}.")
    past = [(f"user {number}", f"bot {number}") for number in range(4)]
    assert rephraser(model).rephrase(PARCEL, "where\nis it\nBot: here", past) == model.texts[0]
    (asked,) = model.asked
    assert asked.endswith(
        "User: user 2\nBot: bot 2\nUser: user 3\nBot: bot 3\n"
        f"User: where is it Bot: here\nSay: {PARCEL}\nBot:"
    )
    assert "user 1" not in asked


@pytest.mark.parametrize(
    "template",
    ["Your parcel.\n- {number}\n- {date}", "Hello. " * 60, "Type {{number}} for {number}."],
)
def test_what_cannot_be_read_whole_or_would_lose_its_layout_stands(template: str) -> None:
    model = Model(template.replace("\n", " ").replace("Your", "The").replace("Hello", "Hi"))
    assert rephraser(model, alike=0.0).rephrase(template, "hi") is None


def test_another_meaning_is_refused() -> None:
    model = Model("You like {number} and {date} very much!")
    assert rephraser(model, alike=0.0).rephrase(PARCEL, "hi") == model.texts[0]
    assert rephraser(model, alike=0.8).rephrase(PARCEL, "hi") is None


@pytest.mark.parametrize(
    ("template", "written"),
    [("What can I do for you?", "What can you do?"), ("We open at 9.", "Opening at 9.")],
)
def test_whoever_is_spoken_of_still_is(template: str, written: str) -> None:
    assert keeps(template, written)
    assert rephraser(Model(written), alike=0.0).rephrase(template, "hi") is None


def test_of_several_the_one_most_alike_is_chosen() -> None:
    near = "Your parcel {number} will arrive on {date}."
    far = "On {date} there is something for you, {number} it is called."
    assert rephraser(Model(far, near, "no")).rephrase(PARCEL, "hi") == near


def test_where_the_model_has_nothing_the_response_stands() -> None:
    assert rephraser(Model()).rephrase(PARCEL, "hi") is None
    assert rephraser(Model("It costs 1 dollar.")).rephrase(PARCEL, "say it costs 1 dollar") is None


def replies_of(*said: str):
    turns = []
    for text in said:
        turns += [user("hi", "track", tracking_number="QQ7"), system(text)]
    return support_replies(corpus().schemas["parcel_delivery"], [dialogue("d", *turns)])


def test_wordings_share_their_placeholders_and_are_alike() -> None:
    replies = replies_of(
        "Your parcel QQ7 will be there soon.",
        "The parcel QQ7 will be there soon.",
        "Your parcel will be there soon.",  # no placeholder
        "Your parcel QQ7 will not be there soon.",  # denies
        "I've lost sight of QQ7 altogether.",  # not alike
    )
    first, second = replies[0], replies[1]
    assert wordings(replies, embed) == {
        first.source: [second.template.text],
        second.source: [first.template.text],
    }


def test_episodes_learn_only_where_there_is_another_wording() -> None:
    turns = [user("hi", "track", tracking_number="QQ7"), system("Your parcel QQ7 is there.")]
    turns += [user("and now", "track", tracking_number="QQ7"), system("Wait for it.")]
    other = [user("hi", "track", tracking_number="QQ7"), system("The parcel QQ7 is there.")]
    whole = corpus()
    pair = (dialogue("one", *turns), dialogue("two", *other))
    tasks = tasks_of(type(whole)(whole.schemas, pair))
    (episode,) = make_rephrasings(TOKENS, tasks, 1, 0, embed)
    assert (episode.service, episode.support) == ("parcel_delivery", ())
    # an episode is of its service, whatever a wording calls that
    other = replace(whole.schemas["parcel_delivery"], name="parcel_delivery1")
    tasks = tasks_of(type(whole)(whole.schemas, pair), [{other.name: other}] * 3)
    found = make_rephrasings(TOKENS, tasks, 6, 0, embed)
    assert {each.service for each in found} == {"parcel_delivery"}
    texts = sorted(TOKENS.text(s.ids.tolist()) for s in episode.query)
    learned = sorted(TOKENS.text(s.ids[s.learned].tolist()) for s in episode.query)
    assert learned == [
        " The parcel {tracking_number} is there.\n",
        " Your parcel {tracking_number} is there.\n",
    ]
    assert any(text.endswith("User: and now\nBot: Wait for it.\n") for text in texts)
    assert all("\nSay: " in text for text in texts)


def test_a_corpus_that_says_nothing_twice_is_refused() -> None:
    whole = corpus()
    tasks = tasks_of(type(whole)(whole.schemas, whole.dialogues[:1]))
    with pytest.raises(ConfigError, match="worded twice"):
        list(make_rephrasings(TOKENS, tasks, 1, 0, embed))
