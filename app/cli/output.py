"""What the commands print: data on stdout, progress on stderr."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lake.contracts.event import OUTCOMES

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
        flat = rows.with_columns(_nested_as_json(rows))
        # Not straight to stdout: Polars makes an error of its own of a reader that leaves early.
        sys.stdout.write(flat.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.6f%:z"))
    else:
        out.print(table_of(rows.columns, rows.iter_rows(), grouped=False))


def table_of(columns: Iterable[str], rows: Iterable[Iterable[object]], *, grouped: bool = True) -> Table:
    """A rich table; null shows as an empty cell. ``grouped``: whole numbers with thousands separators."""
    table = Table(*columns)
    for row in rows:
        # Text, not str: what stands in square brackets is data, not markup.
        table.add_row(*(Text("" if value is None else _shown(value, grouped=grouped)) for value in row))
    return table


def conservation(counts: Mapping[str, int]) -> str:
    """The conservation law with its figures, on one line."""
    return f"{counts['messages']:,} messages = " + " + ".join(f"{counts[name]:,} {name}" for name in OUTCOMES)


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Progress]:
    """A progress bar on stderr with one task; silent where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        bar.add_task(label, total=total)
        yield bar


def _shown(value: object, *, grouped: bool) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | dict):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    return f"{value:,}" if grouped and isinstance(value, int) and not isinstance(value, bool) else str(value)


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
    if isinstance(value, Decimal):  # sum() of whole numbers is one
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
