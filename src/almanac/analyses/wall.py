"""The wall around users' SQL: what stands in a statement, and which tables it reads, before the engine sees it.

A statement is cut into tokens of a few strict forms, checked, and put together again from these alone, so that what was checked is what
runs. Every public table becomes a subquery of the project's own rows. The store's tenant wall is the second one, behind this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from almanac.adapters import schema
from almanac.core.errors import AlmanacError, invalid
from almanac.core.sql import Sql

_LONGEST: Final = 100_000  # characters

# What a token may look like: exactly the engine's own lexical forms, without its escapes in names, comments and heredocs.
_STRING: Final = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_QUOTED: Final = re.compile(r"`[^`\\]+`|\"[^\"\\]+\"")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS: Final = re.compile(r"[A-Za-z]+(?:\s+[A-Za-z]+)+")  # GROUP BY is one token
_NUMBER: Final = re.compile(r"[0-9][0-9A-Za-z_.]*|\.[0-9]+")
_SIGN: Final = re.compile(r"[-+*/%=<>!,.()\[\]{}:?|^]{1,3}")

_TABLE_FUNCTIONS: Final = frozenset({"numbers"})

# Functions that read beyond the tables of the statement: other tables, dictionaries, files, the network, the host, the server itself.
_FORBIDDEN: Final = re.compile(
    r"""
    dict.* | joinget.* | region.* | __.* | (global|not|null|global_?not)+in | .*inignoreset | .*nullin | hascolumnintable
    | ai(classify|embed|extract|filter|generate|redact|similarity|translate) | catboost.* | modelevaluate | evalmlmethod | naivebayes.*
    | file | filesystem.* | url | remote.* | cluster.* | s3.* | executable | input | merge | view.* | eval | python | loop | sqlite | mysql
    | reversedns.* | addressto.* | demangle | logtrace | .*mergetree.* | tid | trap | sleep.* | pg_?[a-z_]+ | structureto.*
    | fqdn | .*hostname | serveruuid | tcpport | uptime | version | revision | buildid | displayname | showcertificate | zookeeper.*
    | getsetting.* | getserver.* | getmacro | getclienthttpheader | getoskernelversion | getmaxtablename.* | globalvariable
    | (current|initial|session|default|enabled)_?(user|database|schemas?|roles?|profiles?|handler|request.*|query.*)
    | user | auth(enticated)?user | database | schema | query_?id | connection_?id | generateserialid | transaction.* | shard.*
    | runningconcurrency | hasthreadfuzzer | obfuscatequery.* | fuzzquery
    """,
    re.VERBOSE,
)


def walled(text: str, tables: Mapping[str, Sql]) -> Sql:
    """The statement with each table of `tables` replaced by its subquery. Raises `invalid` for anything but one reading statement that
    keeps to these tables and to functions of its values."""
    try:
        tokens = _tokens(text)
        _check_names(text, tokens, tables)
        trees = [tree for tree in sqlglot.parse(text, dialect="clickhouse") if tree is not None]
    except SqlglotError as error:
        raise _refused(f"It cannot be read: {_first_line(error)}.") from None
    except RecursionError:
        raise _refused("It is nested too deeply.") from None
    spots = _tables_read(_one_query(trees), tables)
    return _rebuilt(text, tokens, spots, tables)


# --------------------------------------------------------------------- tokens


def _tokens(text: str) -> Sequence[Any]:
    if len(text) > _LONGEST:
        raise _refused(f"It is longer than {_LONGEST} characters.")
    tokens = list(sqlglot.tokenize(text, dialect="clickhouse"))
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    for token in tokens:
        raw = _raw(text, token)
        if not any(form.fullmatch(raw) for form in (_NAME, _WORDS, _SIGN, _NUMBER, _STRING, _QUOTED)):
            raise _refused(f"{raw[:40]!r} cannot stand in it.", "Use plain or quoted names, 'texts', numbers and operators.")
    return tokens


def _raw(text: str, token: Any) -> str:
    return text[token.start : token.end + 1]


def _name(text: str, token: Any) -> str:
    """The name that the token is, without its quotes; "" for anything else."""
    raw = _raw(text, token)
    if _QUOTED.fullmatch(raw):
        return raw[1:-1]
    return raw if _NAME.fullmatch(raw) else ""


def _check_names(text: str, tokens: Sequence[Any], tables: Mapping[str, Sql]) -> None:
    """What no tree is needed for, so that a misread tree cannot let it through."""
    raws = [_raw(text, token) for token in tokens]
    for place, token in enumerate(tokens):
        before = raws[place - 1] if place else ""
        after = raws[place + 1] if place + 1 < len(raws) else ""
        name = _name(text, token)
        word = name.lower()
        if before == ".":
            continue
        if after == "(" and _FORBIDDEN.fullmatch(word):
            raise _refused(f"The function {name} cannot be used.", "Use functions of the values in the tables.")
        if word in _private(tables):
            raise _refused(f"{name} cannot be read.", f"There are the tables {', '.join(tables)}.")
        if word == "identifier" and before == ":":
            raise _refused("A value cannot be the name of a table.", "Write the table's name into the statement.")
        _check_keyword(text, tokens, place, after)


def _check_keyword(text: str, tokens: Sequence[Any], place: int, after: str) -> None:
    keyword = _raw(text, tokens[place]).upper().split()[-1]
    if keyword in ("SETTINGS", "OUTFILE", "INFILE") or (keyword == "FORMAT" and after != "("):
        raise _refused(f"{keyword} cannot stand in it.", "The answer's form is chosen by who asks, not by the statement.")
    if keyword == "IN":
        _check_in(text, tokens, place + 1)


def _check_in(text: str, tokens: Sequence[Any], place: int) -> None:
    """`x IN name` and `x IN (name)` read a table of that name."""
    while place < len(tokens) and _raw(text, tokens[place]) == "(":
        place += 1
    named = place
    while place < len(tokens) and (_name(text, tokens[place]) or _raw(text, tokens[place]) == "."):
        place += 1
    follows = _raw(text, tokens[place]) if place < len(tokens) else ""
    first = _raw(text, tokens[named]).upper() if named < len(tokens) else ""
    if place > named and first not in ("SELECT", "WITH") and follows not in ("(", ",", "["):
        raise _refused(f"IN {_raw(text, tokens[named])} would read a table of that name.", "Write IN (SELECT … FROM …) or a list.")


def _private(tables: Mapping[str, Sql]) -> frozenset[str]:
    return _made() - set(tables)


@cache
def _made() -> frozenset[str]:
    """Whatever the store's schema makes, and the engine's own databases."""
    names = re.findall(r"CREATE (?:TABLE|DICTIONARY|MATERIALIZED VIEW|VIEW)(?: IF NOT EXISTS)? (\w+)", "\n".join(_statements()))
    return frozenset({*names, "system", "information_schema", "default", "_temporary_and_external_tables"})


def _statements() -> Iterator[str]:
    yield schema.JOURNAL
    for migration in schema.migrations():
        yield from migration.statements


# ----------------------------------------------------------------------- tree


def _one_query(trees: Sequence[Any]) -> exp.Expr:
    if len(trees) != 1:
        raise _refused("It has to be exactly one statement.")
    tree = trees[0]
    if not isinstance(tree, exp.Query):
        raise _refused("It has to be a SELECT.", "Begin with SELECT or WITH.")
    for node in tree.find_all(exp.Query):
        if any(node.args.get(part) for part in ("settings", "format", "into")):
            raise _refused("SETTINGS, FORMAT and INTO cannot stand in it.")
    for kind in (exp.Command, exp.DDL, exp.DML, exp.Set, exp.Into):
        if tree.find(kind) is not None and not isinstance(tree, kind):
            raise _refused("It may only read.")
    return tree


def _tables_read(tree: exp.Expr, tables: Mapping[str, Sql]) -> dict[int, tuple[str, bool]]:
    """Where in the text each table stands: its name, and whether it has an alias of its own."""
    spots: dict[int, tuple[str, bool]] = {}
    for cte in tree.find_all(exp.CTE):
        if cte.alias in tables:
            raise _refused(f"{cte.alias} is a table and cannot name a subquery too.")
    for node in tree.find_all(exp.Table):
        if not isinstance(node.this, exp.Identifier):
            function = getattr(node.this, "name", "") or node.this.sql()
            if function.lower() not in _TABLE_FUNCTIONS:
                raise _refused(f"{function} cannot be read.", f"There are the tables {', '.join(tables)}.")
            continue
        name = node.this.name
        if node.args.get("db") or node.args.get("catalog"):
            raise _refused(f"{node.sql()} cannot be read.", "Write the table's name alone.")
        if name in tables:
            spots[node.this.meta["start"]] = (name, bool(node.alias))
        elif name not in _visible(node):
            raise _refused(f"There is no table {name}.", f"There are {', '.join(tables)}.")
    return spots


def _visible(node: exp.Expr) -> set[str]:
    """Names of the WITH subqueries that come before the node."""
    names: set[str] = set()
    child, parent = node, node.parent
    while parent is not None:
        listed = parent.expressions if isinstance(parent, exp.With) else []
        if child in listed:
            names |= {cte.alias for cte in listed[: [id(cte) for cte in listed].index(id(child))]}
        elif isinstance(parent, exp.Query) and not isinstance(child, exp.With):
            names |= {cte.alias for cte in parent.ctes}
        child, parent = parent, parent.parent
    return names


def _rebuilt(text: str, tokens: Sequence[Any], spots: Mapping[int, tuple[str, bool]], tables: Mapping[str, Sql]) -> Sql:
    """The tokens with the subqueries in their places; comments are gone."""
    parts: list[str] = []
    values: dict[str, Any] = {}
    end = -1
    for token in tokens:
        parts.append("" if token.start == end + 1 else "\n" if "\n" in text[end + 1 : token.start] else " ")
        end = token.end
        spot = spots.get(token.start) if _name(text, token) else None
        if spot is None:
            parts.append(_raw(text, token))
        else:
            name, has_alias = spot
            parts.append(tables[name].text if has_alias else f"{tables[name].text} AS {name}")
            values |= tables[name].values
    return Sql("".join(parts).strip(), values)


def _refused(message: str, way_out: str = "") -> AlmanacError:
    return invalid(f"The statement is refused. {message}", place="sql", way_out=way_out)


def _first_line(error: Exception) -> str:
    return re.sub(r"\x1b\[\d*m", "", str(error)).splitlines()[0].rstrip(".")
