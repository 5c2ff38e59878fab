"""The pages about vendors' SDKs: what becomes of their calls under faults, as it was last seen, and how to point each of them here."""

from __future__ import annotations

import re
from typing import Any, Final

from tests.sdks.conformance import HERE, SCENARIOS, Sdk, sdks

ADDRESS: Final = '"https://almanac.example.com"'
LANGUAGES: Final = {"python": "Python", "node": "Node.js", "browser": "Browser"}
_FENCES: Final = {"python": "python", "node": "js", "browser": "html"}
_QUICK: Final = re.compile(r"(,\s*)?(\*\*|\.\.\.)QUICK")


def conformance_page() -> str:
    """One row for each SDK, one column for each fault."""
    lines = [
        "# Conformance of vendors' SDKs",
        "",
        "Each SDK makes every call that it has, once, against a real collector, while the first requests that bring events fail. A cell "
        "says how many of its calls were stored, each exactly once. Nothing is lost after Almanac has said yes to it, and nothing is "
        "counted twice; where fewer calls are stored than made, the SDK itself gave them up, by the rule under the table.",
        "",
        *(f"- **{name}**: {scenario.words}." for name, scenario in SCENARIOS.items()),
        "",
        "`²` marks where the SDK sent something again that was stored already; the copy carries the same id and is counted once.",
        "",
    ]
    found = [(sdk, sdk.kept()) for sdk in sdks()]
    for runs, language in LANGUAGES.items():
        rows = [(sdk, kept) for sdk, kept in found if sdk.runs == runs and kept]
        if rows:
            head = ["SDK", "version", "protocol", *SCENARIOS]
            lines += [f"## {language}", "", _row(head), _row(["---"] * len(head))]
            lines += [_row([_title(sdk), kept["version"], sdk.protocol, *_cells(kept)]) for sdk, kept in rows]
            lines.append("")
            drops = [f"- {_title(sdk)}, {', '.join(names)}: {why}" for sdk, _ in rows for why, names in _rules(sdk).items()]
            lines += ["By the SDK's own rule:", "", *drops, ""] if drops else []
    return "\n".join(lines)


def sdks_page() -> str:
    """For each SDK the lines that point it here, as the tests run them."""
    lines = [
        "# Pointing an SDK here",
        "",
        "Change the address and the key, and nothing else. The lines are those that the tests run, with their address and key replaced. "
        "[What becomes of the calls when something fails](conformance.md).",
        "",
    ]
    for runs, language in LANGUAGES.items():
        lines += [f"## {language}", ""]
        for sdk in sdks():
            if sdk.runs == runs and not sdk.environment and (kept := sdk.kept()):
                install = "pip install" if runs == "python" else "npm install"
                lines += [f"### {_title(sdk)}", "", f"`{install} {sdk.package}` (tested with {kept['version']})", ""]
                lines += [f"```{_FENCES[runs]}", _snippet(sdk), "```", ""]
    return "\n".join(lines)


def _title(sdk: Sdk) -> str:
    return sdk.title or sdk.package


def _rules(sdk: Sdk) -> dict[str, list[str]]:
    """In which scenarios each of the SDK's own rules counts."""
    found: dict[str, list[str]] = {}
    for name in SCENARIOS:
        if name in sdk.drops:
            found.setdefault(sdk.drops[name], []).append(name)
    return found


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(kept: dict[str, Any]) -> list[str]:
    cells = []
    for name in SCENARIOS:
        seen = kept["scenarios"][name]
        cell = f"{seen['stored']} of {seen['called']}{'²' if seen['copies'] else ''}"
        if seen["app"] != "unhurt":
            cell += f", program: {seen['app']}"
        if seen["late"]:
            cell += f", {seen['late']} an hour off"
        cells.append(cell)
    return cells


def _snippet(sdk: Sdk) -> str:
    text = (HERE / "drivers" / sdk.driver).read_text()
    parts = re.findall(r"[^\n]*\[snippet\][^\n]*\n(.*?)\n?[^\n]*\[/snippet\]", text, re.DOTALL)
    joined = _QUICK.sub("", "\n".join(part for part in parts))
    return re.sub(r"\bKEY\b", '"WRITE_KEY"', re.sub(r"\bHOST\b", ADDRESS, joined))
