"""Every command, a file for each group of them. Wiring and printing only; what commands do lives in the rooms.

With a server running on the data folder, commands talk to it over HTTP with its admin key; otherwise they open the folder in this process.
Results go to stdout, everything else (progress, errors) to stderr. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import sys

from almanac.cli import data, dead_letters, definitions, keys, operation, people, projects, questions, sources, tracking, users
from almanac.cli.wiring import Commands

app = Commands(
    name="almanac",
    help="Event analytics: every event kept exactly once, every behavioural question answered with a receipt.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
operation.add_servers(app)
app.add_typer(projects.app, name="project")
app.add_typer(keys.app, name="key")
app.add_typer(users.app, name="user")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(definitions.app, name="definitions")
app.add_typer(tracking.app, name="tracking-plan")
app.add_typer(sources.app, name="source")
app.add_typer(people.app, name="people")
app.add_typer(people.merges, name="merge")
questions.add_free(app)
definitions.add(app)
data.add(app)
operation.add(app)


def main() -> None:
    """The `almanac` command."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    known = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    if not words or words[0] not in known:
        questions.add_kinds(app)  # the commands that are not written down here; reading them takes some tenths of a second
    app()
