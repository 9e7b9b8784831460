"""rasa-onramp judge"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Optional, Tuple

import click

from rasa_onramp.cli.options import names_in, writable
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.judging import judging_page, pairs_of, resolve, sign_test
from rasa_onramp.evaluation.tables import table
from rasa_onramp.formats.picks import read_picks
from rasa_onramp.formats.replies import read_replies
from rasa_onramp.store import open_store

__all__ = ["command"]

_replies_option = click.option(
    "--replies",
    metavar="FILE",
    required=True,
    type=click.Path(),
    help="Replies of several methods to the same turns, one JSON object a line.",
)


def _two(ctx: Any, param: Any, value: str) -> Tuple[str, str]:
    found = names_in(value)
    if len(found) != 2:
        raise click.BadParameter(f"{value!r}: name two methods, separated by a comma")
    return found[0], found[1]


@click.group("judge")
def command() -> None:
    """Judge by hand which of two methods replies better, without knowing which is which.

    Make a page, open it in a browser, pick, save the picks, import them.
    """


@command.command("page")
@_replies_option
@click.option(
    "--methods",
    metavar="NAMES",
    required=True,
    callback=_two,
    help="The two methods to compare, separated by a comma.",
)
@click.option(
    "--pairs",
    "count",
    default=50,
    show_default=True,
    type=click.IntRange(1),
    help="How many pairs of replies to show.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 999_999_999),  # JavaScript's numbers end before Python's
    help="Which pairs are shown, and which reply stands left.",
)
@click.option("--out", required=True, type=click.Path(), help="The page to write, an HTML file.")
def page(replies: str, methods: Tuple[str, str], count: int, seed: int, out: str) -> None:
    """Write a page that shows conversations with two replies each, and takes picks.

    It is one file that loads nothing. It doesn't say which method a reply is of. Turns that both
    methods answer alike are left out.
    """
    writable(out, "--out")
    answered = read_replies(replies)
    pairs = pairs_of(answered, methods, seed)
    names = " and ".join(pairs.methods)
    if not pairs.pairs:
        raise ConfigError(
            f"{replies} has no turn that {names} both answer, and differently; name other methods"
        )
    Path(out).write_text(judging_page(answered, pairs, count), encoding="utf-8")
    shown = min(count, len(pairs.pairs))
    click.echo(
        f"Wrote {out}: {shown} pairs of {len(pairs.pairs)}. Left out: {pairs.equal} turns answered "
        f"alike, {pairs.repeated} repeated, {pairs.unanswered} not answered by both."
    )


@command.command("import")
@click.argument("picks", type=click.Path())
@_replies_option
@click.option(
    "--judge",
    metavar="NAME",
    default=None,
    help="Whose picks they are. Default: the name given on the page, if any.",
)
def import_(picks: str, replies: str, judge: Optional[str]) -> None:
    """Add the picks that a page saved (PICKS) to the store: all of them, or none.

    FILE must be the one that the page was made from. Importing the same picks again changes
    nothing.
    """
    with open_store() as store:
        store.revision()  # a store that isn't there is said before any work
        found = read_picks(picks)
        if judge is not None:
            found = replace(found, judge=" ".join(judge.split()))
        resolved = resolve(found, read_replies(replies))
        new = store.judgements.add(resolved)
    by = f" by {found.judge}" if found.judge else ""
    click.echo(f"{new} picks{by} added, {len(resolved) - new} already there")


@command.command("tally")
def tally() -> None:
    """Count the picks in the store, for every two methods that were compared.

    The share of wins leaves ties out. p is the exact two-sided binomial test's: how likely a split
    at least as uneven is if the methods were as good as each other.
    """
    with open_store() as store:
        rows = store.judgements.tally()
    if not rows:
        click.echo("no judgements yet; make a page: rasa-onramp judge page")
        return
    body = []
    for row in rows:
        decided = row.wins + row.losses
        share = f"{row.wins / decided:.3f}" if decided else "-"
        p = f"{sign_test(row.wins, row.losses):.4f}" if decided else "-"
        counts = [str(number) for number in (row.wins, row.losses, row.ties)]
        body.append([f"{row.method} against {row.against}", *counts, share, p])
    click.echo(table(["methods", "wins", "losses", "ties", "share of wins", "p"], body))
