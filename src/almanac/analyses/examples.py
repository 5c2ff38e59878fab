"""Worked examples of a question from the data file beside it, `<kind>.examples.yaml`: a list of the fields of `Example`."""

from __future__ import annotations

from importlib import resources

import yaml

from almanac.core.analysis import Example


def examples_of(kind: str) -> tuple[Example, ...]:
    """The examples of that kind, in their order."""
    text = resources.files(__package__ or "almanac.analyses").joinpath(f"{kind}.examples.yaml").read_text("utf-8")
    return tuple(Example(**item) for item in yaml.safe_load(text))
