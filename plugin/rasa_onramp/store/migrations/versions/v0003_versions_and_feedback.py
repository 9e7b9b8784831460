"""Pinned versions, when each version was last switched to, and feedback."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables. Every version that there is was switched to as it was made."""
    activations = op.create_table(
        "activations",
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain", "version", name="pk_activations"),
        sa.ForeignKeyConstraint(
            ["domain", "version"],
            ["adapters.domain", "adapters.version"],
            name="fk_activations_adapter",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "pins",
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
    op.create_table(
        "feedback",
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("conversation", sa.String, nullable=False),
        sa.Column("history", sa.JSON, nullable=False),
        sa.Column("reply", sa.JSON, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("thumb", sa.String),
        sa.Column("corrected_reply", sa.Text),
        sa.Column("corrected_state", sa.JSON),
        sa.Column("digest", sa.String(64)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain", "id", name="pk_feedback"),
        sa.ForeignKeyConstraint(
            ["domain"], ["domains.name"], name="fk_feedback_domain", ondelete="CASCADE"
        ),
        sa.CheckConstraint("thumb IN ('up', 'down')", name="ck_feedback_thumb"),
    )
    adapters = sa.table("adapters", *map(sa.column, ("domain", "version", "created_at")))
    op.execute(
        sa.insert(activations).from_select(
            ["domain", "version", "at"],
            sa.select(adapters.c.domain, adapters.c.version, adapters.c.created_at),
        )
    )


def downgrade() -> None:
    """Drop them, with all that they hold."""
    for table in ("feedback", "pins", "activations"):
        op.drop_table(table)
