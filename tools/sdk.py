"""Builds the web SDK into the package: `python tools/sdk.py`.

`check` formats and types, `test` what reckons, `format` mends, `pack` makes the npm package in sdk/web/dist. Its tools are those of the web
app (ui/package-lock.json), so that nothing is fetched twice.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

if __package__:
    from tools import ui
else:
    import ui

SDK = ui.ROOT / "sdk" / "web"
BUILT = ui.ROOT / "src" / "almanac" / "web" / "sdk"
STAMP = BUILT / "built-from"
_PARTS = "node_modules"


def build() -> bool:
    """Builds it when it is out of date; False when it was not. Raises RuntimeError with what the tools printed."""
    if os.environ.get(ui.SKIP):
        return False
    wanted = ui.digest_of(ui.ROOT, _sources())
    if STAMP.exists() and STAMP.read_text() == wanted:
        return False
    ui.install()
    ui.run("build.mjs", str(BUILT), folder=SDK)
    STAMP.write_text(wanted)
    return True


def check() -> None:
    """Format, lint and types. Raises RuntimeError with what is wrong."""
    _run("@biomejs/biome/bin/biome", "ci", ".")
    _run("typescript/bin/tsc", "--noEmit")


def test() -> None:
    """The tests of what reckons. Raises RuntimeError with those that fail."""
    _run("vitest/vitest.mjs", "run")


def mend() -> None:
    """Formats and mends what can be mended."""
    _run("@biomejs/biome/bin/biome", "check", "--write", ".")


def pack() -> None:
    """Makes the npm package. Raises RuntimeError with what went wrong."""
    ui.install()
    ui.npm("pack", "--pack-destination", "dist", folder=SDK)


def _run(script: str, *arguments: str) -> None:
    ui.install()
    link = SDK / _PARTS
    if not link.exists():
        link.symlink_to(ui.UI / _PARTS, target_is_directory=True)
    ui.run(f"{_PARTS}/{script}", *arguments, folder=SDK)


def _sources() -> Iterator[Path]:
    for name in ("package.json", "tsconfig.json", "tsconfig.build.json", "build.mjs"):
        yield SDK / name
    yield ui.UI / "package-lock.json"
    yield from (path for path in sorted((SDK / "src").rglob("*.ts")) if ".test." not in path.name)


if __name__ == "__main__":
    try:
        match sys.argv[1:]:
            case []:
                print("built" if build() else "up to date")
            case ["check"]:
                check()
            case ["test"]:
                test()
            case ["format"]:
                mend()
            case ["pack"]:
                pack()
            case _:
                sys.exit(__doc__)
    except RuntimeError as error:
        sys.exit(str(error))
