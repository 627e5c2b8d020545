"""What the commands print: data on stdout, progress on stderr."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

# Through a pipe there is no width to go by: wide enough that no figure is cut.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, highlight=False)


def print_json(value: object) -> None:
    """One JSON document on stdout; times in ISO 8601."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")


def print_rows(rows: pl.DataFrame, form: str) -> None:
    """A frame as a table, CSV or a JSON array of objects."""
    if form == "json":
        print_json(rows.to_dicts())
    elif form == "csv":
        rows.with_columns(_nested_as_json(rows)).write_csv(sys.stdout, datetime_format="%Y-%m-%dT%H:%M:%S%.6f%:z")
    else:
        out.print(table_of(rows.columns, rows.iter_rows()))


def table_of(columns: Iterable[str], rows: Iterable[Iterable[object]], title: str | None = None) -> Table:
    """A rich table; null shows as an empty cell."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*("" if value is None else _shown(value) for value in row))
    return table


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Progress]:
    """A progress bar on stderr with one task; silent where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        bar.add_task(label, total=total)
        yield bar


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | dict):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _nested_as_json(rows: pl.DataFrame) -> list[pl.Series]:
    """CSV has no lists: they are written as JSON text."""
    return [
        pl.Series(
            name,
            [None if v is None else json.dumps(v, default=_plain) for v in rows[name].to_list()],
            pl.String,
        )
        for name, dtype in rows.schema.items()
        if dtype.is_nested()
    ]


def _plain(value: Any) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
