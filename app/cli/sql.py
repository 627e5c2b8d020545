"""``wardlake sql``: a query over the lake."""

from enum import StrEnum
from typing import Annotated

import typer

from app.cli.options import DataOption, LakeOption
from lake.errors import QueryInterruptedError
from lake.query.adhoc import process


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def sql(
    text: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT over silver.*, gold.* and ops.*.")],
    format: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.table,  # noqa: A002
    timeout: Annotated[float, typer.Option(min=0.1, max=86_400, help="Seconds that the query may take.")] = 60.0,
    data: DataOption = None,
    lake: LakeOption = None,
) -> None:
    """Run read-only SQL (DuckDB) over the lake: Gold as last published, the rest as it is now.

    FROM gold.dictionary says what each column means. What reads a table of silver.* leaves a row in ops.audit. Ctrl-C
    ends the query.
    """
    worker = process.start()
    try:
        # Imported here: that takes as long as the worker takes to start.
        from app import settings as configuration
        from app.cli.output import print_rows
        from lake.query.adhoc.run import run
        from lake.storage import store

        settings = configuration.load(data=data, lake=lake)
        store.open_lake(settings.lake)
        rows = run(settings.lake, text, seconds=timeout, worker=worker)
    except KeyboardInterrupt:
        raise QueryInterruptedError from None
    finally:
        process.end(worker)
    print_rows(rows, format.value)
