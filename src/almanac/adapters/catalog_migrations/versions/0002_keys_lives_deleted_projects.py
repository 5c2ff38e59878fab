"""Keys with a name and an end, and the projects that are gone."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the columns and the table. Of keys that are there already the last characters are not known: only hashes are kept."""
    for column in (
        sa.Column("id", sa.String(16), nullable=False, server_default="", comment="to name it by; says nothing of the secret"),
        sa.Column("name", sa.String(100), nullable=False, server_default=""),
        sa.Column("last_four", sa.String(4), nullable=False, server_default=""),
        sa.Column("revoked_us", sa.BigInteger, nullable=True, comment="from then on it is refused"),
    ):
        op.add_column("keys", column)
    connection = op.get_bind()
    for (hash_,) in connection.execute(sa.text("SELECT hash FROM keys")).all():
        connection.execute(sa.text("UPDATE keys SET id = :id WHERE hash = :hash"), {"id": secrets.token_hex(6), "hash": hash_})
    op.create_index("keys_id", "keys", ["id"], unique=True)
    op.create_table(
        "deleted_projects",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("deleted_us", sa.BigInteger, nullable=False),
        sa.Column("emptied_us", sa.BigInteger, nullable=True, comment="when the store held no row of it any more"),
    )
