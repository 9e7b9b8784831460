"""rasa-onramp versions"""

from __future__ import annotations

from math import exp
from typing import Any, Callable, List, Mapping, Optional, Tuple

import click

from rasa_onramp.cli.times import time_text
from rasa_onramp.evaluation.tables import table
from rasa_onramp.store import AdapterInfo, AdapterStore, open_store

__all__ = ["command"]


def _version_or_none(ctx: Any, param: Any, value: str) -> Optional[int]:
    if value == "none":
        return None
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r}: the number of a version, or none")
    return int(value)


@click.group("versions")
def command() -> None:
    """Adapter versions of a domain: which there are, which one it runs on, which are kept.

    A running bot follows a switch at its next message.
    """


@command.command("list")
@click.argument("domain")
def list_(domain: str) -> None:
    """List the versions of DOMAIN with their figures on its held-out dialogues.

    JGA is joint goal accuracy, goal the average goal accuracy; zero-shot is the JGA of the
    checkpoint as it is, without an adapter.
    """
    with open_store() as store:
        versions = store.adapters.versions(domain)
    if not versions:
        click.echo(f"{domain} isn't adapted yet; run: rasa-onramp adapt {domain}")
        return
    header = ["version", "made", "support", "held out", "zero-shot", "JGA", "goal", "perplexity"]
    body = [
        [
            f"{info.version}{_marks(info)}",
            time_text(info.created_at),
            *(cell(info) for _, cell in _FIGURES[:6]),
        ]
        for info in versions
    ]
    click.echo(table(header, body))


@command.command("compare")
@click.argument("domain")
@click.argument("first", type=click.IntRange(1))
@click.argument("second", type=click.IntRange(1))
def compare(domain: str, first: int, second: int) -> None:
    """Show the figures of two versions of DOMAIN side by side."""
    with open_store() as store:
        one, other = (store.adapters.info(domain, number) for number in (first, second))
    rows = [[name, cell(one), cell(other)] for name, cell in _FIGURES]
    names = [f"version {info.version}{_marks(info)}" for info in (one, other)]
    click.echo(table([domain, *names], rows))
    if one.figures.get("held_out_digest") != other.figures.get("held_out_digest"):
        click.echo("They were measured on different held-out dialogues.")


@command.command("activate")
@click.argument("domain")
@click.argument("version", callback=_version_or_none)
def activate(domain: str, version: Optional[int]) -> None:
    """Switch DOMAIN to VERSION, a number; or none: the checkpoint as it is, without an adapter.

    It is one transaction, and done even where the active version is pinned.
    """
    _switch(domain, lambda adapters: adapters.activate(domain, version))


@command.command("rollback")
@click.argument("domain")
def rollback(domain: str) -> None:
    """Switch DOMAIN back to the older version that was made active last."""
    _switch(domain, lambda adapters: adapters.rollback(domain))


@command.command("pin")
@click.argument("domain")
@click.argument("version", type=click.IntRange(1))
def pin(domain: str, version: int) -> None:
    """Keep VERSION of DOMAIN: gc leaves it, and while it is active adapt doesn't switch from it."""
    with open_store() as store:
        store.adapters.pin(domain, version)
    click.echo(f"{domain}: version {version} is pinned")


@command.command("unpin")
@click.argument("domain")
@click.argument("version", type=click.IntRange(1))
def unpin(domain: str, version: int) -> None:
    """Undo pin."""
    with open_store() as store:
        store.adapters.unpin(domain, version)
    click.echo(f"{domain}: version {version} isn't pinned")


@command.command("gc")
@click.argument("domains", nargs=-1)
@click.option(
    "--keep",
    required=True,
    type=click.IntRange(1),
    help="How many of the newest versions of each domain to keep.",
)
@click.option("--dry-run", is_flag=True, help="Say which would go, and delete nothing.")
def gc(domains: Tuple[str, ...], keep: int, dry_run: bool) -> None:
    """Delete old versions of DOMAINS (default: of all); never an active or a pinned one."""
    done = "would delete" if dry_run else "deleted"
    count = 0
    with open_store() as store:
        chosen = domains or store.dialogues.domains()
        for domain in chosen:  # a wrong name is said before anything is deleted
            store.dialogues.schema(domain)
        for domain in chosen:
            gone = store.adapters.collect(domain, keep, dry_run=dry_run)
            count += len(gone)
            if gone:
                click.echo(f"{domain}: {done} version {', '.join(map(str, gone))}")
    click.echo(f"{done} {count} in all")


def _switch(domain: str, switch: Callable[[AdapterStore], Any]) -> None:
    """Do it, and say what the domain runs on then."""
    with open_store() as store:
        before = store.adapters.in_use(domain).version
        switch(store.adapters)
        version = store.adapters.in_use(domain).version
        warning = store.adapters.switch_warning(domain, before)
    click.echo(f"{domain} runs on {'no version' if version is None else f'version {version}'}")
    if warning is not None:
        click.echo(warning, err=True)


def _marks(info: AdapterInfo) -> str:
    marks = [name for name, set_ in (("active", info.active), ("pinned", info.pinned)) if set_]
    return f" ({', '.join(marks)})" if marks else ""


def _count(key: str) -> Callable[[AdapterInfo], str]:
    return lambda info: str(info.figures.get(key, "-"))


def _measured(part: str, key: str) -> Callable[[AdapterInfo], str]:
    return lambda info: _shown(_within(info.figures, part).get(key))


def _perplexity(part: str) -> Callable[[AdapterInfo], str]:
    def shown(info: AdapterInfo) -> str:
        surprise = _within(info.figures, "replies").get(part)
        return "-" if surprise is None else f"{exp(surprise):.2f}"

    return shown


def _within(figures: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    return figures.get(part) or {}


def _shown(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.3f}"


def _date(info: AdapterInfo, moment: str) -> str:
    found = getattr(info, moment)
    return "never" if found is None else time_text(found)


#: Name → what a version has of it. The first six are the list's.
_FIGURES: List[Tuple[str, Callable[[AdapterInfo], str]]] = [
    ("support dialogues", _count("support")),
    ("held-out dialogues", _count("held_out")),
    ("JGA, zero-shot", _measured("before", "jga")),
    ("JGA", _measured("after", "jga")),
    ("average goal accuracy", _measured("after", "average_goal_accuracy")),
    ("perplexity of replies", _perplexity("after")),
    ("intent accuracy", _measured("after", "intent_accuracy")),
    ("requested-slot F1", _measured("after", "requested_f1")),
    ("perplexity of replies, zero-shot", _perplexity("before")),
    ("inner steps", _count("steps")),
    ("made", lambda info: _date(info, "created_at")),
    ("last switched to", lambda info: _date(info, "switched_at")),
    ("support set", lambda info: info.support_digest[:12]),
    ("checkpoint", lambda info: info.checkpoint_digest[:12]),
]
