"""The tables. Natural keys, so that a person reading the database needs no joins to follow it.

`migrations/` creates them; a test holds the two equal.
"""

from __future__ import annotations

import sqlalchemy as sa

from rasa_onramp.store.cells import UtcDateTime, Weights

__all__ = [
    "JOB_STATES",
    "LABELLED",
    "REVISIONS",
    "UNFINISHED",
    "VERSION_TABLE",
    "WAITING",
    "activations",
    "active_adapters",
    "adapters",
    "changes",
    "curves",
    "dialogues",
    "domains",
    "embeddings",
    "feedback",
    "jobs",
    "judgements",
    "labels",
    "metadata",
    "pins",
    "revision",
    "turns",
    "version",
]

#: The migrations this code knows, oldest first (alembic isn't imported to find out).
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
#: What `dialogues.review` may say: the dialogue waits for a person to label or check its states
#: and isn't learned from until then; or a person did.
WAITING, LABELLED = "waiting", "labelled"
#: What `jobs.state` may say, and in which of them a job is still to be done.
JOB_STATES = ("queued", "running", "done", "failed")
UNFINISHED = JOB_STATES[:2]
#: Alembic's table, under a name of ours: the database may have another program's as well.
VERSION_TABLE = "onramp_version"


metadata = sa.MetaData()

domains = sa.Table(
    "domains",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("schema", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

dialogues = sa.Table(
    "dialogues",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("id", sa.String, nullable=False),
    sa.Column("split", sa.String),
    sa.Column("position", sa.Integer, nullable=False),  # in order of import
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("review", sa.String),  # NULL: its states were given
    sa.PrimaryKeyConstraint("domain", "id", name="pk_dialogues"),
    sa.ForeignKeyConstraint(
        ["domain"], ["domains.name"], name="fk_dialogues_domain", ondelete="CASCADE"
    ),
    sa.CheckConstraint("split IN ('support', 'held-out')", name="ck_dialogues_split"),
)

turns = sa.Table(
    "turns",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("dialogue", sa.String, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("speaker", sa.String, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("state", sa.JSON(none_as_null=True)),
    sa.Column("action", sa.String),
    sa.Column("parameters", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("results", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("spans", sa.JSON(none_as_null=True), nullable=False),
    sa.PrimaryKeyConstraint("domain", "dialogue", "position", name="pk_turns"),
    sa.ForeignKeyConstraint(
        ["domain", "dialogue"],
        ["dialogues.domain", "dialogues.id"],
        name="fk_turns_dialogue",
        ondelete="CASCADE",
    ),
    sa.CheckConstraint("speaker IN ('user', 'system')", name="ck_turns_speaker"),
)

# One row a user turn that a person labelled: what the tracker guessed. What the person made of it
# is the turn's state.
labels = sa.Table(
    "labels",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("dialogue", sa.String, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("guess", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("version", sa.Integer),  # of the adapter that guessed; NULL: none
    sa.Column("labelled_at", UtcDateTime, nullable=False),
    sa.PrimaryKeyConstraint("domain", "dialogue", "position", name="pk_labels"),
    sa.ForeignKeyConstraint(
        ["domain", "dialogue"],
        ["dialogues.domain", "dialogues.id"],
        name="fk_labels_dialogue",
        ondelete="CASCADE",
    ),
)

# Rows are inserted and deleted, never changed.
adapters = sa.Table(
    "adapters",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
    sa.Column("weights", Weights, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("support_digest", sa.String, nullable=False),
    sa.Column("checkpoint_digest", sa.String, nullable=False),
    sa.Column("figures", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("reply_digest", sa.String(64)),
    sa.Column("reply_checkpoint_digest", sa.String),
    # Last, because SQLite reads through all that stands before a value; about 10 MB.
    sa.Column("reply_weights", Weights),
    sa.PrimaryKeyConstraint("domain", "version", name="pk_adapters"),
    sa.ForeignKeyConstraint(
        ["domain"], ["domains.name"], name="fk_adapters_domain", ondelete="CASCADE"
    ),
)

# One row a domain that has an active version; switching is an update of this row.
active_adapters = sa.Table(
    "active_adapters",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
    sa.PrimaryKeyConstraint("domain", name="pk_active_adapters"),
    sa.ForeignKeyConstraint(
        ["domain", "version"],
        ["adapters.domain", "adapters.version"],
        name="fk_active_adapters_adapter",
        ondelete="CASCADE",
    ),
)

# When a version was last switched to; no row, never.
activations = sa.Table(
    "activations",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.PrimaryKeyConstraint("domain", "version", name="pk_activations"),
    sa.ForeignKeyConstraint(
        ["domain", "version"],
        ["adapters.domain", "adapters.version"],
        name="fk_activations_adapter",
        ondelete="CASCADE",
    ),
)

# One row a version that somebody wants kept.
pins = sa.Table(
    "pins",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
    sa.PrimaryKeyConstraint("domain", "version", name="pk_pins"),
    sa.ForeignKeyConstraint(
        ["domain", "version"],
        ["adapters.domain", "adapters.version"],
        name="fk_pins_adapter",
        ondelete="CASCADE",
    ),
)

# One row a reply in a conversation on which somebody said something.
feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("id", sa.String(12), nullable=False),
    sa.Column("conversation", sa.String, nullable=False),
    sa.Column("history", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("reply", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column("thumb", sa.String),
    sa.Column("corrected_reply", sa.Text),
    sa.Column("corrected_state", sa.JSON(none_as_null=True)),
    sa.Column("digest", sa.String(64)),  # NULL where nothing is to be learned from it
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.PrimaryKeyConstraint("domain", "id", name="pk_feedback"),
    sa.ForeignKeyConstraint(
        ["domain"], ["domains.name"], name="fk_feedback_domain", ondelete="CASCADE"
    ),
    sa.CheckConstraint("thumb IN ('up', 'down')", name="ck_feedback_thumb"),
)

# One row a job: adapting a domain once. At most one of a domain's is unfinished.
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
    sa.Column("state", sa.String, nullable=False),
    # What is wanted, and by whom.
    sa.Column("asked_by", sa.String, nullable=False),
    sa.Column("inner_steps", sa.Integer),
    sa.Column("force", sa.Boolean, nullable=False),
    sa.Column("switch_anyway", sa.Boolean, nullable=False),
    sa.Column("input_digest", sa.String),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime, nullable=False),
    # Who does it; a new token each time that somebody takes it.
    sa.Column("owner", sa.String),
    sa.Column("token", sa.String(32)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("heartbeat_at", UtcDateTime),
    sa.Column("lease_until", UtcDateTime),
    # How far it is, and what came of it.
    sa.Column("step", sa.Integer),
    sa.Column("total", sa.Integer),
    sa.Column("loss", sa.Float),
    sa.Column("version", sa.Integer),
    sa.Column("outcome", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("finished_at", UtcDateTime),
    sa.PrimaryKeyConstraint("domain", "number", name="pk_jobs"),
    sa.ForeignKeyConstraint(
        ["domain"], ["domains.name"], name="fk_jobs_domain", ondelete="CASCADE"
    ),
    sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name="ck_jobs_state"),
)
_unfinished = jobs.c.state.in_(UNFINISHED)
sa.Index(
    "ix_jobs_unfinished",
    jobs.c.domain,
    unique=True,
    sqlite_where=_unfinished,
    postgresql_where=_unfinished,
)

# One row a pick between two replies; its service needn't be a domain of the store.
judgements = sa.Table(
    "judgements",
    metadata,
    sa.Column("pair", sa.String(64), nullable=False),
    sa.Column("judge", sa.String, nullable=False),  # empty: who gave no name
    sa.Column("service", sa.String, nullable=False),
    sa.Column("method_a", sa.String, nullable=False),
    sa.Column("method_b", sa.String, nullable=False),
    sa.Column("winner", sa.String, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.PrimaryKeyConstraint("pair", "judge", name="pk_judgements"),
    sa.CheckConstraint("winner IN ('method_a', 'method_b', 'tie')", name="ck_judgements_winner"),
)

# One row a domain whose few-shot curve was measured, or is being measured.
curves = sa.Table(
    "curves",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("wanted", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("points", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("held_out", sa.Integer, nullable=False),
    sa.Column("seeds", sa.Integer, nullable=False),
    sa.Column("support_digest", sa.String, nullable=False),
    sa.Column("checkpoint_digest", sa.String, nullable=False),
    sa.Column("measured_at", UtcDateTime, nullable=False),
    sa.PrimaryKeyConstraint("domain", name="pk_curves"),
    sa.ForeignKeyConstraint(
        ["domain"], ["domains.name"], name="fk_curves_domain", ondelete="CASCADE"
    ),
)

# One row: how often the store's content has changed. Writers lock it first, so they queue up.
revision = sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
    sa.Column("value", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_revision"),
    sa.CheckConstraint("id = 1", name="ck_revision_one_row"),
)

# At which revision each domain changed last; a row stays when its domain is deleted, which is a
# change too.
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("domain", name="pk_changes"),
    sa.Index("ix_changes_revision", "revision"),
)

# One row a domain that a bot has embedded: see embeddings.py.
embeddings = sa.Table(
    "embeddings",
    metadata,
    sa.Column("domain", sa.String, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("rows", Weights, nullable=False),
    sa.PrimaryKeyConstraint("domain", name="pk_embeddings"),
    sa.ForeignKeyConstraint(
        ["domain"], ["domains.name"], name="fk_embeddings_domain", ondelete="CASCADE"
    ),
)

# Alembic's; not part of `metadata`, because no migration of ours makes it.
version = sa.Table(VERSION_TABLE, sa.MetaData(), sa.Column("version_num", sa.String(32)))
