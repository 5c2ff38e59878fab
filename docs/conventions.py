"""Where products of the field count differently: what Almanac does in each case, from the worked cases beside the checkout and the tests.

A case that is not followed stands in its test under NOT_FOLLOWED, with the reason."""

from __future__ import annotations

import ast
import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASES = ROOT.parent / "shared" / "cases"
_FILES = ("peer_cases", "attribution_cases", "abtest_cases")


def conventions_page() -> str | None:
    """One table of all cases in which it is a matter of choice; None when the cases are not beside the checkout."""
    if not CASES.is_dir():
        return None
    not_followed = _not_followed()
    lines = [
        "# Conventions",
        "",
        "Products of the field count some things differently, and neither is wrong. Each row is a case worked out by another product,",
        "whose numbers are a matter of choice; where Almanac chooses otherwise, the reason stands beside it.",
        "All cases that follow from the usual meaning of a question have the same numbers here; tests compare them.",
        "",
        "| question | case | what is a matter of choice | whose | Almanac |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in _FILES:
        convention = ""  # "same" is that of the case before
        for line in (CASES / f"{name}.jsonl").read_text().splitlines():
            case = json.loads(line)
            said = case.get("convention") or ""
            convention = convention if said == "same" else said or convention
            if case.get("strength") != "choice":
                continue
            source = case.get("source", {})
            peer = source.get("peer", "") if isinstance(source, dict) else str(source)
            asked = case.get("analysis") or name.removesuffix("_cases")
            reason = not_followed.get(case["id"]) or not_followed.get(case.get("kind", ""))
            cells = (
                asked,
                f"{case['id']}: {case['title']}",
                convention or case["kind"].replace("_", " "),
                peer,
                f"otherwise: {reason}" if reason else "the same",
            )
            lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _not_followed() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in sorted((ROOT / "tests" / "analyses").glob("test_peer_cases_*.py")):
        for node in ast.parse(file.read_text()).body:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
            if isinstance(target, ast.Name) and target.id == "NOT_FOLLOWED" and node.value is not None:  # type: ignore[union-attr]
                found |= ast.literal_eval(node.value)  # type: ignore[union-attr]
    return found
