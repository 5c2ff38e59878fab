"""The store's own wall around a tenant's statement: what the engine's filter on its tables does not reach is refused.

The filter (`additional_table_filters`) holds for tables that are read by their names. Around it lead settings within the statement, table
functions that name tables, files or other servers, and tables that belong to nobody. The engine's own parser says what a statement reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from almanac.adapters import schema
from almanac.core.errors import AlmanacError, invalid

_NODE: Final = re.compile(r" *(\w+)(?: (.*?))?(?: \(alias .*\))?(?: \(children \d+\))?")
_TABLE_FUNCTIONS: Final = frozenset({"numbers", "zeros", "values", "view", "generate_series", "generateseries"})
_READING_FUNCTIONS: Final = frozenset({"file", "joinget", "joingetornull", "hascolumnintable", "catboostevaluate"})
_FOREIGN: Final = frozenset({"system", "information_schema", "staging"})
_WAY_OUT: Final = f"Read from {', '.join(schema.TENANT_TABLES)}, by name and without SETTINGS."


def refuse_ways_around(text: str, values: Mapping[str, Any], explain: Callable[[str, Mapping[str, Any]], Sequence[Sequence[Any]]]) -> None:
    """Raises `invalid` for a statement that is no plain SELECT over a tenant's tables. `explain` runs EXPLAIN AST."""
    # Within brackets only a SELECT can stand: no second statement, FORMAT or INTO OUTFILE.
    lines = [str(row[0]) for row in explain(f"EXPLAIN AST SELECT * FROM (\n{text}\n)", values)]
    above = ""
    for line in lines:
        match = _NODE.fullmatch(line)
        if match is None:
            continue
        node, name = match.group(1), (match.group(2) or "").replace("`", "")
        if node == "Set":
            raise _refused("settings")
        if node == "Function":
            allowed = name.lower() in _TABLE_FUNCTIONS if above == "TableExpression" else name.lower() not in _READING_FUNCTIONS
            if not allowed:
                raise _refused(f"the function {name}")
        if node == "TableIdentifier" and not _own_table(name):
            raise _refused(f"the table {name}")
        if node == "Identifier" and (name.split(".")[0].lower() in _FOREIGN or name in schema.hidden_tables()):
            raise _refused(f"the table {name}")
        above = node


def _own_table(name: str) -> bool:
    database, _, table = name.rpartition(".")
    return table in schema.TENANT_TABLES if database == "default" else not database and table not in schema.hidden_tables()


def _refused(what: str) -> AlmanacError:
    return invalid(f"A statement over one project may not use {what}.", place="sql", way_out=_WAY_OUT)
