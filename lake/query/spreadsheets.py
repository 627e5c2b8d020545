"""CSV for people: what a spreadsheet would take for a formula stays text.

Text in the tables comes from messages, so from whoever can send one. A spreadsheet runs a cell that begins with one of
``= + - @``; with an apostrophe before it, it shows it.
"""

from typing import Final

import polars as pl
import polars.selectors as cs

_FORMULA: Final = r"^\s*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|^[\t\r\n]"  # full-width signs too: some take them


def inert(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose text no spreadsheet runs. Numbers, times and all other text are as they were."""
    text = cs.string() | cs.categorical() | cs.enum()
    if not cs.expand_selector(rows, text):
        return rows
    column = text.cast(pl.String)
    risky = column.str.contains(_FORMULA)
    return rows.with_columns(pl.when(risky).then(pl.lit("'") + column).otherwise(column).name.keep())
