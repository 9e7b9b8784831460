"""The repository's own bot, with the shipped tracker, in real Rasa."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from rasa_onramp.generator.rephrasing import keeps
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.store import open_store
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_programs import Bot, Outcome, RasaServer, end
from servers import free_port, wait_for

PARCEL = "hi, where is my parcel?"
BACK = "is reachable again"


@pytest.fixture
def bot(bots: Any) -> Bot:
    return bots.own


@pytest.fixture
def server(servers: Any) -> RasaServer:
    return servers.own


def test_its_own_messages_stay_its_own(server: RasaServer) -> None:
    assert server.say("greeter", "hello there") == ["Hello! What can I do for you?"]
    assert server.understood("greeter")["domain"] is None
    assert server.say("greeter", "are you a bot?") == [
        "I am a bot, built with Rasa and rasa-onramp."
    ]
    assert server.say("greeter", "zzz qqq") == ["Sorry, that is nothing I can help with."]


def test_the_doctor_finds_nothing_wrong_with_it(bot: Bot) -> None:
    printed = bot.onramp("doctor", "--rasa-project", ".")  # exits with 0
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert any(re.fullmatch(r"ok model: \S+ was trained with this code", line) for line in lines)
    assert "ok credentials.yml: MetricsInput has its token" in lines
    told = [line for line in lines if not line.startswith("ok ")]
    assert all(re.match(r"warning (domains|language model): |problems: 0", line) for line in told)


def test_prometheus_and_the_log_are_told_what_it_did(bot: Bot, server: RasaServer) -> None:
    token = bot.environment["RASA_ONRAMP_METRICS_TOKEN"]
    before, logged = told_by(server, token), len(server.log())
    server.say("watched", PARCEL)
    server.say("watched", "are you a bot?")
    server.say("watched", "/restart")
    after = told_by(server, token)
    risen = {key: n - before.get(key, 0.0) for key, n in after.items() if n != before.get(key)}
    turns = {key[1:]: n for key, n in risen.items() if key[0] == "rasa_onramp_turns_total"}
    assert turns.pop(("routed", "parcel_delivery", "match")) == 1
    assert turns.pop(("abstained", "", "command")) == 1
    assert sum(turns.values()) == 1 and {decision for decision, *_ in turns} == {"abstained"}
    assert risen["rasa_onramp_turn_duration_seconds_count", "understanding"] == 3
    assert risen["rasa_onramp_turn_duration_seconds_count", "reply"] == 1
    assert sum(n for key, n in risen.items() if key[0] == "rasa_onramp_replies_total") == 1
    assert after["rasa_onramp_ready",] == 1
    assert ("rasa_onramp_adapter_version", "parcel_delivery") in after
    assert after["process_resident_memory_bytes",] > 1e8

    wait_for(lambda: '"event": "onramp.reply"' in server.log()[logged:])
    ours = events_in(server, logged)
    turn, reply = (
        next(line for line in ours if line["event"] == event)
        for event in ("onramp.turn", "onramp.reply")
    )
    assert (turn["decision"], turn["domain"], turn["level"]) == (
        *("routed", "parcel_delivery", "info"),
    )
    assert turn["ms"] > 0 and reply["ms"] > 0
    assert len(turn["conversation"]) == 16 and turn["conversation"] == reply["conversation"]
    assert "watched" not in str(ours) and "parcel?" not in str(ours)

    refused = requests.get(f"{server.url}/webhooks/onramp/metrics", timeout=60)
    assert (refused.status_code, token in server.log()) == (401, False)


def test_a_response_that_asks_for_it_is_said_in_other_words_or_stands(
    bot: Bot, server: RasaServer
) -> None:
    template, sources = "How may I help you?", []
    for text in ("help", "what can you do", "I need help"):
        logged, sender = len(server.log()), f"asked{len(sources)}"
        (reply,) = server.say(sender, text)
        said = [event for event in server.tracker(sender)["events"] if event["event"] == "bot"][-1]
        assert said["text"] == reply
        wait_for(lambda logged=logged: bool(replies_in(server, logged)))
        (tried,) = replies_in(server, logged)
        sources.append("rephrased" if "onramp" in said["metadata"] else "template")
        assert tried["source"] == sources[-1]
        if sources[-1] == "rephrased":
            assert said["metadata"]["onramp"] == {"template": template, "source": "rephrased"}
            assert keeps(template, reply)
        else:
            assert reply == template
    assert ("rephrased" in sources) == resolves(bot)  # or the language model isn't on the machine


def test_a_message_of_an_onboarded_domain_is_tracked_and_answered(server: RasaServer) -> None:
    (reply,) = server.say("owner", PARCEL)
    tracker = server.tracker("owner")
    understood = tracker["latest_message"]["onramp"]
    assert understood["domain"] == "parcel_delivery"
    assert understood["adapter"] is None
    assert tracker["latest_message"]["intent"]["name"] == "onramp"
    told = {key: understood[key] for key in ("domain", "in_scope", "state", "call")}
    assert tracker["slots"]["onramp"] == told
    assert server.actions("owner")[-1] == "utter_onramp"
    said = [event for event in tracker["events"] if event["event"] == "bot"][-1]
    assert said["text"] == reply
    assert said["metadata"]["onramp"]["domain"] == "parcel_delivery"


def test_a_conversation_goes_on_until_it_is_restarted(server: RasaServer) -> None:
    server.say("keeper", PARCEL)
    server.say("keeper", "it's RX4821")
    understood = server.understood("keeper")
    assert understood["domain"] == "parcel_delivery"
    assert understood["states"] == {"parcel_delivery": understood["state"]}
    server.say("keeper", "/restart")
    assert server.tracker("keeper")["slots"]["onramp"] is None
    server.say("keeper", PARCEL)
    assert list(server.understood("keeper")["states"]) == ["parcel_delivery"]


@pytest.mark.parametrize("text", ["", "   ", "?", "/nonsense", "😀", "word " * 400, "\x00"])
def test_no_message_breaks_it(server: RasaServer, text: str) -> None:
    server.say("fool", text)
    assert server.say("fool", "hello") == ["Hello! What can I do for you?"]


def test_a_domain_onboarded_while_it_runs_works_at_the_next_message(
    bot: Bot, server: RasaServer, api: Any, repository: Path, tmp_path: Path
) -> None:
    api.rows = [{"shelf": "z5"}]
    text = (repository / "tests" / "bots" / "lost_property.yml").read_text(encoding="utf-8")
    file = tmp_path / "lost_property.yml"
    file.write_text(text.replace("@API@", api.url), encoding="utf-8")
    pid, lost = server.process.pid, "i lost my wallet on the bus"
    server.say("early", lost)
    assert server.understood("early")["domain"] is None

    bot.onramp("import", str(file))
    adapting = ("adapt", "lost_property", "--steps", "30", "--threads", "1")
    bot.onramp(*adapting, "--no-replies")
    assert server.say("late", lost) == ["It was found. It is on shelf z5."]
    asked = {"domain": "lost_property", "action": "find_item", "parameters": {"item": "wallet"}}
    (told,) = api.asked
    assert told.pop("message_id")
    assert told == {**asked, "conversation": "late", "channel": "rest"}
    assert server.actions("late") == ["action_onramp_call", "utter_onramp"]
    understood = server.understood("late")
    assert (understood["domain"], understood["adapter"]) == ("lost_property", 1)
    assert understood["state"]["values"] == {"item": ["wallet"]}
    slots = server.tracker("late")["slots"]
    assert slots["onramp_results"] == {"action": "find_item", "rows": [{"shelf": "z5"}]}

    # known only since the bot runs, so the conversation goes on in it
    assert server.say("early", lost) == ["It was found. It is on shelf z5."]
    assert server.process.pid == pid
    assert server.process.poll() is None

    printed = bot.onramp(*adapting)
    assert server.say("writer", lost) and server.understood("writer")["adapter"] == 2
    said = [e for e in server.tracker("writer")["events"] if e["event"] == "bot"][-1]
    assert "z5" in said["text"]
    if resolves(bot):  # the language model is on the machine
        assert "replies in " in printed
        assert said["metadata"]["onramp"]["source"] == "model"
    else:
        assert "run `rasa-onramp weights`" in printed

    api.close()
    (apology,) = server.say("unlucky", lost)
    assert apology == "Sorry, that didn't work just now. Please try again in a moment."
    assert "can't be reached" in server.tracker("unlucky")["slots"]["onramp_results"]["error"]


def test_a_damaged_adapter_is_an_abstention_until_there_is_a_whole_one(
    bot: Bot, server: RasaServer
) -> None:
    _add_adapter(bot, "parcel_delivery")
    _damage(bot, "parcel_delivery")
    logged = len(server.log())
    server.say("damaged", PARCEL)
    understood = server.understood("damaged")
    assert (understood["domain"], understood["reason"]) == (None, "unavailable")
    wait_for(lambda: "abstaining from a message: " in server.log()[logged:])
    assert "Traceback" not in server.log()
    assert server.say("damaged", "hello there") == ["Hello! What can I do for you?"]

    _add_adapter(bot, "parcel_delivery")  # the very same weights, whole
    server.say("damaged", PARCEL)
    understood = server.understood("damaged")
    assert (understood["domain"], understood["adapter"]) == ("parcel_delivery", 2)


def test_without_its_store_the_bot_answers_what_is_its_own(bot: Bot, server: RasaServer) -> None:
    server.say("loser", PARCEL)
    logged = len(server.log())
    away = _file(bot).with_suffix(".away")
    shutil.move(_file(bot), away)
    try:
        server.say("loser", PARCEL)
        assert server.understood("loser")["reason"] == "unavailable"
        assert server.say("loser", "hello there") == ["Hello! What can I do for you?"]
        wait_for(lambda: "abstaining from a message" in server.log()[logged:])
    finally:
        shutil.move(away, _file(bot))
    wait_for(lambda: BACK in server.log()[logged:])
    server.say("loser", PARCEL)
    assert server.understood("loser")["domain"] == "parcel_delivery"


def test_rasa_shell_with_its_store_and_without(bot: Bot) -> None:
    """Without the variable that names it, at run time: an abstention, and a line in the log."""
    said = f"hello\n{PARCEL}\n/stop\n"
    command = ("shell", "--interface", "127.0.0.1", "--port")
    without = bot.with_environment(RASA_ONRAMP_DATABASE_URL=None)
    shells = [b.begin(*command, str(free_port())) for b in (bot, without)]
    done, abstained = (end(shell, said) for shell in shells)
    greeting, fallback = "Hello! What can I do for you?", "Sorry, that is nothing I can help with."
    for outcome in (done, abstained):
        assert outcome.code == 0, outcome.text
        assert "Traceback" not in outcome.text
    assert _replies(abstained) == [greeting, fallback]
    assert "RASA_ONRAMP_DATABASE_URL isn't set" in abstained.text
    first, second = _replies(done)
    assert first == greeting
    assert second != fallback


def test_rasa_test(bot: Bot, repository: Path, tmp_path: Path) -> None:
    stories = repository / "tests" / "test_stories.yml"
    done = bot.run(
        *("test", "--stories", str(stories), "--nlu", "data/nlu.yml", "--out", str(tmp_path)),
        "--fail-on-prediction-errors",
    )
    assert done.code == 0, done.text
    failed = (tmp_path / "failed_test_stories.yml").read_text(encoding="utf-8")
    assert failed.startswith("# None of the test stories failed")
    assert "Every intent was predicted correctly" in done.text


def events_in(server: RasaServer, logged: int) -> List[Dict[str, Any]]:
    """The events of ours in its log, after so many characters of it."""
    lines = re.findall(r' - (\{.*"event": "onramp\..*\})', server.log()[logged:])
    return [json.loads(line) for line in lines]


def replies_in(server: RasaServer, logged: int) -> List[Dict[str, Any]]:
    """Those of them that tell of a reply."""
    return [event for event in events_in(server, logged) if event["event"] == "onramp.reply"]


def told_by(server: RasaServer, token: str) -> Dict[Tuple[str, ...], float]:
    """The server's metrics, by name and values of labels, in the order of the labels' names."""
    answer = requests.get(
        f"{server.url}/webhooks/onramp/metrics",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def resolves(bot: Bot) -> bool:
    """Whether the bot has the replies' language model; `make test` fetches it."""
    return bot.run("weights", "--check", module="rasa_onramp.cli").code == 0


def _replies(shell: Outcome) -> List[str]:
    """What a bot said in `rasa shell`, which prints it in blue."""
    return re.findall(r"\x1b\[94m(.+?)\x1b", shell.text)


def _file(bot: Bot) -> Path:
    return Path(bot.environment["RASA_ONRAMP_DATABASE_URL"].replace("sqlite:///", "", 1))


def _add_adapter(bot: Bot, domain: str) -> None:
    """An adapter as adapting with no dialogues makes it: the initialisation itself."""
    tracker = load_tracker()
    with open_store(bot.environment["RASA_ONRAMP_DATABASE_URL"]) as store:
        store.adapters.add(
            *(domain, adapter_to_bytes(dict(tracker.weights))),
            support_digest="none",
            checkpoint_digest=tracker.digest,
            figures={},
        )


def _damage(bot: Bot, domain: str) -> None:
    """Change a byte of the newest adapter, as a failing disk would."""
    with sqlite3.connect(_file(bot)) as connection:
        version, weights = connection.execute(
            "SELECT version, weights FROM adapters WHERE domain = ? ORDER BY version DESC",
            (domain,),
        ).fetchone()
        connection.execute(
            "UPDATE adapters SET weights = ? WHERE domain = ? AND version = ?",
            (weights[:-1] + bytes([weights[-1] ^ 255]), domain, version),
        )
    connection.close()
