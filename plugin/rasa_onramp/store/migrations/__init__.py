"""Alembic migrations, run by `Store.upgrade`; add each new one's id to `tables.REVISIONS`."""
