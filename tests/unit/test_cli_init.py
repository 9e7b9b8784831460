"""`rasa-onramp init`: creating the store, and the edits to a bot, which are asked for first."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from command_line import dump, invoke

CONFIG = "recipe: default.v1\nlanguage: en\npipeline:\n- name: WhitespaceTokenizer\npolicies:\n"
_LOG = "rasa_onramp.store.database.Database._use_write_ahead_log"
DOMAIN = 'version: "3.1"\nintents:\n- greet\nresponses:\n  utter_greet:\n  - text: hello\n'


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / "config.yml").write_text(CONFIG, encoding="utf-8")
    (folder / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RASA_ONRAMP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def files(folder: Path) -> Dict[str, str]:
    return {p.name: p.read_text(encoding="utf-8") for p in sorted(folder.iterdir())}


def test_a_file_that_takes_no_log_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network file systems."""
    monkeypatch.setattr(_LOG, lambda database: None)
    done = invoke("init")
    assert done.code == 0
    assert "onramp.db is ready" in done.out
    assert "onramp.db takes no write-ahead log" in done.err


def test_creates_the_store_and_says_where(home: Path) -> None:
    done = invoke("init")
    assert (done.code, done.err) == (0, "")
    assert str(home / "onramp.db") in done.out
    first = dump(home / "onramp.db")
    assert any("CREATE TABLE domains" in line for line in first)
    assert invoke("init").code == 0
    assert dump(home / "onramp.db") == first


def test_says_where_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://ann:se%40cret@127.0.0.1:1/onramp"
    monkeypatch.setenv("RASA_ONRAMP_DATABASE_URL", url)
    done = invoke("init")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "127.0.0.1:1" in done.err
    assert "cret" not in done.err


def test_edits_are_shown_and_made_on_agreement(bot: Path, home: Path) -> None:
    done = invoke("init", "--bot", bot, input="y\n")
    assert (done.code, done.err) == (0, "")
    assert "+- name: rasa_onramp.components.OnrampModel" in done.out
    assert "+++ b/endpoints.yml" in done.out
    assert "OnrampPolicy" in files(bot)["config.yml"]
    assert "action_onramp_call" in files(bot)["domain.yml"]
    assert "OnrampResponseGenerator" in files(bot)["endpoints.yml"]
    assert (home / "onramp.db").exists()
    assert f"export RASA_ONRAMP_DATABASE_URL=sqlite:///{home / 'onramp.db'}" in done.out


def test_a_second_time_there_is_nothing_to_do(bot: Path, home: Path) -> None:
    assert invoke("init", "--bot", bot, "--yes").code == 0
    edited = files(bot)
    again = invoke("init", "--bot", bot)  # asks nothing
    assert again.code == 0
    assert "no edits" in again.out
    assert files(bot) == edited


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "perhaps\n"])
def test_declined_changes_nothing(bot: Path, home: Path, answer: str) -> None:
    before = files(bot)
    done = invoke("init", "--bot", bot, input=answer)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "declined" in done.err
    assert files(bot) == before
    assert not home.exists()


@pytest.mark.parametrize("what", ["no such folder", "no config", "broken config"])
def test_a_bot_that_is_none(bot: Path, home: Path, what: str) -> None:
    if what == "no such folder":
        bot = bot / "elsewhere"
    elif what == "no config":
        (bot / "config.yml").unlink()
    else:
        (bot / "config.yml").write_text("pipeline: [\n", encoding="utf-8")
    before = files(bot) if bot.exists() else {}
    done = invoke("init", "--bot", bot, "--yes")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("rasa-onramp: ")
    assert done.err.count("\n") == 1
    assert (files(bot) if bot.exists() else {}) == before
    assert not home.exists()


def test_a_domain_elsewhere(bot: Path, home: Path) -> None:
    (bot / "domains").mkdir()
    (bot / "domain.yml").rename(bot / "domains" / "base.yml")
    refused = invoke("init", "--bot", bot, "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.endswith("name the bot's domain by --domain PATH\n")
    assert sorted(path.name for path in bot.iterdir()) == ["config.yml", "domains"]
    done = invoke("init", "--bot", bot, "--domain", bot / "domains", "--yes")
    assert (done.code, done.err) == (0, "")
    assert sorted(files(bot / "domains")) == ["base.yml", "onramp.yml"]
    assert "--domain goes with --bot" in invoke("init", "--domain", bot / "domains").err


def test_what_rasa_does_not_find_by_itself_is_named_in_the_next_step(bot: Path, home: Path) -> None:
    done = invoke("init", "--bot", bot, "--yes")
    assert done.out.splitlines()[-4].endswith("once, in its folder: rasa train")
    (bot / "domain").mkdir()
    (bot / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    (bot / "domain.yml").rename(bot / "domain" / "base.yml")
    config = (bot / "config.yml").rename(bot / "config_de.yml")
    refused = invoke("init", "--bot", bot, "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.endswith("name the bot's configuration by --config FILE\n")
    gone = invoke("init", "--bot", bot, "--config", bot / "config_en.yml")
    assert "config_en.yml is no file; name the one that `rasa train --config` is" in gone.err
    done = invoke("init", "--bot", bot, "--config", config, "--yes")
    assert (done.code, done.err) == (0, "")
    assert "in its folder: rasa train --config config_de.yml --domain domain\n" in done.out
    assert "OnrampPolicy" in config.read_text("utf-8") and not (bot / "config.yml").exists()
    assert "--config goes with --bot" in invoke("init", "--config", config).err


def test_endpoints_elsewhere(bot: Path, home: Path) -> None:
    prod = bot / "endpoints.prod.yml"
    refused = invoke("init", "--bot", bot, "--endpoints", prod, "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert "prod.yml is no file; name the one that `rasa run --endpoints` is" in refused.err
    prod.write_text("tracker_store:\n  type: SQL\n", encoding="utf-8")
    done = invoke("init", "--bot", bot, "--endpoints", prod, "--yes")
    assert (done.code, done.err) == (0, "")
    assert sorted(files(bot)) == ["config.yml", "domain.yml", "endpoints.prod.yml"]
    assert "OnrampResponseGenerator" in files(bot)["endpoints.prod.yml"]
    assert "is new" not in done.out
    assert "--endpoints goes with --bot" in invoke("init", "--endpoints", prod).err


def test_a_file_of_endpoints_that_is_made_may_be_the_wrong_one(bot: Path, home: Path) -> None:
    done = invoke("init", "--bot", bot, "--yes")
    assert "endpoints.yml is new. If the bot runs with another file, as by `rasa run" in done.out


def test_a_store_that_cannot_be_made_leaves_the_bot_alone(
    bot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("RASA_ONRAMP_HOME", str(tmp_path / "file"))
    before = files(bot)
    assert invoke("init", "--bot", bot, "--yes").code == 2
    assert files(bot) == before
