"""What an ad-hoc query reads, and whether it may: decided on its parse tree and bound plan, never on words in its text.

The query is bound on an empty copy of the tables (``lake.query.adhoc.schema_copy``) in which no file can be opened. Its
plan is not optimised, so every table that it names, through whatever view, subquery or CTE, is a scan in it. Operators
and functions are on lists of what is allowed; what a later DuckDB adds is refused until it is listed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from lake.query.statement_redaction import UNBOUND, UNPARSED, blanked

BEFORE_ANY_ROW: Final = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
"""Errors that DuckDB finds before it reads a row: their text quotes the query, never a value."""

_OPERATORS: Final = frozenset(
    (
        "AGGREGATE",
        "ANY_JOIN",
        "ASOF_JOIN",
        "COMPARISON_JOIN",
        "CROSS_PRODUCT",
        "CTE",
        "CTE_SCAN",
        "DELIM_GET",
        "DELIM_JOIN",
        "DEPENDENT_JOIN",
        "DISTINCT",
        "DUMMY_SCAN",
        "EMPTY_RESULT",
        "EXCEPT",
        "EXPRESSION_GET",
        "FILTER",
        "INTERSECT",
        "LIMIT",
        "ORDER_BY",
        "PIVOT",
        "POSITIONAL_JOIN",
        "PROJECTION",
        "REC_CTE",
        "SAMPLE",
        "TOP_N",
        "UNION",
        "UNNEST",
        "WINDOW",
    )
)
_TABLE_FUNCTIONS: Final = frozenset(
    (
        "GENERATE_SERIES",
        "JSON_EACH",
        "JSON_TREE",
        "RANGE",
        "REPEAT",
        "REPEAT_ROW",
        "SUMMARY",
    )
)
_CATALOGUE: Final = frozenset(
    (
        "DUCKDB_COLUMNS",
        "DUCKDB_CONSTRAINTS",
        "DUCKDB_DATABASES",
        "DUCKDB_DEPENDENCIES",
        "DUCKDB_FUNCTIONS",
        "DUCKDB_INDEXES",
        "DUCKDB_KEYWORDS",
        "DUCKDB_LOGS",
        "DUCKDB_LOG_CONTEXTS",
        "DUCKDB_MEMORY",
        "DUCKDB_OPTIMIZERS",
        "DUCKDB_SCHEMAS",
        "DUCKDB_SECRETS",
        "DUCKDB_SEQUENCES",
        "DUCKDB_SETTINGS",
        "DUCKDB_TABLES",
        "DUCKDB_TYPES",
        "DUCKDB_VARIABLES",
        "DUCKDB_VIEWS",
        "ICU_CALENDAR_NAMES",
        "PG_TIMEZONE_NAMES",
        "PRAGMA_COLLATIONS",
        "PRAGMA_DATABASE_SIZE",
        "PRAGMA_PLATFORM",
        "PRAGMA_SHOW",
        "PRAGMA_TABLE_INFO",
        "PRAGMA_USER_AGENT",
        "PRAGMA_VERSION",
        "TEST_ALL_TYPES",
        "TEST_VECTOR_TYPES",
    )
)
"""Table functions over DuckDB's own catalogue. They are answered from the empty copy, which knows no file."""
_DESCRIBED: Final = "CHUNK_GET"
"""The operator of rows that the binder knows already: of DESCRIBE, and of SHOW, which shows settings, too."""
_NEVER: Final = frozenset(
    (
        "getenv",
        "json_execute_serialized_sql",
        "json_serialize_plan",
        "query",
        "query_table",
        "read_blob",
        "read_text",
        "write_log",
    )
)
"""Functions that run a text as a query, or reach outside of the tables."""
_NOT_WITH_TABLES: Final = frozenset(("current_setting",))
"""Functions that could say where the files of a table are."""

_QUERIES: Final = frozenset(("SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"))
"""Kinds of query that only read; in a ``WITH`` there may be others."""
_NAMED: Final = frozenset(("BASE_TABLE", "SHOW_REF"))


class RefusedError(Exception):
    """Why a query is not run. ``kind``: ``statement``, ``syntax``, ``query``, ``file``, ``memory``; ``got`` says what.

    The text quotes the query at most, never a value of a row.
    """

    def __init__(self, kind: str, got: str) -> None:
        super().__init__(kind, got)
        self.kind, self.got = kind, got


@dataclass(frozen=True)
class Reading:
    """What a query reads. ``tables``: those that its plan scans; ``schemas``: those that its text names, lower case."""

    tables: frozenset[tuple[str, str]]
    schemas: frozenset[str]


def parsed(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    """The parse tree of a query. Raises ``RefusedError`` where it is not one SELECT."""
    try:
        kinds = [statement.type.name for statement in connection.extract_statements(query)]
    except duckdb.ParserException as error:
        raise RefusedError("syntax", first_line(error)) from None
    except duckdb.Error as error:
        raise RefusedError("syntax", type(error).__name__) from None
    if kinds != ["SELECT"]:
        raise RefusedError("statement", ", ".join(kinds) or "nothing")
    try:
        [(serialised,)] = connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [query]).fetchall()
        tree = json.loads(serialised)
    except (duckdb.Error, RecursionError) as error:
        raise RefusedError("syntax", f"a query that is nested too deeply ({type(error).__name__})") from None
    if tree["error"]:
        raise RefusedError("syntax", str(tree["error_message"]).splitlines()[0])
    return tree


def schemas_named(tree: Any) -> frozenset[str]:
    """What qualifies the names of the tables in a parse tree (database, schema), lower case."""
    paths = (node.get("qualified_name", {}).get("path", []) for node in _nodes(tree) if node.get("type") in _NAMED)
    return frozenset(part.lower() for path in paths for part in path[:-1])


def check(copy: duckdb.DuckDBPyConnection, tree: Any, query: str) -> Reading:
    """What a parsed query reads, as bound on an empty copy. Raises ``RefusedError`` where it may not read that."""
    called = set(_functions(tree))
    queries = {node["type"] for node in _nodes(tree) if node["type"].endswith("_NODE")}
    if others := sorted(queries - _QUERIES):
        raise RefusedError("statement", others[0].removesuffix("_NODE").removesuffix("_QUERY"))
    if never := sorted(called & _NEVER):
        raise RefusedError("file", f"{never[0]}()")
    scanned, catalogue = set(), set()
    known = {f"memory.{schema}.{name}": (schema, name) for schema, name in _tables(copy)}
    for operator, table in _plan(copy, query):
        if operator == "SEQ_SCAN" and table in known:
            scanned.add(known[table])
        elif operator == _DESCRIBED:
            catalogue.add("SHOW or DESCRIBE")
        elif operator in _CATALOGUE:
            catalogue.add(f"{operator.lower()}()")
        elif operator not in _OPERATORS | _TABLE_FUNCTIONS:
            raise RefusedError("file", f"{operator.lower()}()")
    beside = sorted(catalogue) + sorted(f"{name}()" for name in called & _NOT_WITH_TABLES)
    if scanned and beside:
        raise RefusedError("query", f"{beside[0]} and a table of the lake in one query")
    return Reading(frozenset(scanned), schemas_named(tree))


def kept_of_refused(copy: duckdb.DuckDBPyConnection, query: str, kind: str) -> str:
    """What may be kept of a query that was refused: nothing of its text where a name in it may be a value."""
    return {"syntax": UNPARSED, "query": UNBOUND}.get(kind) or blanked(query, copy)


def first_line(error: duckdb.Error) -> str:
    """What may be said of an error: its first line where that cannot quote a value, else its kind."""
    return str(error).splitlines()[0] if isinstance(error, BEFORE_ANY_ROW) else type(error).__name__


def _plan(copy: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple[str, str]]:
    """Operator → the table that it scans, of the bound plan."""
    try:
        plans = dict(copy.execute("EXPLAIN (FORMAT json) " + query).fetchall())
    except (duckdb.PermissionException, duckdb.IOException) as error:
        raise RefusedError("file", type(error).__name__) from None
    except duckdb.OutOfMemoryException:
        raise RefusedError("memory", "OutOfMemoryException") from None
    except duckdb.Error as error:
        raise RefusedError("query", first_line(error)) from None
    below = list(json.loads(plans["logical_plan"]))
    while below:
        operator = below.pop()
        below += operator.get("children", [])
        table = operator.get("extra_info", {}).get("Table", "")
        yield operator["name"].strip(), table.replace('"', "")  # quoted where it is a keyword


def _tables(copy: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return copy.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()


def _functions(tree: Any) -> Iterator[str]:
    for node in _nodes(tree):
        if name := node.get("function_name"):
            yield name.lower()


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every node of a tree, without recursion: a query may be nested deeply."""
    below = [tree]
    while below:
        node = below.pop()
        if isinstance(node, dict):
            if isinstance(node.get("type"), str):  # of a constant it is a node itself
                yield node
            below += node.values()
        elif isinstance(node, list):
            below += node
