"""The store on a real PostgreSQL server."""

from __future__ import annotations

import multiprocessing
import os
import re
import secrets
import shlex
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Iterator

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.engine import make_url

pytest.register_assert_rewrite(
    "feedback_store_contract",
    "job_store_contract",
    "reply_store_contract",
    "store_contract",
    "version_store_contract",
)

from feedback_store_contract import FeedbackStoreContract  # noqa: E402
from job_store_contract import JobStoreContract  # noqa: E402
from needed import lacking  # noqa: E402
from postgres import PASSWORD, PostgresServer, binaries  # noqa: E402
from rasa_onramp.doctor.stored import store_findings  # noqa: E402
from rasa_onramp.doctor.subject import Subject  # noqa: E402
from rasa_onramp.errors import (  # noqa: E402
    LeaseError,
    StoreBusy,
    StoreError,
    StoreReadOnly,
    StoreUnavailable,
)
from rasa_onramp.rasa_project import RasaProject  # noqa: E402
from rasa_onramp.runtime.reach import Reach  # noqa: E402
from rasa_onramp.store import Embeddings, Store, open_store  # noqa: E402
from reply_store_contract import ReplyStoreContract, _migrate  # noqa: E402
from servers import wait_for  # noqa: E402
from store_contract import StoreContract, corpus, count, dialogue  # noqa: E402
from version_store_contract import VersionStoreContract  # noqa: E402


class TestOnPostgresql(StoreContract):
    """The contract, on PostgreSQL."""

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url


class TestRepliesOnPostgresql(ReplyStoreContract):
    """The contract on replies and judgements, on PostgreSQL."""

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    def test_an_upgrade_is_not_long_in_the_way_of_bots(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All who read a table wait behind who waits to change it."""
        monkeypatch.setattr("rasa_onramp.store.database._UPGRADE_SECONDS", 1)
        _migrate(url, command.upgrade, "0001")
        engine = sa.create_engine(url)
        with open_store(url) as store:
            with engine.begin() as backup:
                backup.exec_driver_sql("LOCK TABLE adapters IN ACCESS SHARE MODE")
                with pytest.raises(StoreBusy, match="for 1 s; try again"):
                    store.upgrade()
            store.upgrade()
            assert store.dialogues.domains() == ()
        engine.dispose()


class TestVersionsOnPostgresql(VersionStoreContract):
    """The contract on adapter versions in operation, on PostgreSQL."""

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url


class TestFeedbackOnPostgresql(FeedbackStoreContract):
    """The contract on feedback, on PostgreSQL."""

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url


class TestJobsOnPostgresql(JobStoreContract):
    """The contract on jobs, on PostgreSQL."""

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    def test_claims_and_heartbeats_do_not_wait_for_an_import(self, store: Store) -> None:
        store.jobs.enqueue("parcels", asked_by="worker")
        with store._database.writing():
            lease = store.jobs.claim("me")
            assert lease is not None
            store.jobs.beat(lease)

    def test_leases_go_by_the_servers_clock(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process whose own clock is a year ahead takes over nothing, and moves nothing on."""

        class Ahead(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.now(tz) + timedelta(days=365)

        store.jobs.enqueue("parcels", asked_by="worker")
        lease = store.jobs.claim("me")
        assert lease is not None
        monkeypatch.setattr("rasa_onramp.store.job_rows.datetime", Ahead)
        assert store.jobs.claim("second") is None
        with pytest.raises(LeaseError, match="being adapted by me"):
            store.jobs.begin("parcels", "second", asked_by="adapt")
        store.jobs.beat(lease)
        (job,) = store.jobs.of("parcels")
        assert job.heartbeat_at is not None
        assert abs(job.heartbeat_at - datetime.now(timezone.utc)) < timedelta(hours=1)


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    with open_store(postgres_url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus(dialogue("a")))
        yield store


def test_a_store_works_again_after_the_server_restarts(
    store: Store, postgres_server: PostgresServer
) -> None:
    revision = store.revision()
    postgres_server.stop()
    try:
        for call in (store.revision, lambda: store.dialogues.import_corpus(corpus())):
            with pytest.raises(StoreUnavailable, match=r"can't be reached .*refused") as caught:
                call()
            _assert_one_line_without_password(caught.value)
    finally:
        postgres_server.start()
    assert store.revision() == revision
    postgres_server.stop()
    postgres_server.start()
    assert store.dialogues.dialogues("parcels") == (dialogue("a"),)
    store.dialogues.import_corpus(corpus(dialogue("b")))
    assert store.revision() == revision + 1


def test_the_server_soon_gives_up_a_client_that_vanished(store: Store) -> None:
    wanted = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "4"}
    wanted["user_timeout"] = "30000"
    for how in (store._database.writing, store._database.reading):  # of the same connection
        with how() as connection:
            for name, value in wanted.items():
                assert connection.exec_driver_sql(f"SHOW tcp_{name}").scalar() == value
            connection.rollback()


def test_a_connection_cut_within_a_transaction_leaves_nothing(store: Store) -> None:
    def cut(done: int, total: int) -> None:
        with store._database.reading() as other:
            _cut_all_but(other)

    many = [dialogue(str(number)) for number in range(300)]
    with pytest.raises(StoreUnavailable) as caught:
        store.dialogues.import_corpus(corpus(*many), cut)
    _assert_one_line_without_password(caught.value)
    assert store.dialogues.dialogues("parcels") == (dialogue("a"),)
    assert store.dialogues.import_corpus(corpus(*many)).added == 300


def test_a_connection_cut_before_it_is_given_back_is_an_outage_too(store: Store) -> None:
    engine = store._database._engine

    def cut(*_: Any) -> None:
        sa.event.remove(engine, "after_cursor_execute", cut)
        with engine.connect() as other:
            _cut_all_but(other)

    revision = store.revision()
    sa.event.listen(engine, "after_cursor_execute", cut)
    with pytest.raises(StoreUnavailable, match="can't be reached") as caught:
        store.revision()
    _assert_one_line_without_password(caught.value)
    assert store.revision() == revision


@pytest.mark.skipif(sys.platform != "linux", reason="finds the server's processes in /proc")
def test_nobody_waits_long_for_a_frozen_server(
    store: Store, postgres_server: PostgresServer
) -> None:
    reach = Reach(store, 0.5, 0.1)
    assert reach.ask(count) == 1
    with postgres_server.frozen():
        for least, most in ((0.5, 5.0), (0.0, 0.4)):  # the first one waits, the next doesn't
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match=r"\*\*\*@.* hasn't answered for 0\.5 s"):
                reach.ask(lambda store: store.revision())
            assert least <= time.monotonic() - began < most
    wait_for(lambda: not reach.down)
    assert reach.ask(count) == 1


def test_much_is_waited_for_longer(store: Store) -> None:
    def read(store: Store) -> int:
        time.sleep(0.5)
        return count(store)

    reach = Reach(store, 0.1, 1000.0)
    assert reach.ask(read, much=True) == 1
    assert not reach.down
    with pytest.raises(StoreUnavailable):
        reach.ask(read)
    assert reach.down


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "wrong-" + PASSWORD}, "password authentication failed"),
        ({"username": "nobody"}, "authentication failed"),
        ({"database": "nosuch"}, 'database "nosuch" does not exist'),
        ({"port": 1}, "refused"),
        ({"host": "no-such-host.invalid"}, "no-such-host.invalid"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_named(
    postgres_url: str, change: dict, message: str
) -> None:
    url = make_url(postgres_url).set(**change).render_as_string(hide_password=False)
    with open_store(url) as store:
        for call in (store.revision, store.upgrade):
            with pytest.raises(StoreUnavailable, match=f"can't be reached .*{message}") as caught:
                call()
            _assert_one_line_without_password(caught.value)


def test_a_user_who_may_only_read_is_told_so(
    store: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with store._database._engine.begin() as connection:
        role = f"reader_{os.getpid()}_{time.monotonic_ns()}"
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    url = make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
    with open_store(url) as reader:
        assert count(reader) == 1
        assert reader.dialogues.dialogues("parcels") == (dialogue("a"),)
        with pytest.raises(StoreUnavailable, match=r"can't be written to .*permission denied"):
            reader.dialogues.import_corpus(corpus(dialogue("b")))
        kept = {"parcels": Embeddings("1" * 64, b"rows")}
        with pytest.raises(StoreUnavailable, match="can't be written to"):
            reader.embeddings.keep(kept)
        with store._database._engine.begin() as connection:
            connection.exec_driver_sql(f"GRANT INSERT, UPDATE ON embeddings TO {role}")
        for _ in range(2):
            reader.embeddings.keep(kept)
        assert reader.embeddings.read(["parcels"]) == kept
    # all that a bot needs that only answers, and too little for commands
    monkeypatch.setenv("THE_STORE", url)
    how = {"database_url_env": "THE_STORE"}
    channels = tuple(f"rasa_onramp.components.{name}" for name in ("a.MetricsInput", "b.Feedback"))
    for project, ours, level in (
        (RasaProject(tmp_path), channels[:1], "warning"),
        (RasaProject(tmp_path), channels, "problem"),
        (None, (), "problem"),
    ):
        found = list(store_findings(Subject(project, how, ours)))
        told = [(one.check, one.level) for one in found]
        assert told[:3] == [("store", "ok"), ("store", level), ("domains", "ok")]
        assert "can't be written to" in found[1].says


def test_a_user_who_may_not_even_read_is_told_so(store: Store, postgres_url: str) -> None:
    role = f"nobody_{os.getpid()}_{time.monotonic_ns()}"
    with store._database._engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    url = make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
    with open_store(url) as stranger:
        with pytest.raises(StoreUnavailable, match=r"can't be read .*right to") as caught:
            stranger.revision()
        assert not isinstance(caught.value, StoreReadOnly)
        _assert_one_line_without_password(caught.value)


def test_a_full_pool_is_nobodys_long_import(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store._database._engine.pool, "_timeout", 0.1)
    with ExitStack() as held:
        for _ in range(15):
            held.enter_context(store._database.reading())
        with pytest.raises(StoreUnavailable, match="all connections of this process") as caught:
            store.revision()
        assert not isinstance(caught.value, StoreBusy)
        _assert_one_line_without_password(caught.value)


def test_what_no_key_holds_is_refused_as_such(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rasa_onramp.store.checks._LONGEST", 10**6)
    long = secrets.token_hex(5000)  # of digits that can't be packed
    with pytest.raises(StoreError, match="can't hold what it was given") as caught:
        store.dialogues.import_corpus(corpus(dialogue(long)))
    assert not isinstance(caught.value, StoreUnavailable)
    _assert_one_line_without_password(caught.value)


def test_a_store_may_live_in_a_postgresql_schema_of_its_own(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url, future=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE dialogues (theirs INTEGER)")
        connection.exec_driver_sql("CREATE SCHEMA bot")
    engine.dispose()
    with open_store(postgres_url) as store, pytest.raises(StoreUnavailable, match="search_path"):
        store.upgrade()
    missing = r"names a PostgreSQL schema that isn't there \(.*; CREATE SCHEMA"
    typo = postgres_url + "?options=-csearch_path%3Dbto"
    with open_store(typo) as store, pytest.raises(StoreUnavailable, match=missing):
        store.upgrade()
    with open_store(postgres_url + "?options=-csearch_path%3Dbot") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus(dialogue("a")))
        assert store.dialogues.domains() == ("parcels",)


def test_a_backup_is_restored_as_the_docs_say_or_nothing_is_changed(
    postgres_url: str, tmp_path: Path, repository: Path
) -> None:
    """By the schema's owner, who may not make another one unless that is granted."""
    folder = binaries()
    if folder is None or not (folder / "pg_restore").exists():
        lacking("no pg_dump and pg_restore beside the PostgreSQL server; install its client")
    engine = sa.create_engine(postgres_url, future=True)
    role = f"owner_{os.getpid()}_{time.monotonic_ns()}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        connection.exec_driver_sql(f"CREATE SCHEMA onramp AUTHORIZATION {role}")
    mine = make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
    url = f"{mine}?options=-csearch_path%3Donramp"
    page = (repository / "docs" / "operations.md").read_text(encoding="utf-8")

    def run(program: str, *more: str) -> int:
        """The docs' own line."""
        (line,) = re.findall(rf"^{program} [^#\n]*", page, re.MULTILINE)
        words = shlex.split(line)
        words[0] = str(folder / program)
        where = make_url(url)
        services, passwords = tmp_path / "pg_service.conf", tmp_path / "pgpass"
        services.write_text(
            f"[onramp]\nhost={where.host}\nport={where.port}\ndbname={where.database}\n"
            f"user={where.username}\n"
        )
        passwords.touch(0o600)
        passwords.write_text(f"*:*:*:*:{where.password}\n")
        setting = {"PGSERVICEFILE": str(services), "PGPASSFILE": str(passwords)}
        environment = {**os.environ, **setting}
        done = subprocess.run([*words, *more], cwd=tmp_path, env=environment, check=False)
        return done.returncode

    with open_store(url) as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus(dialogue("a")))
        assert run("pg_dump", "--schema", "onramp") == 0
        later = (dialogue("a"), dialogue("b"))
        store.dialogues.import_corpus(corpus(dialogue("b")))
        store.close()
        assert run("pg_restore") != 0
        assert store.dialogues.dialogues("parcels") == later
        store.close()
        with engine.begin() as connection:
            database = make_url(postgres_url).database
            connection.exec_driver_sql(f"GRANT CREATE ON DATABASE {database} TO {role}")
        assert run("pg_restore") == 0
        assert store.dialogues.dialogues("parcels") == (dialogue("a"),)
        store.dialogues.import_corpus(corpus(dialogue("b")))
        # a later version's table keeps what it refers to; a new database has none
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TABLE later (name varchar REFERENCES onramp.domains)"
            )
        store.close()
        assert run("pg_restore") != 0
        assert store.dialogues.dialogues("parcels") == later
    new = f"restored_{os.getpid()}_{time.monotonic_ns()}"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {new} OWNER {role}")
    url = make_url(mine).set(database=new).render_as_string(hide_password=False)
    url += "?options=-csearch_path%3Donramp"
    assert run("pg_restore") == 0
    with open_store(url) as store:
        assert store.dialogues.dialogues("parcels") == (dialogue("a"),)
    engine.dispose()


def test_a_forked_worker_connects_anew(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    parent = _backend(store)
    child = context.Process(target=lambda: sender.send(_backend(store)))
    child.start()
    child.join()
    assert receiver.recv() != parent
    assert _backend(store) == parent  # and the parent's connection still works


def test_revision_is_one_statement(store: Store) -> None:
    statements = []
    sa.event.listen(
        store._database._engine,
        "before_cursor_execute",
        lambda *arguments: statements.append(arguments[2]),
    )
    store.revision()
    assert len(statements) == 1


def _cut_all_but(connection: sa.engine.Connection) -> None:
    connection.exec_driver_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def _backend(store: Store) -> int:
    with store._database.reading() as connection:
        return connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()


def _assert_one_line_without_password(error: BaseException) -> None:
    assert "\n" not in str(error)
    chain = "".join(traceback.format_exception(None, error, error.__traceback__))
    assert PASSWORD not in chain
    assert "[parameters:" not in chain  # SQLAlchemy's list of what users said
    assert "***@" in str(error)
