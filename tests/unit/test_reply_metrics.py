"""The metrics of replies: cases worked out by hand, properties, and sacrebleu itself."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation import bleu
from rasa_onramp.evaluation.bleu import bleu_counts, bleu_score, self_bleu
from rasa_onramp.evaluation.reply_metrics import (
    COMPARED,
    ScoredReply,
    aggregate_replies,
    compare_replies,
    rouge_l,
    slot_errors,
)

CAT = "the cat sat on the mat"


def reply(reference, text, *, wanted=(), slots=(), **rest):
    return ScoredReply(
        reference_text=reference,
        text=text,
        **{"reference_template": reference, "template": text, **rest},
        reference_slots=tuple(wanted),
        slots=tuple(slots),
    )


TOKENS = ["a", "b", "c", "d", ".", "it's", "5", "שלום", "👍", "été"]
WORDS = st.lists(st.sampled_from(TOKENS), max_size=9).map(" ".join)
SLOTS = st.lists(st.sampled_from(["day", "time", "place"]), max_size=4).map(tuple)
REPLIES = st.lists(
    st.builds(
        ScoredReply,
        reference_text=WORDS,
        text=WORDS,
        reference_template=WORDS,
        template=WORDS,
        reference_slots=SLOTS,
        slots=SLOTS,
        source=st.sampled_from(["generated", "schema"]),
    ),
    max_size=6,
)


# -- BLEU ----------------------------------------------------------------------------------------


def test_bleu_by_hand():
    # Matches: 5 of 6 words, 3 of 5 pairs (the cat, cat sat, sat on), 2 of 4 triples, 1 of 3 fours;
    # both are six words long. (5/6 * 3/5 * 2/4 * 1/3) ** (1/4) = (1/12) ** (1/4) = 0.5373
    figures = aggregate_replies([reply(CAT, "the cat sat on a mat")])
    assert figures.bleu == pytest.approx(100 * (1 / 12) ** 0.25)


def test_bleu_adds_counts_it_does_not_average():
    # The second reply has four words, all wrong: 5 of 10, 3 of 8, 2 of 6, 1 of 4.
    figures = aggregate_replies([reply(CAT, "the cat sat on a mat"), reply("a b c d", "w x y z")])
    assert figures.bleu == pytest.approx(100 * (5 / 10 * 3 / 8 * 2 / 6 * 1 / 4) ** 0.25)


def test_a_short_text_is_punished_for_brevity():
    # All n-grams match; four words of six: exp(1 - 6/4).
    figures = aggregate_replies([reply(CAT, "the cat sat on")])
    assert figures.bleu == pytest.approx(100 * math.exp(-0.5))


def test_case_and_punctuation_count_in_bleu():
    # 13a splits "Here!" in two tokens. 3 of 5 (is, it, !), 1 of 4 (is it), no triple of 3 and no
    # four of 2, which exponential smoothing counts as 1/2 and 1/4 of a match.
    figures = aggregate_replies([reply("There is it now !", "Here is it Now!")])
    assert figures.bleu == pytest.approx(100 * (3 / 5 * 1 / 4 * 1 / 6 * 1 / 8) ** 0.25)


def test_a_placeholder_is_one_token_of_delexicalised_bleu():
    # 4 of 5 (your parcel is now), 2 of 4, 1 of 3, none of 2 fours: 1/2 by smoothing.
    figures = aggregate_replies(
        [
            reply(
                "x",
                "x",
                reference_template="Your parcel is {delivery_status} now",
                template="Your parcel is {status} now",
            )
        ]
    )
    assert figures.bleu_delexicalised == pytest.approx(
        100 * (4 / 5 * 2 / 4 * 1 / 3 * 1 / 4) ** 0.25
    )


def test_placeholders_of_different_slots_never_match():
    for one, other in (("first_name", "firstname"), ("a-b", "a_b"), ("day", "day_2")):
        figures = aggregate_replies(
            [reply("x", "x", reference_template=f"{{{one}}}", template=f"{{{other}}}")]
        )
        assert figures.bleu_delexicalised == 0


@given(REPLIES.filter(bool))
def test_bleu_is_sacrebleus(replies):
    expected = sacrebleu.corpus_bleu(
        [each.text for each in replies], [[each.reference_text for each in replies]]
    )
    assert aggregate_replies(replies).bleu == pytest.approx(expected.score)


def test_the_signature_says_how():
    signature = aggregate_replies([]).bleu_signature
    assert signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")


@pytest.mark.parametrize("missing", ["sacrebleu", "sacrebleu.metrics"])
def test_without_sacrebleu_the_error_says_what_to_install(missing, monkeypatch):
    bleu._metric.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"pip install 'rasa-onramp\[metrics\]'") as caught:
        aggregate_replies([reply("a", "a")])
    assert "\n" not in str(caught.value)


# -- ROUGE-L -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "text", "score"),
    [
        (CAT, CAT, 1.0),
        (CAT, "the mat sat", 4 / 9),  # "the mat": P 2/3, R 2/6, 2PR / (P + R) = 4/9
        (CAT, "The CAT, sat on the mat!", 1.0),  # neither case nor punctuation counts
        (CAT, "dogs bark", 0.0),
        ("it's 5:30", "it s 5 30", 1.0),  # four words each
        ("snake_case", "snake case", 1.0),
        ("", "", 1.0),
        ("", "a", 0.0),
        ("a", "", 0.0),
        ("👍", "👍", 1.0),  # no words on either side: equal or not
        ("👍", "🎉", 0.0),
        ("👍", "", 0.0),
        ("ok 👍", "ok", 1.0),  # beside words, emoji don't count
        ("שלום עולם", "שלום", 2 / 3),  # 1 common of 2 and 1: 2 * 1 / 3
        ("مرحبا بك", "مرحبا بك", 1.0),
        ("café", "cafe", 0.0),
    ],
)
def test_rouge_l(reference, text, score):
    assert rouge_l(reference, text) == pytest.approx(score)


def test_rouge_l_is_the_mean_over_replies():
    figures = aggregate_replies([reply(CAT, CAT), reply(CAT, "the mat sat"), reply("a", "b")])
    assert figures.rouge_l == pytest.approx((1 + 4 / 9 + 0) / 3)


# -- placeholders --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "found", "errors"),
    [
        ((), (), (0, 0)),
        (("day", "time"), ("time", "day"), (0, 0)),
        (("day", "time"), ("day",), (1, 0)),
        (("day",), ("day", "day"), (0, 1)),  # said twice: one is redundant
        (("day", "day"), ("day",), (1, 0)),
        (("day",), ("time",), (1, 1)),  # the wrong one is both
        ((), ("time",), (0, 1)),
    ],
)
def test_slot_errors(wanted, found, errors):
    assert slot_errors(wanted, found) == errors


def test_slot_error_rate_is_of_all_placeholders_together():
    figures = aggregate_replies(
        [
            reply("x", "x", wanted=["day", "time", "place"], slots=["day"]),  # 2 missing
            reply("x", "x", wanted=["day"], slots=["day", "time"]),  # 1 spurious
            reply("x", "x", slots=["time"]),  # 1 spurious, nothing wanted
        ]
    )
    assert (figures.missing, figures.spurious, figures.reference_slots) == (2, 2, 4)
    assert figures.slot_error_rate == 1.0


def test_without_placeholders_in_the_references_the_slot_error_rate_is_undefined():
    figures = aggregate_replies([reply("x", "x", slots=["day"])])
    assert math.isnan(figures.slot_error_rate)
    assert figures.spurious == 1


# -- diversity, length, sources ------------------------------------------------------------------


def test_distinct_counts_are_divided_by_words():
    # "a b a b" and "b a": 6 words, of which a, b differ; pairs ab, ba (neighbours in a reply only).
    figures = aggregate_replies([reply("x", "a b A b."), reply("x", "b a")])
    assert figures.distinct_1 == pytest.approx(2 / 6)
    assert figures.distinct_2 == pytest.approx(2 / 6)


def test_self_bleu_by_hand():
    # The first two each have all in the other, 100; the third has nothing in common, 0.
    assert self_bleu(["a b c d", "a b c d", "x y"]) == pytest.approx(200 / 3)
    assert math.isnan(self_bleu(["a b c d"]))


@given(st.lists(WORDS, min_size=2, max_size=7))
def test_self_bleu_is_the_mean_of_sacrebleus_scores(texts):
    expected = [
        sacrebleu.sentence_bleu(text, texts[:i] + texts[i + 1 :]).score
        for i, text in enumerate(texts)
    ]
    assert self_bleu(texts) == pytest.approx(sum(expected) / len(expected))


def test_length_sources_and_grounding():
    figures = aggregate_replies(
        [
            reply("it is here", "It's here.", source="generated"),  # 3 and 2 words
            reply("no", "a b c d", source="schema", grounded=False),  # 1 and 4 words
            reply("", "", source="generated"),
        ]
    )
    assert (figures.length, figures.reference_length) == (6 / 3, 4 / 3)
    assert figures.sources == {"generated": 2, "schema": 1}
    assert figures.grounded == pytest.approx(2 / 3)


# -- all together --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        CAT,
        "החבילה שלך תגיע ביום שישי בבוקר",
        "طردك في الطريق إليك الآن",
        "👍 ok 🎉 done 🚚 soon ✅",
    ],
)
def test_identical_replies_are_perfect(text):
    figures = aggregate_replies([reply(text, text, wanted=["day"], slots=["day"])])
    assert (figures.bleu, figures.bleu_delexicalised) == pytest.approx((100, 100))
    assert (figures.rouge_l, figures.slot_error_rate) == (1, 0)


def test_empty_replies_score_nothing():
    figures = aggregate_replies([reply(CAT, "", wanted=["day"]), reply(CAT, " ")])
    assert (figures.bleu, figures.rouge_l, figures.length) == (0, 0, 0)
    assert figures.slot_error_rate == 1
    assert math.isnan(figures.distinct_1)
    assert figures.self_bleu == 0


def test_no_replies_define_nothing():
    found = aggregate_replies([]).as_dict()
    assert json.loads(json.dumps(found)) == found
    counted = {"replies": 0, "missing": 0, "spurious": 0, "reference_slots": 0, "sources": {}}
    assert {name: value for name, value in found.items() if value is not None} == {
        **counted,
        "bleu_signature": found["bleu_signature"],
    }


@given(REPLIES, st.randoms(use_true_random=False))
def test_orders_do_not_matter(replies, rng):
    shuffled = [
        replace(each, slots=tuple(rng.sample(each.slots, len(each.slots))))
        for each in rng.sample(replies, len(replies))
    ]
    one, other = aggregate_replies(replies).as_dict(), aggregate_replies(shuffled).as_dict()
    assert one == {
        name: value if not isinstance(value, float) else pytest.approx(value)
        for name, value in other.items()
    }


@given(REPLIES)
def test_figures_stay_in_their_ranges(replies):
    found = aggregate_replies(replies).as_dict()
    for name in ("bleu", "bleu_delexicalised", "self_bleu"):
        assert found[name] is None or 0 <= found[name] <= 100 + 1e-9
    for name in ("rouge_l", "distinct_1", "distinct_2", "grounded"):
        assert found[name] is None or 0 <= found[name] <= 1


# -- method against method -----------------------------------------------------------------------


def measured(texts):
    """Replies to CAT, two dialogues on each of two support sets."""
    return {
        ("pets", seed, dialogue): [reply(CAT, text, wanted=["who"], slots=["who"])]
        for (seed, dialogue), text in zip([(0, "a"), (0, "b"), (1, "a"), (1, "b")], texts)
    }


def test_a_method_against_itself_is_no_different():
    replies = measured([CAT, "the cat", "a mat", ""])
    for name, difference in compare_replies(replies, dict(reversed(list(replies.items())))).items():
        assert (difference.value, difference.low, difference.high) == (0, 0, 0), name


def test_compared_figures_are_the_aggregated_ones():
    first, second = measured([CAT, "the cat sat", CAT, "mat"]), measured(["the"] * 4)
    found = compare_replies(first, second, resamples=40)
    assert tuple(found) == COMPARED
    ours, theirs = (
        aggregate_replies(each for replies in method.values() for each in replies).as_dict()
        for method in (first, second)
    )
    for name, difference in found.items():
        assert difference.value == pytest.approx(ours[name] - theirs[name])
        assert difference.low <= difference.high


def test_bleu_is_computed_anew_on_each_resample():
    # One service, one dialogue each on two support sets, so a sample is both first, both second or
    # one of each: BLEU 100, 0 or that of the joined counts. The extremes bound the interval.
    first = {("s", 0, "a"): [reply(CAT, CAT)], ("s", 1, "a"): [reply("x y", "v w")]}
    second = {path: [reply("p", "q")] for path in first}  # always 0
    found = compare_replies(first, second, figures=["bleu"])["bleu"]
    joined = [a + b for a, b in zip(bleu_counts(CAT, CAT), bleu_counts("v w", "x y"))]
    assert found.value == pytest.approx(bleu_score(joined))
    assert found.value != pytest.approx(50)
    assert (found.low, found.high) == pytest.approx((0, 100))


def test_different_dialogues_cannot_be_compared():
    first = measured([CAT] * 4)
    with pytest.raises(ValueError, match="same dialogues"):
        compare_replies(first, measured([CAT] * 3))
    with pytest.raises(ValueError, match="one at least"):
        compare_replies({}, {})
