"""Tables of the lake as SQL for DuckDB: a view on a snapshot's files, or an empty table of the same columns.

No extension is loaded and none is needed: the snapshot's own file list goes to ``read_parquet``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from deltalake import DeltaTable

_TYPES: Final = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "integer": "INTEGER",
    "short": "SMALLINT",
    "byte": "TINYINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ntz": "TIMESTAMP",
}


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text constant."""
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True)
class Table:
    """A table: its columns and their types in DuckDB, its partition columns, and the files of its snapshot."""

    schema: str
    name: str
    columns: Mapping[str, str]
    partitions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Schema and name, quoted."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"


def columns_of(table: "DeltaTable") -> dict[str, str]:
    """Column → its type in DuckDB. Raises ``KeyError`` for a type that Delta has and DuckDB has not."""
    return {field["name"]: _type(field["type"]) for field in json.loads(table.schema().to_json())["fields"]}


def empty_table(name: str, columns: Mapping[str, str]) -> str:
    """A statement that makes a table without rows. ``name`` is quoted already."""
    return f"CREATE TABLE {name} ({', '.join(f'{identifier(column)} {kind}' for column, kind in columns.items())})"


def view(name: str, columns: Mapping[str, str], partitions: Sequence[str], files: Sequence[str]) -> str:
    """A statement that makes a view on a snapshot's files; an empty table where there are none."""
    if not files:  # read_parquet refuses an empty list
        return empty_table(name, columns)
    hive = ", ".join(f"{text(column)}: DATE" for column in partitions)
    options = f", hive_partitioning=true, hive_types={{{hive}}}" if partitions else ""
    selected, listed = ", ".join(map(identifier, columns)), ", ".join(map(text, files))
    source = f"read_parquet([{listed}], union_by_name=true{options})"
    return f"CREATE VIEW {name} AS SELECT {selected} FROM {source}"  # noqa: S608 (quoted above)


def _type(of: Any) -> str:
    """Delta's type, in DuckDB's words."""
    if isinstance(of, str):
        return of.upper() if of.startswith("decimal(") else _TYPES[of]
    if of["type"] == "array":
        return f"{_type(of['elementType'])}[]"
    if of["type"] == "map":
        return f"MAP({_type(of['keyType'])}, {_type(of['valueType'])})"
    fields = ", ".join(f"{identifier(field['name'])} {_type(field['type'])}" for field in of["fields"])
    return f"STRUCT({fields})"
