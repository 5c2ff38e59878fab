"""What all commands share: the common flags, the way to the rooms, and the guard that turns errors into sentences."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from almanac.core import settings as all_settings
from almanac.core.settings import Settings
from almanac.web.terminal import tell

if TYPE_CHECKING:
    from almanac.web.client import Api
    from almanac.web.projects import CatalogProjects

Data = Annotated[Path | None, typer.Option("--data", help="Data folder. Also ALMANAC_DATA.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Of = Annotated[str, typer.Option("--project", help="Id or name; may be left out when there is only one.", show_default=False)]

F = TypeVar("F", bound=Callable[..., Any])


class Commands(typer.Typer):
    """A group of commands. No stack trace of theirs reaches a user; an error is a sentence, its place and the way out."""

    def __init__(self, **given: Any) -> None:
        super().__init__(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, **given)

    def command(self, name: str | None = None, **given: Any) -> Callable[[F], F]:
        """Registers a function as the command `name`."""
        register = super().command(name, **given)
        return lambda function: register(_guarded(function))


def _guarded(command: F) -> F:
    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:  # whoever read our output has enough of it
            sys.stderr.close()
        except Exception as error:
            tell(error)
        raise typer.Exit(1)

    return guarded  # type: ignore[return-value]


def settings_of(data: Path | None, **given: Any) -> Settings:
    """All settings, these flags above the others."""
    return all_settings.load({"data": data, **given})


@contextmanager
def reached(data: Path | None) -> Iterator[Api]:
    """The server that runs on the data folder, or the folder itself."""
    from almanac.house import open_rooms
    from almanac.web.client import reach

    with reach(settings_of(data), open_rooms) as api:
        yield api


@contextmanager
def entered(project: str, data: Path | None) -> Iterator[tuple[Api, str]]:
    """As `reached`, with the project that is meant: the only one when none is named."""
    with reached(data) as api:
        yield api, project or api.only_project()


@contextmanager
def projects_of(data: Path | None) -> Iterator[Api | CatalogProjects]:
    """Projects and keys need no event store: another process may hold it."""
    from almanac.house import open_catalog
    from almanac.web.client import Api, HttpTransport, serving
    from almanac.web.projects import CatalogProjects

    settings = settings_of(data)
    if server := serving(settings):
        yield Api(HttpTransport(server["url"], server.get("admin_key", "")))
        return
    catalog = open_catalog(settings)
    try:
        yield CatalogProjects(catalog)
    finally:
        catalog.close()
