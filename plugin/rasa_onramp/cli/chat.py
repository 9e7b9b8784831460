"""rasa-onramp chat"""

from __future__ import annotations

import sys
from typing import Mapping, Optional, Sequence

import click

from rasa_onramp.actions.calls import Call
from rasa_onramp.cli.chat_calls import ANSWERERS, Answerer, answerer
from rasa_onramp.cli.chat_view import call_line, rows_line, state_lines, understanding_lines
from rasa_onramp.cli.options import (
    checkpoint_option,
    load_reply_model,
    refuse_reply_checkpoint,
    reply_checkpoint_option,
    threads_option,
)
from rasa_onramp.cli.terminal import read_line
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats.wording import one_line, visible
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.one_domain import for_one_domain
from rasa_onramp.runtime.session import Session
from rasa_onramp.store import open_store

__all__ = ["chat", "command"]

_HELP = "/state shows what is known, /reset forgets it, /quit ends the chat."
_UNKNOWN = "I don't know which domain that belongs to. (A Rasa bot would answer this itself.)"


@click.command("chat")
@click.argument("domain", required=False)
@click.option(
    "--results",
    "kind",
    type=click.Choice(ANSWERERS),
    default=None,
    help="Who answers API calls: ask (you type result rows), support (what the most similar call "
    "of the support dialogues got), url (the endpoint in the schema, called for real). "
    "Default: ask in a terminal, support where the input is piped.",
)
@click.option(
    "--replies/--no-replies",
    "with_replies",
    default=True,
    show_default=True,
    help="Have a language model write replies, where its weights are here.",
)
@checkpoint_option
@reply_checkpoint_option
@threads_option
def command(
    domain: Optional[str],
    kind: Optional[str],
    with_replies: bool,
    checkpoint: Optional[str],
    reply_checkpoint: Optional[str],
    threads: Optional[int],
) -> None:
    """Talk to the store's domains in the terminal, without Rasa.

    With DOMAIN every message is taken to be that domain's. After each message the chat shows the
    state of the domain it was routed to, with the tracker's confidence (* marks what changed), API
    calls, and the reply. Lines that begin with / are commands: /state, /reset, /quit.
    """
    with open_store() as store:
        if domain is not None:
            store.dialogues.schema(domain)  # a wrong name is said before any work
        elif not store.dialogues.domains():
            raise ConfigError("the store has no domains; import some: rasa-onramp import FILE")
        if threads:
            import torch

            torch.set_num_threads(threads)
        refuse_reply_checkpoint(with_replies)
        replies = load_reply_model(reply_checkpoint) if with_replies else None
        engine = Engine.open(store, checkpoint=checkpoint, replies=replies)
        if domain is not None:
            engine = for_one_domain(engine, domain)
        default = "ask" if sys.stdin.isatty() else "support"
        chat(engine, answerer(kind or default, store, read_line))


def chat(engine: Engine, answer: Answerer) -> None:
    """Turn after turn, until /quit or the end of the input."""
    session = Session()
    click.echo(_HELP)

    def call(
        domain: str, action: str, parameters: Mapping[str, str], url: Optional[str]
    ) -> Optional[Sequence[Mapping[str, str]]]:
        _show(call_line(action, parameters))
        rows = answer(Call(domain, action, parameters, url))
        _show(rows_line(rows))
        return rows

    while True:
        text = read_line("\nyou> ")
        if text is None or text.strip() == "/quit":
            return
        text = text.strip()
        if text == "/reset":
            session = Session()
            click.echo("  Everything is forgotten.")
        elif text == "/state":
            _show_states(session)
        elif text.startswith("/"):
            click.echo(f"  {_HELP}")
        elif text:
            outcome = engine.turn(session, text, call)
            for line in understanding_lines(outcome.understanding):
                _show(line)
            reply = outcome.reply
            click.echo(f"bot> {_UNKNOWN if reply is None else visible(reply.text)}")


def _show(line: str) -> None:
    click.secho(f"  {one_line(line)}", fg="bright_black")


def _show_states(session: Session) -> None:
    if not session.states:
        _show("nothing yet")
    for domain, state in session.states.items():
        _show(f"domain  {domain}")
        for line in state_lines(state):
            _show(line)
