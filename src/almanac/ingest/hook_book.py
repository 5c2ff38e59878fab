"""What this process has seen of each webhook since it began: for the state of sources, never for numbers."""

from __future__ import annotations

from typing import Any, Final

MOST: Final = 10_000
_SEEN: dict[str, dict[str, Any]] = {}


def note(project: str, name: str, at_us: int, *, taken: int = 0, rejected: int = 0, refused: str = "") -> None:
    """One delivery. `refused`: why it was not believed."""
    key = f"{project}/{name}"
    if key not in _SEEN and len(_SEEN) >= MOST:
        _SEEN.clear()
    seen = _SEEN.setdefault(key, {"deliveries": 0, "events": 0, "rejected": 0, "refused": 0})
    if refused:
        seen.update(refused=seen["refused"] + 1, refused_us=at_us, refusal=refused)
    else:
        seen.update(deliveries=seen["deliveries"] + 1, events=seen["events"] + taken, rejected=seen["rejected"] + rejected, last_us=at_us)


def seen() -> dict[str, dict[str, Any]]:
    """By project and source."""
    return {key: dict(value) for key, value in _SEEN.items()}
