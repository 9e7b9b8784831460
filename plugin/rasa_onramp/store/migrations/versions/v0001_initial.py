"""Domains, dialogues, turns, adapter versions and the revision counter."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables, and the one row of `revision`."""
    op.create_table(
        "domains",
        sa.Column("name", sa.String, nullable=False, primary_key=True),
        sa.Column("schema", sa.JSON, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "dialogues",
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("split", sa.String),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain", "id", name="pk_dialogues"),
        sa.ForeignKeyConstraint(
            ["domain"], ["domains.name"], name="fk_dialogues_domain", ondelete="CASCADE"
        ),
        sa.CheckConstraint("split IN ('support', 'held-out')", name="ck_dialogues_split"),
    )
    op.create_table(
        "turns",
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("dialogue", sa.String, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("speaker", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("state", sa.JSON),
        sa.Column("action", sa.String),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("results", sa.JSON, nullable=False),
        sa.Column("spans", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("domain", "dialogue", "position", name="pk_turns"),
        sa.ForeignKeyConstraint(
            ["domain", "dialogue"],
            ["dialogues.domain", "dialogues.id"],
            name="fk_turns_dialogue",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("speaker IN ('user', 'system')", name="ck_turns_speaker"),
    )
    op.create_table(
        "adapters",
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("weights", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("support_digest", sa.String, nullable=False),
        sa.Column("checkpoint_digest", sa.String, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain", "version", name="pk_adapters"),
        sa.ForeignKeyConstraint(
            ["domain"], ["domains.name"], name="fk_adapters_domain", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "active_adapters",
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
    revision_table = op.create_table(
        "revision",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
        sa.CheckConstraint("id = 1", name="ck_revision_one_row"),
    )
    # so that a store that was made anew isn't taken for the one before: see store/revisions.py
    op.bulk_insert(revision_table, [{"id": 1, "value": secrets.randbelow(2**20) << 32}])


def downgrade() -> None:
    """Drop the tables, with all that they hold."""
    for table in ("revision", "active_adapters", "adapters", "turns", "dialogues", "domains"):
        op.drop_table(table)
