"""For many domains: when each changed last, so that a bot reads only that again, and the embeddings
of what users say in it, so that no start computes them anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables. Every domain that there is counts as changed at the revision of now."""
    changes = op.create_table(
        "changes",
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("domain", name="pk_changes"),
    )
    op.create_index("ix_changes_revision", "changes", ["revision"])
    domains = sa.table("domains", sa.column("name"))
    now = sa.table("revision", sa.column("value"))
    op.execute(
        sa.insert(changes).from_select(
            ["domain", "revision"],
            sa.select(domains.c.name, sa.select(now.c.value).scalar_subquery()),
        )
    )
    op.create_table(
        "embeddings",
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("rows", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("domain", name="pk_embeddings"),
        sa.ForeignKeyConstraint(
            ["domain"], ["domains.name"], name="fk_embeddings_domain", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("embeddings")
    op.drop_table("changes")
