"""Dialogues that wait for a person's labels, and what the tracker had guessed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column, empty in dialogues that there are, and the table `labels`."""
    op.add_column("dialogues", sa.Column("review", sa.String))
    op.create_table(
        "labels",
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("dialogue", sa.String, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("guess", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("labelled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain", "dialogue", "position", name="pk_labels"),
        sa.ForeignKeyConstraint(
            ["domain", "dialogue"],
            ["dialogues.domain", "dialogues.id"],
            name="fk_labels_dialogue",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    """Drop them, with all that they hold. SQLite must be 3.35 or later."""
    op.drop_table("labels")
    op.drop_column("dialogues", "review")
