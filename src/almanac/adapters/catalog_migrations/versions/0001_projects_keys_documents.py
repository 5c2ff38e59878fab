"""Projects, keys and saved documents."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "projects",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("name_key", sa.String(400), nullable=False, unique=True, comment="the name without regard to case"),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("week_start", sa.String(16), nullable=False),
        sa.Column("quota", sa.BigInteger, nullable=False),
        sa.Column("retention_days", sa.BigInteger, nullable=False),
        sa.Column("settings", sa.Text, nullable=False, comment="JSON"),
        sa.Column("created_us", sa.BigInteger, nullable=False, comment="microseconds since 1970"),
    )
    op.create_table(
        "keys",
        sa.Column("hash", sa.String(64), primary_key=True, comment="SHA-256 of the secret, in hex; the secret itself is kept nowhere"),
        sa.Column("project", sa.String(64), sa.ForeignKey("projects.id"), nullable=True, index=True, comment="null: the server's"),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("given", sa.Boolean, nullable=False, comment="true: the admin key of the settings, which the next one replaces"),
        sa.Column("created_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "documents",
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("project", sa.String(64), primary_key=True, comment="empty: the server's"),
        sa.Column("name", sa.String(500), primary_key=True),
        sa.Column("body", sa.Text, nullable=False, comment="JSON"),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
    )
