"""The text of a query without what somebody typed into it, for ``ops/audit``.

The redaction works on DuckDB's own parse tree, not on the text: every constant of it is blanked, whatever its type,
and the tree is written back as SQL. Comments are not in the tree. Nothing is kept of a text that DuckDB cannot parse,
because nobody can say what in it is a value.
"""

import json
import re
from typing import Any, Final

import duckdb

UNPARSED: Final = "a query that does not parse"
"""What is kept of a text that is not SQL."""
UNBOUND: Final = "a query that DuckDB cannot bind to the tables"
"""What is kept of one that names something that is not there: it may be a value that was not quoted."""
OTHER: Final = "a statement that is not a single SELECT"
HIDDEN: Final = "a query whose text cannot be kept"
"""What is kept of a query that DuckDB runs, but does not write back as SQL."""

_LONGEST: Final = 10_000
_DIGITS_KEPT: Final = 4
_BLANK: Final = "…"
_NAME: Final = re.compile(r"\w*")
_OPERATOR: Final = re.compile(r"[-+*/%<>=~!@#^&|]{1,4}(?:__postfix)?")
_IN_QUOTES: Final = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"|(\d[\d_.]*)")


def blanked(text: str, connection: duckdb.DuckDBPyConnection | None = None) -> str:
    """One line of SQL that says what a query does and holds no value of it; at most 10,000 characters.

    Constants become ``'…'``. A name becomes ``"…"`` if it holds anything but letters, digits and underscores, or more
    than 4 digits. Of a text that is not a single SELECT, only that is kept. ``connection`` parses it (a new one if
    None).
    """
    if connection is None:
        with duckdb.connect(":memory:", config={"autoload_known_extensions": "false"}) as parser:
            return blanked(text, parser)
    try:
        [(serialised,)] = connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [text]).fetchall()
        tree = json.loads(serialised)
        if tree["error"]:
            return UNPARSED if tree["error_type"] == "parser" else OTHER
        if len(tree["statements"]) != 1:
            return OTHER
        written = json.dumps(_blanked(tree))
        [(kept,)] = connection.execute("SELECT json_deserialize_sql($1::JSON)", [written]).fetchall()
    except (duckdb.Error, RecursionError, ValueError):
        return HIDDEN
    line = " ".join(str(kept).replace("count_star()", "count(*)").split())
    return line[:_LONGEST] if _holds_no_value(line) else HIDDEN


def _blanked(node: Any) -> Any:
    """The tree without constants, and without names that may hold one."""
    if isinstance(node, list):
        return [_blanked(one) for one in node]
    if isinstance(node, str):
        return node if _may_stand(node) else _BLANK
    if not isinstance(node, dict):
        return node if isinstance(node, bool | None) or len(str(node)) <= _DIGITS_KEPT else 0
    if "literal" in node:  # a constant as it was typed
        return node | {"literal": {"kind": "STRING", "text": _BLANK}, "alias": _blanked(node.get("alias", ""))}
    if "is_null" in node:  # a constant that the parser has worked out: the size of a sample
        value = node.get("value")
        return node | {"value": type(value)(0) if isinstance(value, int | float) else _BLANK}
    # Where a token was is of no use in another text; a position may be any number.
    return {key: 0 if key.startswith("query_location") else _blanked(value) for key, value in node.items()}


def _may_stand(name: str) -> bool:
    plain = _NAME.fullmatch(name) is not None and sum(map(str.isdigit, name)) <= _DIGITS_KEPT
    return plain or _OPERATOR.fullmatch(name) is not None


def _holds_no_value(line: str) -> bool:
    """Whether SQL that was written back has no string but blanks, and no long number: should DuckDB change its tree."""
    return all(
        _may_stand(name.replace(_BLANK, "")) and text in ("", _BLANK) and sum(map(str.isdigit, number)) <= _DIGITS_KEPT
        for text, name, number in _IN_QUOTES.findall(line)
    )
