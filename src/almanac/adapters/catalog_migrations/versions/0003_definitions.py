"""Metrics, segments and questions under names, with all their versions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "definitions",
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, comment="1 for the first"),
        sa.Column("body", sa.Text, nullable=False, comment="JSON"),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False, comment="true: with this version the name stands for nothing"),
        sa.Column("saved_us", sa.BigInteger, nullable=False),
    )
