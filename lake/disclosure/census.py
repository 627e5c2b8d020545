"""The midnight census, as a sum that ties other figures together.

The patients of a facility, or of all of them, at midnight are those of the midnight before, plus admissions, less
discharges and the few who leave the count in another way (stale visits). Of a department that is not so: transfers,
which are not shown, come and go.
"""

import polars as pl

from lake.disclosure.cells import REST, Cells, Level


def tie(cells: Cells, beds: Level, admitted: Level, left: Level) -> None:
    """Say of each day: beds before + admitted = beds + left + a rest.

    Keys: ``day`` of beds, ``start`` of the others.
    """
    place = beds.keys[1:]
    today = Level(("day", *place), beds.cells)
    before = today.named(pl.col("day").dt.offset_by("1d")).where(pl.col("day").is_in(beds.cells["day"].implode()))
    flows = [flow.named(pl.col("start").alias("day")) for flow in (admitted, left)]
    # Who was there at some time of the day: two ways to count them.
    there = cells.total(("day", *place), before, flows[0], rank=REST)
    cells.split(there, today, flows[1])
