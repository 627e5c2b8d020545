"""The KPIs of a whole lake for people to read: exact, or rounded for the public."""

from pathlib import Path
from typing import Final

import polars as pl

from lake.disclosure import rounding
from lake.disclosure.audience import Audience
from lake.query import lake_sql

HIDDEN: Final = "hidden: 1–10 people"  # noqa: RUF001 (a range)


def kpis(lake: Path, audience: Audience) -> list[tuple[str, str]]:
    """KPI → its figure as text, from published Gold. Raises ``UsageError`` where there is no Gold."""
    exact = lake_sql.named(lake, "kpis")
    shown = exact if audience is Audience.INTERNAL else exact.with_columns(_public("part"), _public("whole"))
    figures = (
        frame.select(pl.when(pl.col("whole") > 0).then(pl.col("part") / pl.col("whole"))) for frame in (exact, shown)
    )
    both = zip(exact["kpi"], exact["unit"], *(frame.to_series() for frame in figures), strict=True)
    return [
        (kpi, HIDDEN if true is not None and figure is None else _text(figure, unit))
        for kpi, unit, true, figure in both
    ]


def _public(column: str) -> pl.Expr:
    kind, exact = pl.col(f"{column}_is"), pl.col(column)
    rounded = pl.when(kind == "people").then(rounding.count(exact)).when(kind == "amount").then(rounding.amount(exact))
    return rounded.otherwise(exact).alias(column)


def _text(figure: float | None, unit: str) -> str:
    if figure is None:
        return "unknown"
    if unit == "rate":
        return f"{figure:.1%}"
    return f"{figure:,.2f} days" if unit == "days" else f"{figure:,.0f}"
