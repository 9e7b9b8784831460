"""make demo: from an empty store to a Rasa bot that learns a new domain while it runs.

Everything it writes is in .demo/, which it makes anew each time; the servers it starts are stopped
however it ends. Exit codes: 0 all steps worked, 1 one of them didn't, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, List

from bot import Bot
from console import Console, DemoFailed
from conversation import hold
from processes import Processes
from rasa_onramp.dialogue import Dialogue
from rasa_onramp.evaluation.tables import table
from rasa_onramp.formats import read

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / ".demo"
DATA = REPOSITORY / "dialogue_data"

DOMAINS = ("parcel_delivery", "mobile_plan", "clinic_appointments")
#: Onboarded while the bot runs.
LAST = "it_helpdesk"

SHOTS = (0, 1, 5)
#: Held-out dialogues of each domain that are measured on.
MEASURED = 4
#: Processes that measure: two of one thread do more than one of two.
JOBS = min(len(DOMAINS) + 1, os.cpu_count() or 1)


def main() -> int:
    """Run the demo; returns the exit code."""
    console = Console()
    print(f"rasa-onramp demo; everything it writes is in {FOLDER.name}/", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    try:
        with Processes(FOLDER, environment()) as processes:
            steps(console, processes)
    except DemoFailed as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; everything it started is stopped", file=sys.stderr)
        return 130
    print("\nThe servers are stopped. Times:")
    rows = [(title, f"{seconds:.0f} s") for title, seconds in console.times]
    print(table(("step", "time"), [*rows, ("all", f"{console.seconds:.0f} s")]))
    return 0


def steps(console: Console, processes: Processes) -> None:
    """The demo, top to bottom."""
    bot = Bot(processes, REPOSITORY, FOLDER)

    with console.step("A store, and five dialogues each of three new domains"):
        onramp(console, processes, "init")
        onramp(console, processes, "import", *(str(file_of(name)) for name in DOMAINS))
        onramp(console, processes, "domains")

    with console.step("Adapt tracker and replies to each of them; meanwhile train the Rasa bot"):
        console.say("$ rasa train &")
        bot.begin_training()
        onramp(console, processes, "adapt", *DOMAINS, "--progress")

    with console.step("Measure on the held-out dialogues, and against plain fine-tuning"):
        measure(console, processes)

    with console.step("Start the Rasa bot"):
        console.say("$ rasa run actions &")
        bot.start_actions()
        bot.finish_training()
        console.say("$ rasa run")
        address = bot.start()
        console.say(f"The bot listens at {address} (process {bot.pid}).")

    with console.step("A conversation that it wasn't adapted on, over REST"):
        talk(console, bot, DOMAINS[0], "ann")

    with console.step(f"Onboard {LAST} while the bot runs"):
        before, found = bot.say("bob", opening(LAST))
        console.say(f"user:  {opening(LAST)}")
        console.say(f"state: domain {found.get('domain') or 'none'}")
        console.say(f"bot:   {' '.join(before)}")
        console.say("It doesn't know the domain yet.")
        onramp(console, processes, "import", str(file_of(LAST)))
        onramp(console, processes, "adapt", LAST, "--progress")

    with console.step("The next messages to the same server"):
        talk(console, bot, LAST, "cleo")
        if not processes.alive(bot.pid):
            raise DemoFailed(f"process {bot.pid} has ended; see {FOLDER / 'server.log'}")
        console.say(f"Process {bot.pid} is still the one that was started; nothing was retrained.")


def environment() -> Dict[str, str]:
    """What the started programs see: the demo's own store, and less noise."""
    kept = "RASA_ONRAMP_HOME"  # where the language model is
    clean = {k: v for k, v in os.environ.items() if k == kept or not k.startswith("RASA_ONRAMP_")}
    return {
        **clean,
        "RASA_ONRAMP_DATABASE_URL": f"sqlite:///{FOLDER / 'onramp.db'}",
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(REPOSITORY / "demo"), os.environ.get("PYTHONPATH")])
        ),
        "PYTHONWARNINGS": "ignore",
        "PYTHONUNBUFFERED": "1",
        "RASA_CACHE_DIRECTORY": str(FOLDER / "cache"),
        "RASA_TELEMETRY_ENABLED": "false",
        "SANIC_HOST": "127.0.0.1",  # or the action server listens on all interfaces
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }


def onramp(console: Console, processes: Processes, *arguments: str, log: str = "") -> None:
    """Run a command of rasa-onramp, shown as one would type it."""
    shown = [short_path(argument) for argument in arguments]
    console.say(f"$ rasa-onramp {' '.join(shown)}")
    command = [sys.executable, "-m", "rasa_onramp.cli", *arguments]
    processes.run(command, log=log or None, errors=True)


def measure(console: Console, processes: Processes) -> None:
    """The table of methods on each domain's held-out dialogues, and the few-shot curve."""
    out, curve = FOLDER / "evaluation.json", FOLDER / "few-shot-curve.png"
    names = (*DOMAINS, LAST)
    onramp(
        console,
        processes,
        *("evaluate", "--data", str(DATA), "--services", ",".join(names), "--own-split"),
        *("--offers", "--shots", ",".join(map(str, SHOTS)), "--seeds", "1"),
        *("--limit", str(MEASURED), "--progress"),
        *("--jobs", str(JOBS), "--json", str(out), "--plot", str(curve)),
        log="evaluate.log",
    )
    runs = json.loads(out.read_text(encoding="utf-8"))["runs"]
    console.say()
    console.block(before_and_after(runs, names))
    console.say(
        "JGA is joint goal accuracy: the share of user turns after which every slot is right, here "
        f"in {MEASURED} held-out dialogues a domain. "
        f"The curve over {', '.join(map(str, SHOTS))} dialogues is {short_path(curve)}"
    )


def before_and_after(runs: List[Dict[str, Any]], names: Any) -> str:
    """JGA by domain: zero-shot, plain fine-tuning and adapted, on five dialogues."""

    def of(name: str, method: str) -> Dict[str, Any]:
        wanted = (name, method, max(SHOTS))
        return next(r for r in runs if (r["service"], r["method"], r["shots"]) == wanted)

    methods = ("zero-shot", "finetune", "adapted")
    rows = []
    for name in names:
        found = [of(name, method) for method in methods]
        seconds = [f"{run['seconds']:.1f}" for run in found[1:]]
        rows.append(
            (name, *(f"{run['jga']:.3f}" for run in found), *seconds, str(found[0]["turns"]))
        )
    means = [sum(of(name, method)["jga"] for name in names) / len(names) for method in methods]
    rows.append(("mean", *(f"{mean:.3f}" for mean in means), "", "", ""))
    return table(
        ("JGA", "zero-shot", "fine-tuned", "adapted", "fine-tuning s", "adapting s", "turns"), rows
    )


def talk(console: Console, bot: Bot, name: str, sender: str) -> None:
    """Hold a held-out conversation of a domain."""
    dialogue = held_out(name)
    console.say(f"Dialogue {dialogue.id} of {name}, whose labels the bot never saw.")
    console.say()
    hold(console, bot, read(file_of(name)).schemas[name], dialogue, sender)


def held_out(name: str) -> Dialogue:
    """The first held-out dialogue of a domain."""
    return next(d for d in read(file_of(name)).dialogues if d.split == "held-out")


def opening(name: str) -> str:
    """What the user says first in it."""
    return held_out(name).turns[0].text


def file_of(name: str) -> Path:
    """The file of one of our domains."""
    return DATA / f"{name}.yml"


def short_path(text: Any) -> str:
    """A path within the repository as seen from there."""
    return str(text).replace(f"{REPOSITORY}{os.sep}", "")


if __name__ == "__main__":
    sys.exit(main())
