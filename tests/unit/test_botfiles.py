"""The edits that add us to an existing bot: few, complete, repeatable, and refused on bad files."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any, Dict

import pytest
from ruamel.yaml import YAML

from rasa_onramp import botfiles
from rasa_onramp.bot_edits import BotEdits
from rasa_onramp.errors import ConfigError, FormatError
from rasa_onramp.rasa_project import RasaProject

CONFIG = """\
recipe: default.v1
language: en   # the shop speaks English

pipeline:
- name: WhitespaceTokenizer
- name: CountVectorsFeaturizer
  min_ngram: 1     # characters
- name: "DIETClassifier"
  # fewer epochs overfit less
  epochs: 30

# what decides
policies:
- name: RulePolicy
"""

DOMAIN = """\
version: "3.1"
intents:
  - greet
  - book: {use_entities: [city]}

# the form's
slots:
    city:
        type: text
        mappings:
        - type: from_entity
          entity: city
responses:
    utter_help:
    - text: |
        You can say

        # book
forms:
    trip_form: {required_slots: [city]}
"""


def bot(folder: Path, **files: str) -> Path:
    texts = {"config": CONFIG, "domain": DOMAIN, **files}
    for name, text in texts.items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    return folder


def plan_edits(folder: Path, *, database_url_env: str = "SHOP_URL", **where: Path) -> BotEdits:
    project = RasaProject(folder, **where)
    return botfiles.plan_edits(project, database_url_env=database_url_env)


def load(path: Path) -> Dict[str, Any]:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("empty", "rasas"), [("", True), (" null", True), (" []", False)])
def test_an_empty_list_means_none_and_nothing_means_rasas_own(
    tmp_path: Path, empty: str, rasas: bool
) -> None:
    """As Rasa reads it: what isn't given is configured by itself, an empty list is empty."""
    config = f"recipe: default.v1\npipeline:{empty}\npolicies:{empty}\n"
    plan_edits(bot(tmp_path, config=config), database_url_env="SHOP_DB").apply()
    made = load(tmp_path / "config.yml")
    assert (len(made["pipeline"]) > 2, len(made["policies"]) > 1) == (rasas, rasas)
    assert made["pipeline"][-1] == {"name": "rasa_onramp.components.OnrampStateTracker"}


def test_emoji_stay_readable_where_the_file_is_written_anew(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [greet, bye]\nresponses:\n'
    domain += '  utter_hi:\n  - text: "Hi \U0001f600"\n'
    domain += "  utter_odd:\n  - text: 'C:\\\\U0001F600'\n"
    plan_edits(bot(tmp_path, domain=domain), database_url_env="SHOP_DB").apply()
    text = (tmp_path / "domain.yml").read_text(encoding="utf-8")
    responses = load(tmp_path / "domain.yml")["responses"]
    assert responses["utter_hi"] == [{"text": "Hi \U0001f600"}]
    assert responses["utter_odd"] == [{"text": "C:\\\\U0001F600"}]
    assert "Hi \U0001f600" in text


@pytest.mark.parametrize(
    "value", ["1234-56-78", "2024-02-30", '"\\U99999999"', "[" * 400 + "]" * 400]
)
def test_what_no_yaml_can_hold_is_one_clear_error(tmp_path: Path, value: str) -> None:
    with pytest.raises(FormatError, match=r"domain\.yml"):
        plan_edits(bot(tmp_path, domain=f"{DOMAIN}x: {value}\n"), database_url_env="SHOP_DB")


def test_only_lines_are_added_and_all_of_ours_are_there(tmp_path: Path) -> None:
    edits = plan_edits(bot(tmp_path), database_url_env="SHOP_DB")
    removed = [line for line in edits.diff().splitlines() if line.startswith("-")]
    assert removed == ["--- a/config.yml", "--- a/domain.yml", "--- /dev/null"]
    edits.apply()
    config, domain = load(tmp_path / "config.yml"), load(tmp_path / "domain.yml")
    assert config["pipeline"][-2:] == [
        {"name": "rasa_onramp.components.OnrampModel", "database_url_env": "SHOP_DB"},
        {"name": "rasa_onramp.components.OnrampStateTracker"},
    ]
    assert [p["name"] for p in config["policies"]] == [
        "RulePolicy",
        "rasa_onramp.components.OnrampPolicy",
    ]
    assert domain["intents"][-1] == "onramp"
    assert set(domain["slots"]) == {"city", "onramp", "onramp_results"}
    assert domain["actions"] == ["action_onramp_call"]
    assert "utter_onramp" in domain["responses"]
    assert domain["responses"]["utter_help"] == [{"text": "You can say\n\n# book\n"}]
    assert load(tmp_path / "endpoints.yml") == {
        "nlg": {"type": "rasa_onramp.components.OnrampResponseGenerator"},
        "action_endpoint": {"url": "http://localhost:5055/webhook"},
    }


def test_secrets_beside_an_edit_are_not_shown(tmp_path: Path) -> None:
    folder = bot(tmp_path)
    for endpoints in (
        "tracker_store:\n  type: SQL\n  username: ann\n  password: 'hush: 1'\n",
        "tracker_store:\n  type: SQL\n  username: ann\n  password: 'hush: 1'",
        "tracker_store: {username: ann, type: SQL, 'password': 'hush: 1'}\n",
    ):
        (folder / "endpoints.yml").write_text(endpoints, encoding="utf-8")
        edits = plan_edits(folder)
        told = edits.diff()
        assert ": ***\n" in told and "hush" not in told and "username: ann" in told
        assert "url: http://localhost:5055/webhook" in told
    for value in (
        " |\n    hush\n\n    hush",
        " >-\n    hush",
        "\n    hush",
        ' "hush\n    hush"',
        "\n  - hush",
    ):
        endpoints = f"event_broker:\n  password:{value}\n  username: ann\n"
        (folder / "endpoints.yml").write_text(endpoints, encoding="utf-8")
        told = plan_edits(folder).diff()
        assert "***\n" in told and "hush" not in told and "username: ann" in told
    slashes = "event_broker:\n  url: amqp://ann:hu/hush@hush@host:5672\n"
    (folder / "endpoints.yml").write_text(slashes, encoding="utf-8")
    told = plan_edits(folder).diff()
    assert "amqp://***@host:5672" in told and "hush" not in told
    login = "tracker_store:\n  url: postgresql://ann:hush@host/db\n"
    (folder / "endpoints.yml").write_text(login, encoding="utf-8")
    edits = plan_edits(folder)
    assert "postgresql://***@host/db" in edits.diff() and "hush" not in edits.diff()
    edits.apply()
    assert load(folder / "endpoints.yml")["tracker_store"]["url"] == login.split()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("may_give_away", [True, False])
def test_files_stay_their_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_give_away: bool
) -> None:
    folder = bot(tmp_path)
    for file in folder.iterdir():
        os.chown(file, 12345, 54321)
        file.chmod(0o664)
    plan = plan_edits(folder)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not may_give_away:
        monkeypatch.setattr(os, "chown", refuse)
    plan.apply()
    assert "OnrampModel" in (folder / "config.yml").read_text(encoding="utf-8")
    for name in ("config.yml", "domain.yml"):
        found = (folder / name).stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (12345, 54321, 0o664)
    assert [file.name for file in folder.iterdir() if file.name.startswith(".")] == []
    assert not plan_edits(folder)


def test_edits_name_what_was_lacking(tmp_path: Path) -> None:
    components = "rasa_onramp.components"
    assert [edit.adds for edit in plan_edits(bot(tmp_path)).files] == [
        tuple(f"{components}.{n}" for n in ("OnrampModel", "OnrampStateTracker", "OnrampPolicy")),
        (
            *("intent onramp", "slot onramp", "slot onramp_results", "action action_onramp_call"),
            "response utter_onramp",
        ),
        (f"nlg type {components}.OnrampResponseGenerator", "action_endpoint"),
    ]


def test_a_second_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    plan_edits(bot(tmp_path)).apply()
    again = plan_edits(tmp_path)
    assert not again
    assert again.diff() == ""


def test_a_bot_that_leaves_its_pipeline_to_rasa_keeps_rasas(tmp_path: Path) -> None:
    config = "recipe: default.v1\npipeline:\n# # chosen by Rasa\npolicies: null  # Rasa's\n"
    plan_edits(bot(tmp_path, config=config)).apply()
    written = load(tmp_path / "config.yml")
    names = [c["name"] for c in written["pipeline"]]
    assert names[0] == "WhitespaceTokenizer"
    assert names[-2:] == [
        f"rasa_onramp.components.{n}" for n in ("OnrampModel", "OnrampStateTracker")
    ]
    assert [p["name"] for p in written["policies"]][-2:] == [
        "TEDPolicy",
        "rasa_onramp.components.OnrampPolicy",
    ]
    text = (tmp_path / "config.yml").read_text(encoding="utf-8")
    assert "# # chosen by Rasa" in text
    assert "policies:  # Rasa's" in text


def test_rasas_defaults_are_the_installed_rasas() -> None:
    rasa = importlib.util.find_spec("rasa")  # importing it takes long
    if rasa is None or rasa.origin is None:
        pytest.skip("Rasa isn't installed")
    recipes = Path(rasa.origin).parent / "engine" / "recipes"
    default = load(recipes / "config_files" / "default_config.yml")
    assert default["pipeline"] == list(botfiles._RASA_PIPELINE)
    assert default["policies"] == list(botfiles._RASA_POLICIES)


def test_lists_written_inline_are_edited_too(tmp_path: Path) -> None:
    domain = "intents: [greet, bye]  # two\nslots: {}\nactions: []\n"
    config = "pipeline: [{name: WhitespaceTokenizer}]\npolicies: [{name: RulePolicy}]\n"
    endpoints = "nlg: {type: shop.Nlg, voice: low}\n"
    plan_edits(bot(tmp_path, config=config, domain=domain, endpoints=endpoints)).apply()
    domain = load(tmp_path / "domain.yml")
    assert domain["intents"] == ["greet", "bye", "onramp"]
    assert domain["actions"] == ["action_onramp_call"]
    assert "# two" in (tmp_path / "domain.yml").read_text(encoding="utf-8")
    assert len(load(tmp_path / "config.yml")["pipeline"]) == 3
    assert load(tmp_path / "endpoints.yml")["nlg"] == {
        "type": "rasa_onramp.components.OnrampResponseGenerator",
        "delegate": "shop.Nlg",
        "voice": "low",
    }
    assert not plan_edits(tmp_path)


@pytest.mark.parametrize("more", ["", "  night:\n    type: text\n"])
def test_what_is_merged_in_stays_so(tmp_path: Path, more: str) -> None:
    domain = f"x-base: &base\n  city:\n    type: text\nslots:\n  <<: *base\n{more}"
    edits = plan_edits(bot(tmp_path, domain=domain))
    removed = [line for line in edits.diff().splitlines() if line.startswith("-")]
    assert removed == ["--- a/config.yml", "--- a/domain.yml", "--- /dev/null"]
    edits.apply()
    slots = load(tmp_path / "domain.yml")["slots"]
    assert {"city", "onramp", "onramp_results"} <= set(slots)
    assert not plan_edits(tmp_path)


def test_a_generator_of_the_bots_own_is_kept_as_delegate(tmp_path: Path) -> None:
    endpoints = (
        "nlg:\n  # spoken\n  type: 'shop.Nlg'\n  voice: low\naction_endpoint:\n  url: http://x/y\n"
    )
    plan_edits(bot(tmp_path, endpoints=endpoints)).apply()
    written = load(tmp_path / "endpoints.yml")
    assert written["nlg"]["delegate"] == "shop.Nlg"
    assert written["nlg"]["voice"] == "low"
    assert written["action_endpoint"] == {"url": "http://x/y"}
    assert "# spoken" in (tmp_path / "endpoints.yml").read_text(encoding="utf-8")

    callback = "nlg:\n  url: http://nlg/\n"
    (tmp_path / "endpoints.yml").write_text(callback, encoding="utf-8")
    plan_edits(tmp_path).apply()
    assert load(tmp_path / "endpoints.yml")["nlg"] == {
        "url": "http://nlg/",
        "type": "rasa_onramp.components.OnrampResponseGenerator",
    }


def test_a_domain_in_a_folder_gets_a_file_of_ours(tmp_path: Path) -> None:
    bot(tmp_path)
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain.yml").rename(tmp_path / "domain" / "base.yml")
    (tmp_path / "domain" / "more.yml").write_text("intents: [onramp]\n", encoding="utf-8")
    edits = plan_edits(tmp_path)
    assert [e.path.name for e in edits.files] == ["config.yml", "onramp.yml", "endpoints.yml"]
    edits.apply()
    ours = load(tmp_path / "domain" / "onramp.yml")
    assert "intents" not in ours
    assert set(ours) == {"version", "slots", "actions", "responses"}
    assert not plan_edits(tmp_path)


@pytest.mark.parametrize("name", ["domains", "domains/base.yaml"])
def test_a_domain_elsewhere_is_named(tmp_path: Path, name: str) -> None:
    bot(tmp_path)
    (tmp_path / "domains").mkdir()
    (tmp_path / "domain.yml").rename(tmp_path / "domains" / "base.yaml")
    with pytest.raises(ConfigError, match=r"holds neither domain\.yml nor .*--domain PATH"):
        plan_edits(tmp_path)
    with pytest.raises(ConfigError, match="nowhere doesn't exist; name"):
        plan_edits(tmp_path, domain=tmp_path / "nowhere")
    edits = plan_edits(tmp_path, domain=tmp_path / name)
    changed = "domains/onramp.yml" if name == "domains" else name
    assert f"+++ b/{changed}\n" in edits.diff()
    edits.apply()
    assert load(tmp_path / changed)["actions"] == ["action_onramp_call"]
    assert not (tmp_path / "domain.yml").exists()
    assert not plan_edits(tmp_path, domain=tmp_path / name)


def test_a_domain_outside_the_bots_folder(tmp_path: Path) -> None:
    (tmp_path / "bot").mkdir()
    bot(tmp_path / "bot")
    (tmp_path / "bot" / "domain.yml").rename(tmp_path / "shared.yml")
    edits = plan_edits(tmp_path / "bot", domain=tmp_path / "shared.yml")
    assert "+++ b/../shared.yml\n" in edits.diff()


def test_line_ends_and_modes_are_kept(tmp_path: Path) -> None:
    bot(tmp_path)
    path = tmp_path / "domain.yml"
    path.write_bytes(DOMAIN.replace("\n", "\r\n").rstrip().encode())
    path.chmod(0o600)
    plan_edits(tmp_path).apply()
    raw = path.read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "text", "where", "said"),
    [
        ("config", "pipeline:\n- name: A\n  - name: B\n", "config.yml:3", "mend the YAML"),
        ("config", "a: 1\npipeline: DIET\n", "config.yml:2", "pipeline isn't a list"),
        ("config", "pipeline:\n- name: A\n- epochs: 3\n", "config.yml:3", "entry 2 of pipeline"),
        ("config", "a: 1\na: 2\n", "config.yml:2", "duplicate key"),
        ("config", "- name: A\n", "config.yml:1", "the top level is"),
        ("domain", "intents:\n  greet: x\n", "domain.yml:1", "intents isn't a list"),
        (
            "domain",
            "slots:\n  onramp:\n    type: text\n",
            "domain.yml:2",
            "slot 'onramp' of its own",
        ),
        (
            "domain",
            "x-base: &b\n  onramp: {type: text}\nslots:\n  <<: *b\n",
            "domain.yml:3",
            "slot 'onramp' of its own",
        ),
        (
            "domain",
            "intents: &i [greet]\nforms:\n  f: {required_slots: [], ignored_intents: *i}\n",
            "domain.yml:1",
            "write it without an anchor",
        ),
        ("endpoints", "x: 1\nnlg: http://y\n", "endpoints.yml:2", "nlg isn't a mapping"),
    ],
)
def test_bad_files_are_named_with_their_line(
    tmp_path: Path, name: str, text: str, where: str, said: str
) -> None:
    bot(tmp_path, **{name: text})
    with pytest.raises(FormatError) as caught:
        plan_edits(tmp_path)
    message = str(caught.value)
    assert where in message
    assert said in message
    assert "\n" not in message


def test_invalid_utf8_and_a_tracker_without_its_model_are_refused(tmp_path: Path) -> None:
    bot(tmp_path)
    (tmp_path / "domain.yml").write_bytes(b"intents:\n- gr\xffet\n")
    with pytest.raises(FormatError, match=r"domain\.yml:2: this isn't UTF-8"):
        plan_edits(tmp_path)
    lonely = "pipeline:\n- name: A\n- name: rasa_onramp.components.OnrampStateTracker\n"
    bot(tmp_path, config=lonely)
    with pytest.raises(FormatError, match=r"config\.yml:3: OnrampStateTracker stands without"):
        plan_edits(tmp_path)


def test_a_folder_that_is_no_bot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        plan_edits(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"holds no config\.yml"):
        plan_edits(tmp_path)


def test_nothing_is_written_if_a_file_changed_or_cant_be(tmp_path: Path) -> None:
    edits = plan_edits(bot(tmp_path))
    (tmp_path / "domain.yml").write_text(DOMAIN + "# more\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="has changed meanwhile"):
        edits.apply()
    assert (tmp_path / "config.yml").read_text(encoding="utf-8") == CONFIG

    edits = plan_edits(tmp_path)
    (tmp_path / "domain.yml").unlink()
    (tmp_path / "domain.yml").symlink_to(tmp_path / "locked" / "domain.yml")
    (tmp_path / "locked").write_text("not a folder", encoding="utf-8")
    with pytest.raises((ConfigError, OSError)):
        edits.apply()
    assert (tmp_path / "config.yml").read_text(encoding="utf-8") == CONFIG


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_file_undoes_the_others(tmp_path: Path) -> None:
    edits = plan_edits(bot(tmp_path))
    (tmp_path / "domain.yml").chmod(0o400)
    with pytest.raises(ConfigError, match="Nothing changed"):
        edits.apply()
    assert (tmp_path / "config.yml").read_text(encoding="utf-8") == CONFIG
