"""Writes the reference pages from the declarations in the code; with --check, says whether they are in step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from docs.conformance import conformance_page, sdks_page
from docs.conventions import conventions_page

from almanac.core.analysis import registry
from almanac.core.settings import Settings
from almanac.web.question_page import question_page

FOLDER = Path(__file__).parent / "reference"
NOTICE = "<!-- Written by `make docs` from the code; edit it there. -->\n\n"


def settings_page() -> str:
    """One table of all settings."""
    lines = [
        "# Settings",
        "",
        "Each can stand in `almanac.toml` in the data folder, in the environment as `ALMANAC_NAME` (secrets also as a file named by "
        "`ALMANAC_NAME_FILE`), and on the command line as `--name`; later wins.",
        "",
        "| name | type | default | unit | what it does |",
        "| --- | --- | --- | --- | --- |",
    ]
    for item in fields(Settings):
        default = "" if item.default == "" else f"`{item.default}`"
        kind = "path" if isinstance(item.default, Path) else type(item.default).__name__
        lines.append(f"| `{item.name}` | {kind} | {default} | {item.metadata['unit']} | {item.metadata['help']} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, Callable[[], str | None]]:
    """File name -> what it holds; None where that cannot be known here."""
    found: dict[str, Callable[[], str | None]] = {
        "settings.md": settings_page,
        "conventions.md": conventions_page,
        "conformance.md": conformance_page,
        "sdks.md": sdks_page,
    }
    for kind, analysis in registry().items():
        found[f"questions/{kind}.md"] = lambda analysis=analysis: question_page(analysis)
    return found


def main(arguments: list[str]) -> int:
    """Writes the pages, or compares them."""
    stale = []
    for name, make in pages().items():
        file, made = FOLDER / name, make()
        if made is None:
            continue
        text = NOTICE + made
        if file.is_file() and file.read_text() == text:
            continue
        if "--check" in arguments:
            stale.append(name)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    if stale:
        print(f"docs/reference is not in step with the code: {', '.join(stale)}. Run `make docs`.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
