"""An empty copy of the tables: the same names and columns, and no row, no file and no path."""

from collections.abc import Iterable, Mapping
from typing import Final

import duckdb
import polars as pl

from lake.query import views
from lake.query.views import Table

CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "allow_persistent_secrets": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "secret_directory": "none",  # by default a path in the home of the user
    "temp_directory": "",  # nothing is spilled to disk
}
DICTIONARY: Final = Table(
    "gold",
    "dictionary",
    dict.fromkeys(("schema_name", "table_name", "column_name", "data_type", "meaning"), "VARCHAR"),
)
"""The table that says what each column means."""

_BY_MEANING: Final = """
SELECT schema_name, table_name, column_name, data_type, meaning
FROM duckdb_columns() LEFT JOIN meanings USING (schema_name, table_name, column_name)
WHERE NOT internal AND schema_name <> 'main'
ORDER BY list_position(['gold', 'silver', 'ops'], schema_name), table_name, column_index"""


def empty_copy(tables: Iterable[Table], defined: Mapping[str, str]) -> duckdb.DuckDBPyConnection:
    """A connection with these tables, all empty, and the views of Gold: ``defined`` has name → SELECT. Close it."""
    connection = duckdb.connect(":memory:", config=CONFIG)
    schemas = dict.fromkeys(("gold", *(table.schema for table in tables)))
    connection.execute("".join(f"CREATE SCHEMA {views.identifier(schema)};" for schema in schemas))
    for table in tables:
        connection.execute(views.empty_table(table.full_name, table.columns))
    add_views(connection, defined)
    connection.execute("SET explain_output = 'all'")  # the plan before it is optimised, too
    connection.execute("PRAGMA disable_optimizer")  # it would work out constant expressions, however long that takes
    return connection


def add_views(connection: duckdb.DuckDBPyConnection, defined: Mapping[str, str]) -> None:
    """Make the views whose tables are there."""
    for name, select in defined.items():
        try:
            connection.execute(f"CREATE VIEW gold.{views.identifier(name)} AS {select}")
        except duckdb.CatalogException:
            continue


def fill_dictionary(connection: duckdb.DuckDBPyConnection, meanings: pl.DataFrame) -> pl.DataFrame:
    """Put every column there is into ``gold.dictionary``, with its meaning where ``meanings`` has one; its rows."""
    connection.register("meanings", meanings.to_arrow())
    rows: pl.DataFrame = connection.sql(_BY_MEANING).pl()
    connection.unregister("meanings")
    connection.execute("DELETE FROM gold.dictionary")
    connection.from_arrow(rows.to_arrow()).insert_into("gold.dictionary")
    return rows


def lock(connection: duckdb.DuckDBPyConnection, files: Iterable[str] = ()) -> None:
    """From now on the connection opens these files and no others, and its settings stay as they are."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET allowed_paths = ?", [list(files)])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
