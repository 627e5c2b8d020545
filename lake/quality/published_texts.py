"""The texts that leave the lake: those of Gold's DuckDB files and of the last export, each once."""

from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from lake.disclosure import public_gold
from lake.disclosure.export import LATEST
from lake.gold import duckdb_file

_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+(?:Z|[+-][0-9:]+)?)?$"
"""A day or a time as CSV has it."""


def published_texts(root: Path, export: Path | None) -> dict[str, pl.Series]:
    """Name of a file or folder → the distinct texts in it (String); one that is not there is left out."""
    found = {link: _in_duckdb(root / link) for link in (duckdb_file.LINK, public_gold.LINK) if (root / link).exists()}
    if export is not None and (export / LATEST).exists():
        found["export"] = _in_folder(export / LATEST)
    return found


def _in_duckdb(link: Path) -> pl.Series:
    with duckdb.connect(str(link.resolve()), read_only=True) as connection:
        columns = connection.sql(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE data_type = 'VARCHAR' "
            "AND NOT internal AND table_name <> 'dictionary'"
        ).fetchall()
        parts = [
            connection.sql(f'SELECT DISTINCT "{column}" AS text FROM "{schema}"."{table}"').pl()  # noqa: S608 - its own names
            for schema, table, column in columns
        ]
    return _distinct([part["text"].cast(pl.String) for part in parts])


def _in_folder(folder: Path) -> pl.Series:
    """Texts of Parquet files, and of the columns of CSV files that hold neither figures nor times."""
    parts = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".parquet":
            rows = pl.read_parquet(path)
        elif path.suffix == ".csv":
            rows = pl.read_csv(path, infer_schema_length=None, try_parse_dates=True)
        else:
            continue
        parts += [rows[name] for name, dtype in rows.schema.items() if dtype == pl.String]
    texts = _distinct(parts)
    return texts.filter(~texts.str.contains(_TIME))


def _distinct(parts: list[pl.Series]) -> pl.Series:
    texts = [part.rename("text") for part in parts]
    return pl.concat(texts).drop_nulls().unique() if texts else pl.Series("text", dtype=pl.String)
