"""Few-shot curves of domains."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the table `curves`."""
    op.create_table(
        "curves",
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("wanted", sa.JSON, nullable=False),
        sa.Column("points", sa.JSON, nullable=False),
        sa.Column("held_out", sa.Integer, nullable=False),
        sa.Column("seeds", sa.Integer, nullable=False),
        sa.Column("support_digest", sa.String, nullable=False),
        sa.Column("checkpoint_digest", sa.String, nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain", name="pk_curves"),
        sa.ForeignKeyConstraint(
            ["domain"], ["domains.name"], name="fk_curves_domain", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Drop it, with all that it holds."""
    op.drop_table("curves")
