"""Jobs: who adapts which domain, with a lease, and what came of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table, and the index that allows a domain one unfinished job."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "jobs",
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("asked_by", sa.String, nullable=False),
        sa.Column("inner_steps", sa.Integer),
        sa.Column("force", sa.Boolean, nullable=False),
        sa.Column("switch_anyway", sa.Boolean, nullable=False),
        sa.Column("input_digest", sa.String),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("token", sa.String(32)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("started_at", moment),
        sa.Column("heartbeat_at", moment),
        sa.Column("lease_until", moment),
        sa.Column("step", sa.Integer),
        sa.Column("total", sa.Integer),
        sa.Column("loss", sa.Float),
        sa.Column("version", sa.Integer),
        sa.Column("outcome", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("finished_at", moment),
        sa.PrimaryKeyConstraint("domain", "number", name="pk_jobs"),
        sa.ForeignKeyConstraint(
            ["domain"], ["domains.name"], name="fk_jobs_domain", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed')", name="ck_jobs_state"
        ),
    )
    unfinished = sa.text("state IN ('queued', 'running')")
    op.create_index(
        "ix_jobs_unfinished",
        "jobs",
        ["domain"],
        unique=True,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )


def downgrade() -> None:
    """Drop it, with all that it holds."""
    op.drop_table("jobs")
