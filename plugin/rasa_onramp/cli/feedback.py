"""rasa-onramp feedback"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

import click

from rasa_onramp.cli.options import checkpoint_option, device_option, load, tell_if_stale
from rasa_onramp.cli.times import time_text
from rasa_onramp.dialogue import Dialogue, State, Turn
from rasa_onramp.formats.wording import one_line
from rasa_onramp.formats.yaml_schema import NO_INTENT
from rasa_onramp.store import Feedback, Store, open_store

__all__ = ["command"]


@click.group("feedback")
def command() -> None:
    """Say how the bot should have replied; the next adapt learns from it.

    A running bot takes feedback over HTTP, too: see docs/feedback.md.
    """


def _settings(ctx: Any, param: Any, given: Tuple[str, ...]) -> Dict[str, Optional[str]]:
    values: Dict[str, Optional[str]] = {}
    for each in given:
        slot, equals, value = each.partition("=")
        if not slot.strip() or not equals:
            raise click.BadParameter(f"{each!r}: write SLOT=VALUE, or SLOT= for no value")
        values[slot.strip()] = value.strip() or None
    return values


@command.command("add")
@click.argument("domain")
@click.option("--reply", required=True, help="What the bot replied.")
@click.option(
    "--said",
    multiple=True,
    metavar="TEXT",
    help="The conversation before the reply, an utterance each time, in turns; the last one is the "
    "user's.",
)
@click.option("--up", "thumb", flag_value="up", help="The reply was good.")
@click.option(
    "--down", "thumb", flag_value="down", help="The reply was bad: it isn't said any more."
)
@click.option("--corrected-reply", default=None, help="What it should have replied.")
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="SLOT=VALUE",
    callback=_settings,
    help="A value that the state should have had after the last message; SLOT= for none.",
)
@click.option(
    "--intent", default=None, help="The intent that the state should have had; `none` for none."
)
@click.option("--conversation", default="", help="Name of the conversation, to tell it apart.")
@checkpoint_option
@device_option
def add(
    domain: str,
    reply: str,
    said: Tuple[str, ...],
    thumb: Optional[str],
    corrected_reply: Optional[str],
    values: Mapping[str, Optional[str]],
    intent: Optional[str],
    conversation: str,
    checkpoint: Optional[str],
    device: str,
) -> None:
    """Store feedback on a reply of DOMAIN, in place of what was said of the same reply before.

    With --said, the states of the conversation are tracked by the domain's active version as a
    running bot does; --set and --intent correct the last one.
    """
    changes: Dict[str, Any] = {"values": dict(values)} if values else {}
    if intent is not None:
        changes["active_intent"] = None if intent == NO_INTENT else intent
    if changes and not said:
        raise click.UsageError("--set and --intent need the conversation; give --said")
    if corrected_reply is not None and not said:
        raise click.UsageError("--corrected-reply needs what was answered; give --said")
    if not all(text.strip() for text in said):
        raise click.UsageError("--said without words; give what was said, or leave it out")
    with open_store() as store:
        store.dialogues.schema(domain)  # a wrong name is said before any work
        history: Tuple[Turn, ...] = ()
        answer, template = Turn("system", reply), ""
        if said:
            history, answer, template = _tracked(store, domain, said, reply, checkpoint, device)
        id = store.feedback.add(
            Feedback(
                domain=domain,
                conversation=conversation,
                history=history,
                reply=answer,
                template=template,
                thumb=thumb,
                corrected_reply=corrected_reply,
                corrected_state=_corrected(history, changes),
            )
        )
    click.echo(f"{domain}: feedback {id} stored; rasa-onramp adapt {domain} learns from it")


@command.command("list")
@click.argument("domain")
def list_(domain: str) -> None:
    """List the feedback on DOMAIN, oldest first."""
    with open_store() as store:
        found = store.feedback.list(domain)
    if not found:
        click.echo(f"no feedback on {domain} yet")
    for each in found:
        click.echo("\n".join(map(one_line, _lines(each))))


@command.command("remove")
@click.argument("domain")
@click.argument("ids", nargs=-1, required=True)
def remove(domain: str, ids: Tuple[str, ...]) -> None:
    """Delete the feedback of these IDS on DOMAIN."""
    with open_store() as store:
        for id in ids:
            store.feedback.remove(domain, id)
            click.echo(f"{domain}: feedback {id} deleted")
        tell_if_stale(store, domain)


def _tracked(
    store: Store,
    domain: str,
    said: Tuple[str, ...],
    reply: str,
    checkpoint: Optional[str],
    device: str,
) -> Tuple[Tuple[Turn, ...], Turn, str]:
    """The conversation with the states that a bot tracks in it, the reply, and its template."""
    from rasa_onramp.generator.replies import support_replies
    from rasa_onramp.runtime.adapter_cache import prepared
    from rasa_onramp.tracker.together import track

    tracker = load(checkpoint, device)
    schema = store.dialogues.schema(domain)
    ready = prepared(store, tracker, schema, store.dialogues.glance(domain).active_version)
    history: List[Turn] = []
    state = State()
    for place, text in enumerate(said):
        if (len(said) - place) % 2 == 0:
            history.append(Turn("system", text))
            continue
        state = track(tracker, ready, [*history, Turn("user", text)], state, offers=True).state
        history.append(Turn("user", text, state))
    answer = Turn("system", reply)
    (*_, last) = support_replies(schema, [Dialogue("", domain, (*history, answer))])
    return tuple(history), answer, last.template.text


def _corrected(history: Tuple[Turn, ...], changes: Mapping[str, Any]) -> Optional[State]:
    from rasa_onramp.runtime.correction import corrected, state_after

    return corrected(state_after(history), changes) if changes else None


def _lines(feedback: Feedback) -> List[str]:
    when = time_text(feedback.created_at) if feedback.created_at else ""
    thumb = feedback.thumb or "no thumb"
    lines = [f"{feedback.id}  {when}  {thumb}  {feedback.conversation}".rstrip()]
    if feedback.history:
        lines.append(f"    user:      {feedback.history[-1].text}")
    lines.append(f"    bot:       {feedback.reply.text}")
    if feedback.corrected_reply is not None:
        lines.append(f"    should be: {feedback.corrected_reply}")
    state = feedback.corrected_state
    if state is not None:
        values = ", ".join(f"{slot}={values[0]}" for slot, values in state.values.items())
        intent = state.active_intent or "no intent"
        lines.append(f"    state:     {intent}; {values or 'no values'}")
    return lines
