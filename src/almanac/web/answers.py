"""What programs and notebooks hold in their hands: a client, and answers that turn into data frames."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from almanac.core.analysis import Question
from almanac.core.errors import invalid
from almanac.core.filters import Model
from almanac.web.client import Api

_SHOWN: Final = 50  # rows of a table in a notebook


@dataclass(frozen=True)
class Answer:
    """Rows (a dict each), what their columns mean, and the receipt that says how they came about."""

    kind: str
    columns: list[dict[str, str]]
    rows: list[dict[str, Any]]
    receipt: dict[str, Any] = field(repr=False)
    client: Client | None = field(default=None, repr=False, compare=False)  # who asked

    def people(self, row: Mapping[str, Any] | int, *, limit: int = 100, after: str = "") -> People:
        """Who is behind a row, given as it is or by its place. The range stays that of the answer, however late this is asked.

        Raises `AlmanacError`, also for a kind of question whose rows are not made of people."""
        if self.client is None:
            raise invalid("This answer does not know whom to ask.", way_out="Use client.people(question, row).")
        return self.client.people(self._question(), self.rows[row] if isinstance(row, int) else row, limit=limit, after=after)

    def _question(self) -> dict[str, Any]:
        question, window = dict(self.receipt["question"]), self.receipt.get("window")
        if window is None:
            return question
        question.pop("last", None)
        return {**question, "date_from": window["from"], "date_to": window["to"]}

    @property
    def names(self) -> list[str]:
        """The columns in their order."""
        return [column["name"] for column in self.columns]

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`. Needs pandas."""
        import pandas

        return pandas.DataFrame(self.rows, columns=self.names)

    def to_polars(self) -> Any:
        """A `polars.DataFrame`. Needs polars."""
        import polars

        if not self.rows:
            return polars.DataFrame(schema=self.names)
        return polars.DataFrame(self.rows, infer_schema_length=None).select(self.names)

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`."""
        import pyarrow

        return pyarrow.table({name: [row.get(name) for row in self.rows] for name in self.names})

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        exact = "exact" if self.receipt.get("exact", True) else "approximate"
        return f"<Answer {self.kind}: {len(self.rows)} rows of {', '.join(self.names)}; {exact}>"

    def _repr_html_(self) -> str:
        head = "".join(f'<th title="{_text(column.get("help", ""))}">{_text(column["name"])}</th>' for column in self.columns)
        body = "".join(f"<tr>{''.join(f'<td>{_text(row.get(name))}</td>' for name in self.names)}</tr>" for row in self.rows[:_SHOWN])
        more = f"<p>{len(self.rows) - _SHOWN} more rows</p>" if len(self.rows) > _SHOWN else ""
        receipt = "".join(f"<tr><th>{_text(name)}</th><td><code>{_text(value)}</code></td></tr>" for name, value in self.receipt.items())
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
            f"<details><summary>Receipt</summary><table>{receipt}</table></details>"
        )


def _written(question: Question | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(question, Question):
        return {**question.model_dump(mode="json", by_alias=True, exclude_unset=True), "kind": question.kind}
    if isinstance(question, Mapping):
        return dict(question)
    raise invalid(f"A {type(question).__name__} is not a question.", way_out="Give a model such as almanac.Trend(...), or a dict.")


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return html.escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


@dataclass(frozen=True)
class People:
    """A page of the people behind a row of an answer: a dict each. `total` counts all of them."""

    total: int
    people: list[dict[str, Any]] = field(repr=False)
    next: str = field(repr=False)  # token of the next page, "" on the last
    receipt: dict[str, Any] = field(repr=False)

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, one column a property. Needs pandas."""
        import pandas

        flat = [{**{name: value for name, value in person.items() if name != "properties"}, **_named(person)} for person in self.people]
        return pandas.DataFrame(flat)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.people)

    def __len__(self) -> int:
        return len(self.people)


def _named(person: Mapping[str, Any]) -> dict[str, Any]:
    return {f"properties.{name}": value for name, value in person["properties"].items()}


class Client:
    """Asks questions of one project. Made by `almanac.open`; a context manager that closes what it opened."""

    def __init__(self, api: Api, *, project: str = "", close: Callable[[], None] = lambda: None) -> None:
        self.api = api  # everything else that Almanac can be asked for: projects, keys, people, dead letters, exports
        self._project = project
        self._close = close

    @property
    def project(self) -> str:
        """The project that is asked; the only one when none was named. Raises `invalid` when there are several."""
        self._project = self._project or self.api.only_project()
        return self._project

    @property
    def projects(self) -> list[dict[str, Any]]:
        """All projects that the key enters."""
        return self.api.projects()

    def ask(self, question: Question | Mapping[str, Any], *, fresh: bool = False) -> Answer:
        """Answers a question, given as a model (`almanac.Trend(...)`) or a dict with its `kind`. `fresh`: past the cache.

        Raises `AlmanacError` with the field that is wrong and the way out.
        """
        return Answer(**self.api.ask(self.project, _written(question), fresh=fresh), client=self)

    def people(self, question: Question | Mapping[str, Any], row: Mapping[str, Any], *, limit: int = 100, after: str = "") -> People:
        """Who is behind a row of the answer to a question, a page of them; `after`: `next` of the page before. Raises `AlmanacError`."""
        return People(**self.api.people(self.project, _written(question), row, limit=limit, after=after))

    def live(self, question: Question | Mapping[str, Any]) -> Iterator[Answer]:
        """The answer to a question now, and again whenever it changed, within a second of the events that changed it; for ever. Connections
        that break are made again. Needs a server. Raises `AlmanacError`."""
        from almanac.web.live_client import updates

        for update in updates(*self.api.server(), self.project, _written(question)):
            yield Answer(**update.answer, client=self)

    def sql(self, text: str, **values: Any) -> Answer:
        """Asks in SQL; `values` are bound to {name:Type}."""
        question: dict[str, Any] = {"kind": "sql", "sql": text}
        return self.ask({**question, "values": values} if values else question)

    def save(self, kind: str, name: str, body: Model | Mapping[str, Any]) -> dict[str, Any]:
        """Saves a metric, a segment or a question under a name, as a further version: `client.save("metric", "orders", Metric(…))`."""
        plain = body.model_dump(mode="json", by_alias=True, exclude_unset=True) if isinstance(body, Model) else dict(body)
        if isinstance(body, Question):
            plain["kind"] = body.kind
        return self.api.save(self.project, kind, name, plain)

    def compare(self, first: Answer, second: Answer) -> list[str]:
        """Why two answers differ, in sentences."""
        return [str(item["sentence"]) for item in self.api.compare(self.project, first.receipt, second.receipt)]

    def events(self, *, limit: int = 100, event: str = "", distinct_id: str = "") -> list[dict[str, Any]]:
        """The latest events as they were received, the newest first."""
        return self.api.events(self.project, limit=limit, event=event, distinct_id=distinct_id)

    def ledger(self) -> list[dict[str, Any]]:
        """By hour: accepted = stored + duplicate + rejected + in flight, or there is a gap."""
        return self.api.ledger(self.project)

    def close(self) -> None:
        """Lets go of a data folder that was opened in this process."""
        self._close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
