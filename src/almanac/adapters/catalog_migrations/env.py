"""What alembic calls: runs the steps on the connection, and in the transaction, of the catalog that is being opened."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
context.run_migrations()
