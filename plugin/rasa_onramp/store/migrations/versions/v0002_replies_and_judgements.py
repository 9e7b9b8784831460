"""Reply weights beside the tracker's in an adapter version, and people's judgements of replies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns, empty in versions that there are, and the table `judgements`."""
    # The heavy column comes last: SQLite reads through all that stands before a value.
    op.add_column("adapters", sa.Column("reply_digest", sa.String(64)))
    op.add_column("adapters", sa.Column("reply_checkpoint_digest", sa.String))
    op.add_column("adapters", sa.Column("reply_weights", sa.LargeBinary))
    op.create_table(
        "judgements",
        sa.Column("pair", sa.String(64), nullable=False),
        sa.Column("judge", sa.String, nullable=False),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("method_a", sa.String, nullable=False),
        sa.Column("method_b", sa.String, nullable=False),
        sa.Column("winner", sa.String, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pair", "judge", name="pk_judgements"),
        sa.CheckConstraint(
            "winner IN ('method_a', 'method_b', 'tie')", name="ck_judgements_winner"
        ),
    )


def downgrade() -> None:
    """Drop them, with all that they hold. SQLite must be 3.35 or later."""
    op.drop_table("judgements")
    # Not as a batch: that copies the table and drops the old one, and each domain's choice of an
    # active version would go with it (ON DELETE CASCADE).
    for column in ("reply_weights", "reply_checkpoint_digest", "reply_digest"):
        op.drop_column("adapters", column)
