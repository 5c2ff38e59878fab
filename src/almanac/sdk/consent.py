"""Consent by purpose: granted, denied or pending.

Without any statement of the app, it is not this SDK's business, and everything is sent. As soon as there is one, an event is sent only
when its purpose is granted; while that is pending, events wait in memory and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STATES: Final = ("granted", "denied", "pending")
Given = Mapping[str, "str | bool"]


def read(given: Given) -> dict[str, str]:
    """The states by purpose; True and False mean granted and denied. Raises `ValueError` with the purpose and what would be right."""
    found = {str(purpose): ("granted" if state else "denied") if isinstance(state, bool) else state for purpose, state in given.items()}
    for purpose, state in found.items():
        if state not in STATES:
            raise ValueError(f"Consent to {purpose!r} is {state!r}; it has to be one of {', '.join(STATES)}.")
    return found


def state_of(purpose: str, *said: Mapping[str, str] | None) -> str:
    """What holds for a purpose: the first that names it decides. What nobody named is pending, and granted when nobody said anything."""
    for states in said:
        if states is not None and purpose in states:
            return states[purpose]
    return "granted" if all(states is None for states in said) else "pending"
