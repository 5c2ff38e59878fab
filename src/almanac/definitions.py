"""Metrics, segments, questions, boards, annotations and the tracking plan under names: what may be saved, what names stand for, and files
of them (analytics as code).

A definition is checked when it is saved, and again whenever it is used, as what it names may have changed meanwhile.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from almanac.core.analysis import Question, analysis_of, registry
from almanac.core.annotation import Annotation
from almanac.core.board import Board
from almanac.core.errors import AlmanacError, conflict, invalid, not_found
from almanac.core.faults import first_fault
from almanac.core.filters import Model, Segment, SegmentFilter
from almanac.core.metrics import Metric
from almanac.core.ports import Catalog, Definition
from almanac.ingest.tracking import EventPlan

PLAN: Final = "plan"  # an entry of the tracking plan
BOARD: Final = "board"
ANNOTATION: Final = "annotation"
_MOST_IN_A_FILE: Final = 5000
_NAMING: Final = {"metric": "metric", "segment": "segment", "saved": "question"}  # field -> kind of what it names

Action = Literal["create", "change", "remove", "keep"]


@dataclass(frozen=True)
class Kind:
    """What may be saved under a name. `section`: where it stands in files. `model`: None where the body says itself which it is."""

    name: str
    section: str
    help: str
    model: type[BaseModel] | None


# All kinds. Every face takes them from here.
KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("metric", "metrics", "Metrics by their names.", Metric),
        Kind("segment", "segments", "Segments by their names.", Segment),
        Kind("question", "questions", "Questions by their names.", None),
        Kind(BOARD, "boards", "Boards by their names.", Board),
        Kind(ANNOTATION, "annotations", "Flags on charts by their names: releases, outages, campaigns.", Annotation),
        Kind(PLAN, "plans", "Entries of the tracking plan by their events' names; * for all other events.", EventPlan),
    )
}
KIND_NAMES: Final = ", ".join(KINDS)


class _About(Model):
    """What a saved question says of itself beside what it asks."""

    description: str = Field("", max_length=2000, description="What it is for, in words.")


class Names:
    """What the names in one question stand for; it remembers which it was asked for."""

    def __init__(self, catalog: Catalog, project: str, more: Mapping[tuple[str, str], Mapping[str, Any]] | None = None) -> None:
        """`more`: definitions that are about to be saved, by kind and name."""
        self._catalog = catalog
        self._project = project
        self._more: Mapping[tuple[str, str], Mapping[str, Any]] = more or {}
        self.used: dict[tuple[str, str], int] = {}

    def metric(self, name: str) -> Mapping[str, Any]:
        """See `Named.metric`."""
        return self.body("metric", name)

    def segment(self, name: str) -> Mapping[str, Any]:
        """See `Named.segment`."""
        return self.body("segment", name)

    def body(self, kind: str, name: str) -> Mapping[str, Any]:
        """What the name stands for. Raises `not_found`, with the names that come close."""
        if (kind, name) in self._more:
            return self._more[kind, name]
        found = self._catalog.definition(self._project, kind, name)
        if found is None:
            known = [item.name for item in self._catalog.definitions(self._project, kind)]
            known += [other for other_kind, other in self._more if other_kind == kind]
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:10]
            way_out = f"There are: {', '.join(near)}." if near else "Save it first, or write it out."
            raise not_found(f"There is no {kind} {name!r}.", place=kind, way_out=way_out)
        self.used[kind, name] = found.version
        return found.body


def question_of(given: Mapping[str, Any], names: Names) -> tuple[dict[str, Any], type[Question]]:
    """The question with its kind's model. `{"saved": name, …}` is the saved question of that name, with what else is said changed."""
    question = dict(given)
    if "saved" in question:
        name = question.pop("saved")
        if not isinstance(name, str):
            raise invalid("saved is the name of a saved question.", place="saved", way_out='Write {"saved": "weekly signups"}.')
        question = _changed(_asked_of(names.body("question", name)), question)
    kind = question.get("kind")
    if not isinstance(kind, str):
        raise invalid("The question has no kind.", place="kind", way_out=f"Give one of: {', '.join(registry())}.")
    return question, analysis_of(kind).question


def _asked_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a saved question asks, without what it says of itself."""
    return {name: value for name, value in body.items() if name not in _About.model_fields}


def _changed(saved: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Another range takes the place of the saved one as a whole."""
    times = {"last", "date_from", "date_to"}
    kept = {key: value for key, value in saved.items() if key not in times or not times & set(changes)}
    if changes.get("kind", kept.get("kind")) != kept.get("kind"):
        raise invalid("A saved question keeps its kind.", place="kind", way_out=f"It is {kept.get('kind')!r}; leave kind out.")
    return {**kept, **changes}


@dataclass(frozen=True)
class Change:
    """What saving a file would do to one definition."""

    kind: str
    name: str
    action: Action
    diff: str = ""  # unified, of both bodies as YAML; "" for keep

    def as_json(self) -> dict[str, str]:
        """For faces."""
        return {"kind": self.kind, "name": self.name, "action": self.action, "diff": self.diff}


class Definitions:
    """The definitions of all projects. Project arguments are ids."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def names(self, project: str) -> Names:
        """For one question."""
        return Names(self._catalog, project)

    def every(self, project: str, kind: str) -> list[Definition]:
        """Those in force, by name. Raises `invalid` for a kind that is none."""
        return self._catalog.definitions(project, _known(kind))

    def get(self, project: str, kind: str, name: str, *, version: int = 0) -> Definition:
        """The one in force, or that version. Raises `not_found`."""
        found = self._catalog.definition(project, _known(kind), name, version=version)
        if found is None:
            wanted = f"version {version} of the {kind} {name!r}" if version else f"{kind} {name!r}"
            raise not_found(f"There is no {wanted}.", place=kind, way_out="List them to see their names.")
        return found

    def versions(self, project: str, kind: str, name: str) -> list[Definition]:
        """The newest first. Raises `not_found` when there never was one."""
        found = self._catalog.versions(project, _known(kind), name)
        if not found:
            raise not_found(f"There is no {kind} {name!r}.", place=kind)
        return found

    def save(
        self, project: str, kind: str, name: str, body: Mapping[str, Any], *, author: str = "", expected: int | None = None
    ) -> Definition:
        """A further version. Raises `invalid` and `not_found` naming the place, `conflict` when the newest is not the `expected` one."""
        kept = self._checked(project, _known(kind), name, body, {(kind, name): body})
        return self._catalog.save_definition(project, Definition(kind, name, kept, author=author), expected=expected)

    def remove(self, project: str, kind: str, name: str, *, author: str = "") -> None:
        """Raises `not_found`, and `conflict` when other definitions go by it."""
        self.get(project, kind, name)
        users = [f"{item.kind} {item.name!r}" for item in self._all(project) if (kind, name) in set(_named_in(item.body))]
        if users:
            raise conflict(f"The {kind} {name!r} is in use by {', '.join(users[:5])}.", way_out="Change or remove these first.")
        self._catalog.remove_definition(project, kind, name, author=author)

    # ------------------------------------------------------- analytics as code

    def plan(self, project: str, file: Mapping[str, Any], *, prune: bool = False) -> list[Change]:
        """What `apply` would do. `file`: a section for each of `KINDS`, with bodies by name. `prune`: remove what it does not hold.

        Raises `invalid` or `not_found` for the first definition that is wrong."""
        given = self._read(project, file)
        present = {(item.kind, item.name): item.body for item in self._all(project)}
        changes = [_change(key, present.get(key), body) for key, body in given.items()]
        if prune:
            changes += [_change(key, body, None) for key, body in present.items() if key not in given]
        return changes

    def apply(self, project: str, file: Mapping[str, Any], *, prune: bool = False, author: str = "") -> list[Change]:
        """Makes the definitions those of the file; all are checked before the first is saved. What it did."""
        changes = self.plan(project, file, prune=prune)
        given = self._read(project, file)
        for change in changes:
            if change.action in ("create", "change"):
                body = given[change.kind, change.name]
                self._catalog.save_definition(project, Definition(change.kind, change.name, body, author=author))
            elif change.action == "remove":
                self._catalog.remove_definition(project, change.kind, change.name, author=author)
        return changes

    def file(self, project: str) -> dict[str, Any]:
        """All definitions in force, as `apply` reads them."""
        found: dict[str, Any] = {}
        for item in self._all(project):
            found.setdefault(KINDS[item.kind].section, {})[item.name] = item.body
        return found

    def checked(self, project: str, file: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
        """The definitions of a file by kind and name, as they would be kept. Raises as `plan` does."""
        return self._read(project, file)

    def _all(self, project: str) -> list[Definition]:
        return [item for kind in KINDS for item in self._catalog.definitions(project, kind)]

    def _read(self, project: str, file: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
        sections = {kind.section: kind.name for kind in KINDS.values()}
        given: dict[tuple[str, str], Mapping[str, Any]] = {}
        for section, items in file.items():
            if section not in sections:
                raise invalid(f"There is no section {section!r}.", place=str(section), way_out=f"There are: {', '.join(sections)}.")
            if not isinstance(items, Mapping):
                raise invalid(f"The section {section!r} holds no names.", place=section, way_out="Write each definition under its name.")
            for name, body in items.items():
                if not isinstance(body, Mapping):
                    raise invalid(f"{name!r} says nothing.", place=f"{section}.{name}", way_out="Write its fields under it.")
                given[sections[section], str(name)] = body
        if len(given) > _MOST_IN_A_FILE:
            raise invalid(f"The file has {len(given)} definitions.", way_out=f"Apply at most {_MOST_IN_A_FILE} at once.")
        return {(kind, name): self._checked(project, kind, name, body, given) for (kind, name), body in given.items()}

    def _checked(
        self, project: str, kind: str, name: str, body: Mapping[str, Any], more: Mapping[tuple[str, str], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The body in the form that is kept: its names as names, without what goes without saying."""
        names = Names(self._catalog, project, more)
        try:
            return _kept(KINDS[kind], name, body, names)
        except AlmanacError as error:
            error.place = ".".join(part for part in (KINDS[kind].section, name, error.place) if part)
            raise


def _kept(kind: Kind, name: str, body: Mapping[str, Any], names: Names) -> dict[str, Any]:
    if kind.model is None:
        about = _validated(_About, {name: body[name] for name in _About.model_fields if name in body}, None)
        return _kept_question(_asked_of(body), names) | about.model_dump(exclude_defaults=True)
    plain = _validated(kind.model, body, None)
    # As others would use it: so a circle is found, and a name that stands for nothing.
    if kind.model is Metric:
        _validated(Metric, {"formula": "it", "of": {"it": {"metric": name}}}, names)
    elif kind.model is Segment:
        _validated(SegmentFilter, {"segment": name}, names)
    elif kind.model is Board:
        _validated(Board, body, names)
    elif isinstance(plain, Annotation) and plain.board:
        names.body(BOARD, plain.board)
    kept = plain.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for place, tile in enumerate(kept.get("tiles", ()) if isinstance(plain, Board) else ()):
        if "question" in tile:
            tile["question"] = _kept_in_tile(place, tile["question"], names)
    return kept


def _kept_question(body: Mapping[str, Any], names: Names) -> dict[str, Any]:
    question, model = question_of(body, names)
    if "saved" in body:
        raise invalid("A saved question is written out.", place="saved", way_out="Give its kind and fields.")
    plain = _validated(model, question, None)
    _validated(model, question, names)
    return {"kind": body["kind"], **plain.model_dump(mode="json", by_alias=True, exclude_defaults=True)}


def _kept_in_tile(place: int, question: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """A tile may name a saved question."""
    try:
        if "saved" not in question:
            return _kept_question(question, names)
        whole, model = question_of(question, names)
        _validated(model, whole, names)
    except AlmanacError as error:
        error.place = ".".join(part for part in (f"tiles.{place}.question", error.place) if part)
        raise
    return dict(question)


def _validated(model: type[BaseModel], body: Mapping[str, Any], names: Names | None) -> BaseModel:
    try:
        return model.model_validate(dict(body), context=names)
    except ValidationError as error:
        raise first_fault(error, model) from None


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise invalid(f"There are no definitions of kind {kind!r}.", place="kind", way_out=f"There are: {KIND_NAMES}.")
    return kind


def _named_in(body: Any) -> Iterator[tuple[str, str]]:
    """The definitions that a body names."""
    if isinstance(body, Mapping):
        for key, value in body.items():
            if key in _NAMING and isinstance(value, str):
                yield _NAMING[key], value
            elif key != "chart":  # of a tile: what it holds is a page's own
                yield from _named_in(value)
    elif isinstance(body, Sequence) and not isinstance(body, str):
        for item in body:
            yield from _named_in(item)


def _change(key: tuple[str, str], before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Change:
    if before == after:
        return Change(*key, "keep")
    action: Action = "create" if before is None else "remove" if after is None else "change"
    old, new = (as_yaml(body).splitlines(keepends=True) if body is not None else [] for body in (before, after))
    return Change(*key, action, "".join(difflib.unified_diff(old, new, "saved", "file")))


class _Loader(yaml.SafeLoader):
    """Dates stay the texts that they are written as."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def from_yaml(text: str) -> Any:
    """What a file holds, JSON's kinds of values only. Raises `yaml.YAMLError`."""
    return yaml.load(text, _Loader)


def as_yaml(body: Any) -> str:
    """As files are written: in the order given, readable letters."""
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120)
