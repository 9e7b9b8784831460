"""The store on SQLite files, and on SQLite in memory."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
import sqlalchemy as sa

pytest.register_assert_rewrite(
    "feedback_store_contract",
    "job_store_contract",
    "reply_store_contract",
    "store_contract",
    "version_store_contract",
)

from changed_jobs import lapse  # noqa: E402
from feedback_store_contract import FeedbackStoreContract  # noqa: E402
from job_store_contract import JobStoreContract  # noqa: E402
from rasa_onramp.errors import (  # noqa: E402
    ConfigError,
    LeaseError,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)
from rasa_onramp.store import Lease, RasaEvents, Store, open_store, open_store_from_env  # noqa: E402
from reply_store_contract import ReplyStoreContract  # noqa: E402
from store_contract import PARCELS, StoreContract, corpus, count, dialogue  # noqa: E402
from version_store_contract import VersionStoreContract  # noqa: E402


@pytest.fixture(scope="session")
def file_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once: that takes longer than most tests of a store."""
    path = tmp_path_factory.mktemp("tables") / "store.db"
    with open_store(f"sqlite:///{path}") as store:
        store.upgrade()
    return path


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path, file_with_tables: Path) -> str:
    """The URL of a file of the test's own. It isn't there yet, but for tests with the fixture
    `store`: that one's `upgrade` finds the tables made.
    """
    path = tmp_path / "store.db"
    if "store" in request.fixturenames:
        shutil.copy(file_with_tables, path)
    return f"sqlite:///{path}"


class TestOnSqliteFile(StoreContract):
    """The contract, on a file."""

    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestRepliesOnSqliteFile(ReplyStoreContract):
    """The contract on replies and judgements, on a file."""

    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestVersionsOnSqliteFile(VersionStoreContract):
    """The contract on adapter versions in operation, on a file."""

    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestFeedbackOnSqliteFile(FeedbackStoreContract):
    """The contract on feedback, on a file."""

    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestJobsOnSqliteFile(JobStoreContract):
    """The contract on jobs, on a file."""

    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    def test_who_waited_for_a_long_import_takes_no_job_over(
        self, url: str, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its owner waited, too, and couldn't say that it lives."""
        owned = _lapsed(store)
        with _importing(url):
            assert store.jobs.claim("second") is None
        assert store.jobs.claim("second") is None  # nor right after that
        store.jobs.beat(owned)
        lapse(store)
        monkeypatch.setattr(store.jobs._grace, "_until", 0.0)  # as if that were long ago
        taken = store.jobs.claim("second")
        assert taken is not None and taken.job.attempts == 2

    def test_nor_does_a_person_who_waited_for_it(
        self, url: str, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        owned = _lapsed(store)
        with _importing(url):
            job, new = store.jobs.enqueue("parcels", asked_by="person", force=True)
        assert (job.state, job.owner, job.force, new) == ("running", "first", False, False)
        monkeypatch.setattr(store.jobs._grace, "_until", 0.0)
        with _importing(url), pytest.raises(LeaseError, match="is being adapted by first"):
            store.jobs.begin("parcels", "me", asked_by="adapt")
        store.jobs.beat(owned)
        lapse(store)
        monkeypatch.setattr(store.jobs._grace, "_until", 0.0)
        assert store.jobs.begin("parcels", "me", asked_by="adapt").job.owner == "me"


def _lapsed(store: Store) -> Lease:
    """A worker's lease on a job, which has lapsed."""
    store.jobs.enqueue("parcels", asked_by="worker")
    owned = store.jobs.claim("first")
    assert owned is not None
    lapse(store)
    return owned


@contextmanager
def _importing(url: str) -> Iterator[None]:
    """Another writes when the block begins, and for a second."""
    begun = threading.Event()

    def write_for_long() -> None:
        with open_store(url) as other, other._database.writing():
            begun.set()
            time.sleep(1.0)

    importing = threading.Thread(target=write_for_long)
    importing.start()
    begun.wait()
    try:
        yield
    finally:
        importing.join()


def test_a_store_in_memory_serves_threads_and_ends_when_closed() -> None:
    with open_store("sqlite://") as store:
        store.upgrade()
        TestOnSqliteFile().test_threads_share_a_store(store)
        assert len(store.dialogues.dialogues("parcels")) == 3
    with pytest.raises(StoreUnavailable, match="created yet"):
        store.revision()


def test_reading_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "no" / "store.db"
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable, match=rf"{path} hasn't been created yet; .*init"):
        store.revision()
    assert list(tmp_path.iterdir()) == []
    store.upgrade()  # makes the folder
    assert count(store) == 0
    assert path.exists()


def test_the_file_is_in_wal_mode_with_foreign_keys_on(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/s.db")
    store.upgrade()
    with sqlite3.connect(tmp_path / "s.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    with store._database.reading() as ours:
        assert ours.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert ours.exec_driver_sql("PRAGMA busy_timeout").scalar() == 3_000  # a bot waits with it
        assert ours.exec_driver_sql("PRAGMA secure_delete").scalar() == 1
    with store._database.writing() as ours:
        assert ours.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000


def test_a_reader_does_not_wait_long_for_a_locked_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rasa_onramp.store.connect.READ_MILLISECONDS", 100)
    with open_store(f"sqlite:///{tmp_path}/s.db") as store:
        store.upgrade()
        assert store.journal() == "wal"
        locker = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
        assert locker.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        assert store.journal() == "delete"
        locker.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        for call in (store.revision, store.dialogues.domains):
            with pytest.raises(StoreBusy, match="another process is writing to the store at"):
                call()
        assert time.monotonic() - began < 5
        locker.close()
    with open_store("sqlite://") as store:
        store.upgrade()
        assert store.journal() is None


def test_a_link_to_a_file_is_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rasa_onramp.store.unchanged._UNSETTLED", 0.0)
    (tmp_path / "there").mkdir()
    file, link = tmp_path / "there" / "s.db", tmp_path / "link.db"
    link.symlink_to(file)
    with open_store(f"sqlite:///{link}") as store, open_store(f"sqlite:///{file}") as other:
        before = os.umask(0o022)
        try:
            store.upgrade()  # of a link that led nowhere
        finally:
            os.umask(before)
        assert file.stat().st_mode & 0o777 == 0o600
        assert count(store) == 0
        with other._database.reading():  # so that the log stays
            other.dialogues.import_corpus(corpus(dialogue("a")))
            assert count(store) == 1
        assert store.name == str(file)


def test_a_store_follows_a_file_that_was_made_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    running = open_store(url)
    running.upgrade()
    running.dialogues.import_corpus(corpus(dialogue("a")))
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(StoreUnavailable, match="created yet"):
        running.revision()
    open_store(url).upgrade()
    assert count(running) == 0
    assert running.dialogues.domains() == ()


def test_a_revision_is_read_only_where_something_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with open_store(url) as store, open_store(url) as other:
        store.upgrade()
        begun: List[object] = []
        sa.event.listen(store._database._engine, "begin", begun.append)
        assert [count(store) for _ in range(3)] == [0] * 3
        assert len(begun) == 3  # it has just been written
        monkeypatch.setattr("rasa_onramp.store.unchanged._UNSETTLED", 0.0)
        assert [count(store) for _ in range(3)] == [0] * 3
        assert len(begun) == 4
        for number, writer in enumerate((other, store, other), start=1):
            writer.dialogues.import_corpus(corpus(dialogue(f"d{number}")))
            assert count(store) == count(store) == number
        with other._database.reading():  # the log stays as long as anybody reads
            for number in (4, 5):
                other.dialogues.import_corpus(corpus(dialogue(f"d{number}")))
                assert count(store) == count(store) == number
        with other._database.writing() as connection:
            other._database.changed(connection, ())
            assert count(store) == 5  # not committed yet
        assert count(store) == 6
        begun.clear()
        assert [count(store) for _ in range(5)] == [6] * 5
        assert len(begun) <= 1


def test_a_backup_in_the_files_place_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rasa_onramp.store.unchanged._UNSETTLED", 0.0)
    file, backup = tmp_path / "s.db", tmp_path / "backup.db"
    with open_store(f"sqlite:///{file}") as store:
        store.upgrade()
        shutil.copy(file, backup)  # whole: nothing keeps the file open
        for put_back in (shutil.copy, os.replace):
            store.dialogues.import_corpus(corpus(dialogue("later")))
            assert count(store) == count(store) == 1
            put_back(backup, file)
            assert count(store) == count(store) == 0
            assert store.dialogues.domains() == ()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"these are not the tables you are looking for" * 100)
    store = open_store(f"sqlite:///{path}")
    for call in (store.revision, store.upgrade):
        with pytest.raises(
            StoreUnavailable, match=rf"at {path} is damaged .*not a database"
        ) as caught:
            call()
        assert str(caught.value).endswith(
            "move it away and create a new store with `rasa-onramp init`"
        )
    assert path.read_bytes().startswith(b"these are not")


def test_a_path_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"folder .*/file/sub can't be made .*; name"):
        open_store(f"sqlite:///{tmp_path}/file/sub/s.db").upgrade()
    (tmp_path / "s.db").mkdir()
    with pytest.raises(StoreUnavailable, match=r"s\.db can't be reached \(unable to open"):
        open_store(f"sqlite:///{tmp_path}/s.db").upgrade()


def test_a_file_that_may_only_be_read_is_named() -> None:
    # Not in tmp_path, whose parents are closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.db")
        open_store(f"sqlite:///{path}").upgrade()
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        said = _said_to_nobody(
            lambda: open_store(f"sqlite:///{path}").dialogues.import_corpus(corpus())
        )
        assert said.startswith(f"StoreReadOnly: the store at {path} can't be")


def test_a_file_that_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.db")
        open_store(f"sqlite:///{path}").upgrade()
        Path(folder).chmod(0o755)
        path.chmod(0)
        assert _said_to_nobody(lambda: open_store(f"sqlite:///{path}").revision()) == (
            f"StoreUnavailable: this user may not read the store at {path}; run as its owner, or "
            "chown it"
        )


def test_a_file_in_a_folder_of_somebody_elses_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.db")
        Path(folder).chmod(0)
        calls: List[Callable[[], Any]] = [
            lambda: open_store(f"sqlite:///{path}").revision(),
            lambda: RasaEvents(f"sqlite:///{path}").count(),
        ]
        for call in calls:
            assert _said_to_nobody(call) == (
                f"StoreUnavailable: {path} can't be looked at (Permission denied); "
                "give this user the right to its folder"
            )
        Path(folder).chmod(0o700)


def _said_to_nobody(call: Callable[[], Any]) -> str:
    """What comes of it for a user who has no right to anything."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call_as_nobody, args=(call, sender))
    process.start()
    process.join()
    said: str = receiver.recv()
    return said


def _call_as_nobody(call: Callable[[], Any], sender: Any) -> None:
    if os.geteuid() == 0:  # who may do anything
        os.setuid(65534)
    try:
        sender.send(str(call()))
    except Exception as error:
        sender.send(f"{type(error).__name__}: {error}")


def test_a_hand_edited_column_that_is_not_json_is_named(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/s.db")
    store.upgrade()
    store.dialogues.import_corpus(corpus(dialogue("x")))
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("UPDATE turns SET results = '[{' WHERE position = 0")
        connection.execute("UPDATE domains SET schema = 'no'")
    connection.close()
    with pytest.raises(StoreError, match=r"turn 1 of dialogue 'x'.*'results'"):
        store.dialogues.dialogues("parcels")
    with pytest.raises(StoreError, match="schema of domain 'parcels' isn't a JSON"):
        store.dialogues.schema("parcels")


def test_a_relative_path_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///s.db")
    store.upgrade()
    monkeypatch.chdir("/")
    assert count(store) == 0
    assert store.name == str(tmp_path / "s.db")


def test_the_default_store_is_in_the_users_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RASA_ONRAMP_DATABASE_URL", raising=False)
    monkeypatch.delenv("RASA_ONRAMP_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home % of mine"))
    assert open_store().name == str(tmp_path / "home % of mine/.rasa-onramp/onramp.db")
    open_store().upgrade()
    assert count(open_store()) == 0
    monkeypatch.setenv("RASA_ONRAMP_HOME", str(tmp_path / "elsewhere"))
    assert open_store().name == str(tmp_path / "elsewhere/onramp.db")
    monkeypatch.setenv("RASA_ONRAMP_DATABASE_URL", f"sqlite:///{tmp_path}/named.db")
    assert open_store().name == str(tmp_path / "named.db")


def test_the_environment_variable_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_STORE", raising=False)
    with pytest.raises(ConfigError, match="variable MY_STORE isn't set; set it"):
        open_store_from_env("MY_STORE")
    monkeypatch.setenv("MY_STORE", "")
    with pytest.raises(ConfigError, match="variable MY_STORE isn't set; set it"):
        open_store_from_env("MY_STORE")
    with pytest.raises(ConfigError) as caught:
        open_store_from_env("host=db user=u password=s3cret")
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("MY_STORE", "sqlite://")
    with open_store_from_env("MY_STORE") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus(dialogue("a")))
        assert store.dialogues.schema("parcels") == PARCELS
