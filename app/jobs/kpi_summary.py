"""The KPIs of a whole lake for people to read, small cells hidden."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lake.disclosure.cells import SMALL
from lake.query import lake_sql

HIDDEN: Final = f"hidden: 1 to {SMALL} people"


def kpis(lake: Path) -> list[tuple[str, str]]:
    """KPI → its figure as text, from published Gold. What follows from 1 to 10 people is not shown.

    Raises ``UsageError`` where there is no Gold.
    """
    rows = lake_sql.named(lake, "kpis").iter_rows()
    return [(name, _shown(figure, unit, people)) for name, figure, unit, people in rows]


def _shown(figure: float | None, unit: str, people: Sequence[int | None]) -> str:
    if any(count is not None and 1 <= count <= SMALL for count in people):
        return HIDDEN
    if figure is None:
        return "unknown"
    if unit == "rate":
        return f"{figure:.1%}"
    return f"{figure:,.2f} days" if unit == "days" else f"{figure:,.0f}"
