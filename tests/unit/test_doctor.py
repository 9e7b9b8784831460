"""What the doctor finds: each check on a real state that fails, and on one that doesn't."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

import pytest
import torch
from safetensors.torch import save_file

from command_line import environment, invoke
from rasa_onramp import __version__
from rasa_onramp.dialogue import Slot
from rasa_onramp.doctor import Finding, examination
from rasa_onramp.doctor.bot import (
    credential_findings,
    endpoint_findings,
    file_findings,
    pipeline_findings,
    session_findings,
)
from rasa_onramp.doctor.findings import guarded
from rasa_onramp.doctor.models import (
    encoder_findings,
    gpu_findings,
    language_model_findings,
    metric_findings,
    reply_findings,
    spacy_findings,
    tracker_findings,
)
from rasa_onramp.doctor.own_actions import action_findings
from rasa_onramp.doctor.packages import package_findings
from rasa_onramp.doctor.stored import store_findings
from rasa_onramp.doctor.subject import Subject, subject_of
from rasa_onramp.doctor.trained import model_findings
from rasa_onramp.generator.checkpoint import SHIPPED_REPLIES
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.provenance import STAMP, code_digest
from rasa_onramp.rasa_project import RasaProject
from rasa_onramp.store import Intake, Store, open_store
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from servers import free_port
from small_bot import BIKES, TABLES, corpus_of
from tiny_tracker import tiny_tracker, tokenizer_json


def told(run: Callable[[], Iterable[Finding]]) -> List[str]:
    """The findings as lines, an error as the finding that it becomes."""
    return [f"{f.level} {f.check}: {f.says}" for f in guarded("checked", run)]


def only(run: Callable[[], Iterable[Finding]], level: str) -> str:
    """The only finding that isn't ok, which is of `level` and one line with a mend."""
    (line,) = [line for line in told(run) if not line.startswith("ok ")]
    assert line.startswith(f"{level} ")
    assert "\n" not in line and ("; " in line or "`" in line)
    return line


# Packages


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Installs a distribution that needs what it is told; returns its name."""

    def install(*lines: str, python: str = ">=3.8") -> str:
        folder = tmp_path / "site" / "made_up-1.0.dist-info"
        folder.mkdir(parents=True)
        extras = {"rasa", "plots"}
        text = [
            "Metadata-Version: 2.1\nName: made-up\nVersion: 1.0",
            f"Requires-Python: {python}",
            *(f"Provides-Extra: {extra}" for extra in sorted(extras)),
            *(f"Requires-Dist: {line}" for line in lines),
        ]
        (folder / "METADATA").write_text("\n".join(text) + "\n", encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return "made-up"

    return install


def test_packages_that_fit(distribution: Any) -> None:
    name = distribution("click>=1", 'numpy>=1; extra == "plots"', 'nothing; extra == "rasa"')
    lines = told(partial(package_findings, needs_rasa=False, name=name))
    assert lines[1:] == [
        "ok packages: made-up 1.0: all 1 packages that it needs fit",
        f"ok extra plots: numpy {__import__('numpy').__version__}",
        "ok extras: not installed: rasa (lacks nothing)",
    ]


@pytest.mark.parametrize(
    ("needs", "saying"),
    [
        (["click>=99"], "but made-up needs >=99; pip install 'click>=99'"),
        (["no-such-package<3"], "no-such-package isn't installed; pip install 'no-such-package<3'"),
        (['click>=99; extra == "plots"'], "but made-up[plots] needs >=99"),
        (['nothing; extra == "rasa"'], "nothing: not installed, so no bot runs here"),
    ],
)
def test_packages_that_do_not_fit(distribution: Any, needs: List[str], saying: str) -> None:
    name = distribution("numpy", *needs)
    assert saying in only(partial(package_findings, needs_rasa=True, name=name), "problem")


def test_a_python_that_is_too_old(distribution: Any) -> None:
    name = distribution(python=">=4")
    found = only(partial(package_findings, needs_rasa=False, name=name), "problem")
    assert found.startswith("problem python: this is Python 3.")
    assert found.endswith("; install one that is >=4")


def test_code_that_is_not_installed() -> None:
    found = only(partial(package_findings, needs_rasa=False, name="rasa-onramp-nowhere"), "warning")
    assert "isn't installed" in found


# Weights


@pytest.fixture(scope="module")
def tracker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(tiny_tracker(0, rank=2, steps=2), folder, tokenizer_json())
    return folder


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_a_truncated_tracker(tracker_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tracker_folder, tmp_path / "mine")
    subject = Subject(RasaProject(tmp_path), {"checkpoint": "mine"})
    lines = told(partial(tracker_findings, subject))
    assert lines[0].startswith(f"ok tracker: {tmp_path}/mine's checkpoint is whole (")
    assert lines[1] == "ok router: the shipped background is whole"
    truncate(tmp_path / "mine" / "tracker.safetensors")
    assert "is not what its digest says; reinstall" in only(
        partial(tracker_findings, subject), "problem"
    )


def test_a_truncated_initialisation_of_replies(tmp_path: Path) -> None:
    (line,) = told(partial(reply_findings, Subject()))
    assert line.startswith("ok replies: the shipped initialisation is whole (")
    shutil.copytree(SHIPPED_REPLIES, tmp_path / "mine")
    truncate(tmp_path / "mine" / "replies.safetensors")
    subject = Subject(RasaProject(tmp_path), {"reply_checkpoint": str(tmp_path / "mine")})
    assert "is not what its digest says" in only(partial(reply_findings, subject), "problem")


def test_a_learned_metric_that_is_not_there(tmp_path: Path) -> None:
    assert told(partial(metric_findings, Subject())) == []
    subject = Subject(RasaProject(tmp_path), {"router_metric": "none"})
    assert str(tmp_path / "none") in only(partial(metric_findings, subject), "problem")


def test_encoders_that_are_missing_or_damaged(tmp_path: Path) -> None:
    (line,) = told(partial(encoder_findings, Subject()))
    assert line.startswith("ok encoder: ")
    missing = partial(encoder_findings, Subject(None, {"encoder": "no-such/encoder"}))
    assert "is not installed; pip install" in only(missing, "problem")
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    save_file({"weight": torch.zeros(100)}, str(tmp_path / "model.safetensors"))
    subject = Subject(None, {"encoder": str(tmp_path)})
    assert told(partial(encoder_findings, subject)) == [f"ok encoder: {tmp_path}"]
    theirs = Subject(RasaProject(tmp_path.parent), {"encoder": tmp_path.name})  # as Rasa runs there
    assert told(partial(encoder_findings, theirs)) == [f"ok encoder: {tmp_path}"]
    truncate(tmp_path / "model.safetensors")
    assert "truncated or damaged" in only(partial(encoder_findings, subject), "problem")


def test_a_language_model_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    check = partial(language_model_findings, Subject())
    assert "run: rasa-onramp weights" in only(check, "warning")
    (line,) = told(partial(language_model_findings, Subject(None, {"replies": False})))
    assert line.startswith("ok language model: config.yml says `replies: false`")


def test_what_computes() -> None:
    assert told(gpu_findings)[0].partition(" ")[0] in ("ok", "warning")
    assert told(spacy_findings) == ["ok spacy: the English tokeniser works"]


# Store


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'onramp.db'}"
    monkeypatch.setenv("SHOP_STORE", url)
    return url


@pytest.fixture
def subject(tracker_folder: Path) -> Subject:
    settings = {"database_url_env": "SHOP_STORE", "checkpoint": str(tracker_folder)}
    return Subject(None, settings)


def add_adapter(
    store: Store, domain: str, tracker: Path, digest: Optional[str] = None, activate: bool = True
) -> None:
    loaded = load_tracker(tracker)
    summary = next(s for s in store.dialogues.summary() if s.name == domain)
    store.adapters.add(
        *(domain, adapter_to_bytes(dict(loaded.weights))),
        support_digest=summary.support_digest,
        checkpoint_digest=digest or loaded.digest,
        figures={},
        activate=activate,
    )


def test_a_store_in_order(url: str, subject: Subject, tracker_folder: Path) -> None:
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        add_adapter(store, TABLES.name, tracker_folder)
        before = store.revision()
        lines = told(partial(store_findings, subject))
        assert store.revision() == before
    assert [line.partition(":")[0] for line in lines] == [
        *("ok store", "ok store", "ok domains", "ok adapters")
    ]


def test_a_file_that_others_may_read_or_that_has_no_log(
    url: str, subject: Subject, tmp_path: Path
) -> None:
    with open_store(url) as store:
        store.upgrade()
    with sqlite3.connect(tmp_path / "onramp.db") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    (tmp_path / "onramp.db").chmod(0o644)
    lines = [line for line in told(partial(store_findings, subject)) if "warning store" in line]
    assert "written without a write-ahead log (delete)" in lines[0]
    assert f"(644); chmod 600 {tmp_path}" in lines[1]


def test_a_store_that_was_never_created(url: str, subject: Subject, tmp_path: Path) -> None:
    found = only(partial(store_findings, subject), "problem")
    assert found.endswith("hasn't been created yet; create it with `rasa-onramp init`")
    assert not (tmp_path / "onramp.db").exists()


def test_a_store_of_an_older_version(url: str, subject: Subject, tmp_path: Path) -> None:
    with open_store(url) as store:
        store.upgrade()
    with sqlite3.connect(tmp_path / "onramp.db") as connection:
        connection.execute("UPDATE onramp_version SET version_num = '0001'")
    connection.close()
    found = only(partial(store_findings, subject), "problem")
    assert found.endswith("upgrade it with `rasa-onramp init`")


def test_a_variable_that_is_not_set(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_STORE", raising=False)
    assert "SHOP_STORE isn't set" in only(partial(store_findings, subject), "problem")


def test_a_database_that_is_down(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg2")
    url = f"postgresql://shop:s3cret@127.0.0.1:{free_port()}/shop"
    monkeypatch.setenv("SHOP_STORE", url)
    found = only(partial(store_findings, subject), "problem")
    assert "can't be reached" in found and "s3cret" not in found


def test_who_changes_the_store(tmp_path: Path) -> None:
    assert Subject().changes_store
    (tmp_path / "config.yml").write_text("pipeline: []\n", encoding="utf-8")
    credentials, ours = tmp_path / "credentials.yml", "rasa_onramp.components"
    for text, changes in (
        ("rest:\n", False),
        (f"rest:\n{ours}.metrics.MetricsInput: {{token_env: T}}\n", False),
        (f"{ours}.metrics.MetricsInput:\n{ours}.feedback.FeedbackInput:\n", True),
        (f"{ours}.console.ConsoleInput: {{token_env: T}}\n", True),
    ):
        credentials.write_text(text, encoding="utf-8")
        assert subject_of(RasaProject(tmp_path)).changes_store == changes


def test_a_store_that_cannot_be_written_to(
    url: str, subject: Subject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with open_store(url) as store:
        store.upgrade()
    from rasa_onramp.store import connect

    monkeypatch.setattr(connect, "WAIT_SECONDS", 0)
    holder = sqlite3.connect(tmp_path / "onramp.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        found = told(partial(store_findings, subject))
    finally:
        holder.close()
    (busy,) = [line for line in found if "another process has been writing" in line]
    assert busy.startswith("warning store: whether it can be written to isn't known")
    assert any("there are none" in line for line in found)  # the other checks go on


def test_domains_that_lack_something(url: str, subject: Subject, tracker_folder: Path) -> None:
    with open_store(url) as store:
        store.upgrade()
        assert "there are none" in only(partial(store_findings, subject), "warning")
        store.dialogues.import_corpus(corpus_of(TABLES))
        store.dialogues.import_corpus(corpus_of(BIKES, support=0))
        add_adapter(store, TABLES.name, tracker_folder)
        store.dialogues.import_corpus(corpus_of(TABLES, support=7))
    lines = [line for line in told(partial(store_findings, subject)) if line[:2] != "ok"]
    assert lines[0].startswith("warning domains: without support dialogues, so known by desc")
    assert "bike_repair; write about five" in lines[0]
    assert lines[1].startswith("warning domains: changed since their version was made: table_b")
    assert len(lines) == 2
    with open_store(url) as store:
        add_adapter(store, TABLES.name, tracker_folder, activate=False)
    lines = told(partial(store_findings, subject))
    assert not [line for line in lines if "changed since" in line]
    (line,) = [line for line in lines if "a version of what they are now that isn't active" in line]
    assert line.startswith("ok domains: ") and "table_booking; `rasa-onramp versions list`" in line


def test_a_schema_that_cannot_be_read(url: str, subject: Subject, tracker_folder: Path) -> None:
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        add_adapter(store, TABLES.name, tracker_folder)
        with store._database.writing() as connection:
            connection.exec_driver_sql("UPDATE domains SET schema = 'no'")
    found = only(partial(store_findings, subject), "problem")
    assert found.startswith("problem domains: the schema of domain 'table_booking' isn't a JSON")


def test_dialogues_that_wait_for_labels(url: str, subject: Subject, tracker_folder: Path) -> None:
    with open_store(url) as store:
        store.upgrade()
        corpus = corpus_of(TABLES)
        store.dialogues.import_corpus(corpus, how=Intake(waits=lambda dialogue: True))
        add_adapter(store, TABLES.name, tracker_folder)
    found = only(partial(store_findings, subject), "warning")
    assert found.startswith("warning domains: with dialogues that wait for labels")
    assert found.endswith("table_booking; `rasa-onramp label DOMAIN`")


@pytest.mark.parametrize("state", ["no", {"values": {"day": "friday"}}])
def test_dialogues_changed_by_hand(
    url: str, subject: Subject, tracker_folder: Path, state: Any
) -> None:
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        add_adapter(store, TABLES.name, tracker_folder)
        with store._database.writing() as connection:
            connection.exec_driver_sql(
                "UPDATE turns SET state = ? WHERE speaker = 'user'", (json.dumps(state),)
            )
    found = only(partial(store_findings, subject), "problem")
    assert found.startswith("problem domains: turn 1 of dialogue ")
    assert "with --dialogue ID for one alone" in found


def test_dialogues_changed_by_hand_that_can_be_read(
    url: str, subject: Subject, tracker_folder: Path
) -> None:
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        add_adapter(store, TABLES.name, tracker_folder)
        (name, *_) = store.dialogues.ids(TABLES.name)
        with store._database.writing() as connection:
            connection.exec_driver_sql(
                "UPDATE turns SET text = 'other' WHERE dialogue = ? AND position = 0", (name,)
            )
    found = only(partial(store_findings, subject), "warning")
    assert f"takes note of: {name}; `rasa-onramp remove table_booking --dialogue ID`" in found


def test_a_schema_too_long_to_be_tracked(url: str, subject: Subject, tracker_folder: Path) -> None:
    many = tuple(f"seat {n}" for n in range(300))
    wide = replace(TABLES, slots=(*TABLES.slots, Slot("seat", "Which seat", many)))
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(wide))
        add_adapter(store, TABLES.name, tracker_folder)
    found = only(partial(store_findings, subject), "problem")
    assert found.startswith("problem domains: domain 'table_booking' takes ")
    assert found.endswith("list fewer values or split the domain. Bots leave it out until then")


def test_a_job_that_failed(url: str, subject: Subject, tracker_folder: Path) -> None:
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        add_adapter(store, TABLES.name, tracker_folder)
        store.jobs.enqueue(TABLES.name, asked_by="test")
        lease = store.jobs.claim("me")
        assert lease is not None
        store.jobs.fail(lease, "no room")
    found = only(partial(store_findings, subject), "warning")
    assert found == "warning jobs: failed: table_booking; `rasa-onramp jobs list` says why"


def test_adapters_that_cannot_be_used(url: str, subject: Subject, tracker_folder: Path) -> None:
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES, BIKES))
        add_adapter(store, TABLES.name, tracker_folder, digest="another")
    lines = [line for line in told(partial(store_findings, subject)) if line[:2] != "ok"]
    assert lines[0].startswith("warning domains: on no adapter, so tracked zero-shot: bike_repair")
    assert lines[1] == (
        "problem adapters: table_booking: adapter 1 is for another checkpoint; "
        "run `rasa-onramp adapt table_booking`, with --checkpoint where the bot has one"
    )
    with open_store(url) as store:
        add_adapter(store, TABLES.name, tracker_folder)
    with sqlite3.connect(url.replace("sqlite:///", "")) as connection:
        (weights,) = connection.execute("SELECT weights FROM adapters WHERE version = 2").fetchone()
        connection.execute("UPDATE adapters SET weights = ?", (weights[:-1] + b"?",))
    connection.close()
    (line,) = [line for line in told(partial(store_findings, subject)) if line[:4] == "prob"]
    assert line.startswith("problem adapters: ") and "table_booking" in line


def test_adapters_without_the_tracker_that_they_are_for(
    url: str, subject: Subject, tracker_folder: Path, tmp_path: Path
) -> None:
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        add_adapter(store, TABLES.name, tracker_folder)
    assert told(partial(store_findings, subject))[-1] == (
        "ok adapters: 1 active, all whole and for the tracker that is here"
    )
    lacking = Subject(None, {**subject.settings, "checkpoint": str(tmp_path / "nowhere")})
    assert told(partial(store_findings, lacking))[-1] == "ok adapters: 1 active, all whole"


# Bot

CONFIG = """\
pipeline:
- name: WhitespaceTokenizer
- name: DIETClassifier
- name: rasa_onramp.components.OnrampModel
  database_url_env: SHOP_STORE
- name: rasa_onramp.components.OnrampStateTracker
policies:
- name: RulePolicy
- name: rasa_onramp.components.OnrampPolicy
"""


@pytest.fixture
def bot(tmp_path: Path, repository: Path) -> Path:
    """A bot of somebody's, which has us."""
    folder = tmp_path / "bot"
    folder.mkdir()
    for name in ("domain.yml", "endpoints.yml", "credentials.yml"):
        shutil.copy(repository / name, folder / name)
    (folder / "config.yml").write_text(CONFIG, encoding="utf-8")
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_bot_in_order(bot: Path) -> None:
    assert told(partial(file_findings, RasaProject(bot))) == [
        f"ok bot: {bot}: config.yml, domain and endpoints.yml have us"
    ]
    assert told(partial(pipeline_findings, subject_of(RasaProject(bot)))) == [
        "ok config.yml: the pipeline is in order"
    ]
    assert told(partial(credential_findings, RasaProject(bot))) == []
    assert subject_of(RasaProject(bot)).database_variable == "SHOP_STORE"


@pytest.mark.parametrize(
    ("name", "old", "new", "saying"),
    [
        (
            *("config.yml", "- name: rasa_onramp.components.OnrampPolicy\n", ""),
            "config.yml: it lacks rasa_onramp.components.OnrampPolicy; `rasa-onramp init --bot",
        ),
        (
            *("endpoints.yml", "rasa_onramp.components.OnrampResponseGenerator", "response"),
            "endpoints.yml: it lacks nlg type rasa_onramp.components.OnrampResponseGenerator;",
        ),
        (
            "domain.yml",
            "  onramp_results:",
            "  other:",
            "domain.yml: it lacks slot onramp_results; `",
        ),
        ("domain.yml", "utter_onramp", "utter_x", "domain.yml: it lacks response utter_onramp; `r"),
        ("config.yml", "pipeline:", "pipeline: [", "config.yml"),
        ("config.yml", "- name: WhitespaceTokenizer", "- namen: x", "entry 1 of pipeline has no"),
    ],
)
def test_files_that_lack_something(bot: Path, name: str, old: str, new: str, saying: str) -> None:
    edit(bot / name, old, new)
    assert saying in only(partial(file_findings, RasaProject(bot)), "problem")


def test_a_domain_elsewhere(bot: Path) -> None:
    (bot / "domains").mkdir()
    domain = (bot / "domain.yml").rename(bot / "domains" / "base.yml")
    assert only(partial(file_findings, RasaProject(bot)), "problem").endswith("by --domain PATH")
    named = RasaProject(bot, domain=bot / "domains")
    assert told(partial(file_findings, named))[0].startswith("ok bot: ")
    edit(domain, "utter_onramp", "utter_x")
    assert told(partial(file_findings, RasaProject(bot, domain=domain))) == [
        "problem domains/base.yml: it lacks response utter_onramp; "
        f"`rasa-onramp init --bot {bot} --domain {domain}` adds what is missing"
    ]
    done = invoke("doctor", "--rasa-project", bot, "--domain", domain, "--json")
    assert "domains/base.yml" in [each["check"] for each in findings(done.out)["findings"]]
    assert "goes with --rasa-project" in invoke("doctor", "--domain", domain).err


def test_files_of_other_names(bot: Path) -> None:
    config = (bot / "config.yml").rename(bot / "config_de.yml")
    (bot / "domain").mkdir()
    domain = (bot / "domain.yml").rename(bot / "domain" / "base.yml")
    assert only(partial(file_findings, RasaProject(bot)), "problem").endswith("by --config FILE")
    project = RasaProject(bot, config)
    assert told(partial(file_findings, project)) == [
        f"ok bot: {bot}: config_de.yml, domain and endpoints.yml have us"
    ]
    assert subject_of(project).database_variable == "SHOP_STORE"
    assert told(partial(pipeline_findings, subject_of(project))) == [
        "ok config_de.yml: the pipeline is in order"
    ]
    pytest.importorskip("rasa")
    stamp = {"version": __version__, "code": code_digest()}
    model = trained(bot, *OURS, stamp=stamp)
    check = partial(model_findings, project)
    assert told(check) == ["ok model: a.tar.gz was trained with this code"]
    for path in (config, domain):
        os.utime(path, (path.stat().st_atime, model.stat().st_mtime + 60))
    assert only(check, "warning") == (
        "warning model: a.tar.gz is older than config_de.yml, domain/base.yml; run `rasa train "
        "--config config_de.yml --domain domain`"
    )
    edit(config, "- name: rasa_onramp.components.OnrampPolicy\n", "")
    command = f"`rasa-onramp init --bot {bot} --config {config}` adds what is missing"
    assert command in only(partial(file_findings, project), "problem")
    done = invoke("doctor", "--rasa-project", bot, "--config", config, "--json")
    assert "config_de.yml" in [each["check"] for each in findings(done.out)["findings"]]


def test_calls_that_run_actions_of_the_bots_own(bot: Path, url: str) -> None:
    check = partial(action_findings, subject_of(RasaProject(bot)))
    assert told(check) == []  # no store yet
    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
    assert told(check) == []
    edit(bot / "domain.yml", "actions:", "actions:\n  - action_reserve_table")
    assert only(check, "warning") == (
        "warning actions: calls that actions of the bot's own make: reserve_table of "
        f"{TABLES.name} runs action_reserve_table; rename one of the two, "
        "unless you mean it so"
    )


def test_a_bot_that_carries_slots_over(bot: Path) -> None:
    check = partial(session_findings, RasaProject(bot))
    assert told(check) == []
    edit(bot / "domain.yml", "carry_over_slots_to_new_session: false", "")
    found = only(check, "warning")
    assert found.startswith("warning sessions: Rasa copies") and found.endswith("to false")
    (bot / "domain").mkdir()
    (bot / "domain.yml").rename(bot / "domain" / "base.yml")
    only(check, "warning")
    ends = "session_config: {carry_over_slots_to_new_session: false}"
    (bot / "domain" / "session.yml").write_text(ends, encoding="utf-8")
    assert told(check) == []


def test_endpoints_elsewhere(bot: Path) -> None:
    plain = bot / "endpoints.prod.yml"
    plain.write_text("action_endpoint:\n  url: http://actions/\n", encoding="utf-8")
    (found,) = told(partial(file_findings, RasaProject(bot, endpoints=plain)))
    assert found == (
        "problem endpoints.prod.yml: it lacks nlg type rasa_onramp.components."
        f"OnrampResponseGenerator; `rasa-onramp init --bot {bot} --endpoints {plain}` adds what is "
        "missing"
    )
    edit(plain, "action", "nlu:\n  url: http://nlu/\naction")
    nlu = only(partial(endpoint_findings, RasaProject(bot, endpoints=plain)), "problem")
    assert "endpoints.prod.yml: an NLU server" in nlu
    done = invoke("doctor", "--rasa-project", bot, "--endpoints", plain, "--json")
    assert "endpoints.prod.yml" in [each["check"] for each in findings(done.out)["findings"]]
    assert "goes with --rasa-project" in invoke("doctor", "--endpoints", plain).err


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_that_holds_no_bot(tmp_path: Path, name: str) -> None:
    assert "; give" in only(partial(file_findings, RasaProject(tmp_path / name)), "problem")
    assert subject_of(RasaProject(tmp_path / name)).settings == {}


@pytest.mark.parametrize(
    ("old", "new", "saying"),
    [
        (
            "policies:",
            "- name: FallbackClassifier\npolicies:",
            "FallbackClassifier after OnrampStateTracker would take its messages away; move",
        ),
        (
            "policies:",
            "- name: DucklingEntityExtractor\n- name: EntitySynonymMapper\npolicies:",
            "DucklingEntityExtractor, EntitySynonymMapper after OnrampStateTracker would change",
        ),
        (
            "- name: WhitespaceTokenizer",
            "- name: rasa_onramp.components.OnrampStateTracker",
            "OnrampStateTracker stands before OnrampModel, which it needs; put",
        ),
        (
            "- name: DIETClassifier",
            "- name: SpacyNLP\n  model: xx_no_such_model",
            "model xx_no_such_model isn't installed; python -m spacy download xx_no_such_model",
        ),
        (
            *("SHOP_STORE\n", "SHOP_STORE\n  treshold: 0.4\n"),
            "OnrampModel: there is no setting 'treshold'; the settings are action_threshold, ",
        ),
        ("SHOP_STORE\n", "SHOP_STORE\n  replies: 'no'\n", "replies is 'no'; make it true or false"),
        ("policies:", "  x: 1\npolicies:", "OnrampStateTracker: there is no setting 'x'; "),
        ("SHOP_STORE", "postgresql://shop:s3cret@host/shop", "database_url_env doesn't name an"),
        ("SHOP_STORE", "host=db user=u password=s3cret", "database_url_env doesn't name an"),
    ],
)
def test_a_pipeline_out_of_order(bot: Path, old: str, new: str, saying: str) -> None:
    if "StateTracker" in new:
        for name in ("rasa_onramp.components.OnrampStateTracker", "DIETClassifier"):
            edit(bot / "config.yml", f"- name: {name}\n", "")
    edit(bot / "config.yml", old, new)
    found = only(partial(pipeline_findings, subject_of(RasaProject(bot))), "problem")
    assert saying in found and "s3cret" not in found
    if "s3cret" in new:
        assert told(partial(store_findings, subject_of(RasaProject(bot)))) == []


def test_every_wrong_setting_is_told(bot: Path) -> None:
    edit(bot / "config.yml", "SHOP_STORE\n", "postgresql://shop:s3cret@host\n  treshold: 0.4\n")
    found = told(partial(pipeline_findings, subject_of(RasaProject(bot))))
    wrong = [line for line in found if "OnrampModel: " in line]
    assert len(wrong) == 2 and not any("s3cret" in line for line in wrong)
    assert "no setting 'treshold'" in wrong[0] and "database_url_env doesn't name" in wrong[1]


def test_a_server_of_its_own_for_nlu(bot: Path) -> None:
    check = partial(endpoint_findings, RasaProject(bot))
    assert told(check) == []
    with (bot / "endpoints.yml").open("a", encoding="utf-8") as file:
        file.write("nlu:\n  url: http://localhost:5006\n")
    assert "an NLU server (`nlu`) is sent no conversation" in only(check, "problem")


def test_channels_without_their_tokens(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = "rasa_onramp.components.metrics.MetricsInput"
    check = partial(credential_findings, RasaProject(bot))
    path = bot / "credentials.yml"
    path.write_text(f"rest:\n{channel}:\n", encoding="utf-8")
    assert "MetricsInput needs token_env" in only(check, "problem")
    pasted = "a" + "0" * 63
    path.write_text(f"rest:\n{channel}:\n  token_env: {pasted}\n", encoding="utf-8")
    found = only(check, "problem")
    assert "MetricsInput needs token_env" in found and pasted not in found
    path.write_text(f"rest:\n{channel}:\n  token_env: MY_TOKEN\n", encoding="utf-8")
    monkeypatch.setenv("MY_TOKEN", "s3cret")
    found = only(check, "problem")
    assert "MY_TOKEN, which MetricsInput names, holds no token of 16 characters" in found
    assert "s3cret" not in found
    monkeypatch.setenv("MY_TOKEN", "s3cret that somebody wrote by echo\n")
    found = only(check, "problem")
    assert "MY_TOKEN, which MetricsInput names, holds a token with a blank" in found
    assert "s3cret" not in found
    monkeypatch.setenv("MY_TOKEN", "a-token-of-16-characters-or-more")
    assert told(check) == ["ok credentials.yml: MetricsInput has its token"]


def trained(bot: Path, *components: str, stamp: Any = None, rasa: str = "") -> Path:
    """A model as `rasa train` packs one, as far as it is looked at."""
    nodes = {f"run_{n}": {"uses": f"somewhere.{name}"} for n, name in enumerate(components)}
    version = rasa or metadata.version("rasa")
    files: Dict[str, Any] = {
        "metadata.json": {
            "rasa_open_source_version": version,
            "predict_schema": {"nodes": nodes},
        }
    }
    if stamp is not None:
        files[f"components/train_x/{STAMP}"] = stamp
    path = bot / "models" / "a.tar.gz"
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


OURS = ("OnrampModel", "OnrampStateTracker", "OnrampPolicy")


def test_trained_models(bot: Path) -> None:
    pytest.importorskip("rasa")
    check = partial(model_findings, RasaProject(bot))
    assert "holds none; run `rasa train`" in only(check, "warning")
    now = {"version": __version__, "code": code_digest()}
    path = trained(bot, *OURS, stamp=now)
    assert told(check) == ["ok model: a.tar.gz was trained with this code"]
    trained(bot, "OnrampModel", "OnrampStateTracker", stamp=now)
    assert "was trained without rasa_onramp.components.OnrampPolicy" in only(check, "problem")
    trained(bot, *OURS)
    assert "trained by another code of ours (an earlier rasa-onramp; " in only(check, "warning")
    trained(bot, *OURS, stamp={"version": "0.0.1", "code": "other"})
    assert "by another code of ours (rasa-onramp 0.0.1; this is " in only(check, "warning")
    trained(bot, *OURS, stamp=now, rasa="3.5.0")
    assert "was trained by Rasa 3.5.0, and 3.6." in only(check, "warning")
    trained(bot, *OURS, stamp=now)
    os.utime(path, (1, 1))
    assert "a.tar.gz is older than config.yml, domain.yml; run" in only(check, "warning")


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_model(bot: Path, content: Optional[bytes]) -> None:
    pytest.importorskip("rasa")
    path = trained(bot, *OURS)
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    found = only(partial(model_findings, RasaProject(bot)), "problem")
    assert found.endswith("is damaged or no model of Rasa's; run `rasa train`")


# The command


def findings(out: str) -> Mapping[str, Any]:
    return json.loads(out)


def test_the_command_without_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("init").code == 0
    done = invoke("doctor", "--json")
    report = findings(done.out)
    assert (done.code, report["ok"]) == (0, True), done.out
    by_check = {finding["check"]: finding["level"] for finding in report["findings"]}
    assert by_check["store"] == by_check["tracker"] == by_check["encoder"] == "ok"
    assert by_check["domains"] == "warning"


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterable[Finding]:
        raise RuntimeError("CUDA\nis upset")

    monkeypatch.setattr(examination, "gpu_findings", broken)
    done = invoke("doctor", "--json")
    (found,) = [f for f in findings(done.out)["findings"] if f["check"] == "gpu"]
    assert found["level"] == "problem"
    assert "(RuntimeError: CUDA is upset)" in found["says"]


def test_without_rasa_it_says_all_and_exits_with_1_on_a_problem(tmp_path: Path) -> None:
    """For real: in a process where what isn't everywhere can't be imported."""
    script = (
        "import sys\n"
        "for name in ('rasa', 'rasa_sdk', 'prometheus_client', 'transformers', 'psycopg2'):\n"
        "    sys.modules[name] = None\n"
        "from rasa_onramp.cli.main import main\n"
        f"main(['doctor', '--rasa-project', {str(tmp_path)!r}])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for beginning in ("ok       tracker: ", "problem  store: ", "problem  bot: ", "problems: "):
        assert any(line.startswith(beginning) for line in lines), done.stdout
    assert "no config.yml" in done.stdout
