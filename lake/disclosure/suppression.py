"""Gold without small cells: what may leave the lake for dashboards, files and BI tools.

CMS cell-size suppression policy: no cell of 1 to 10 people is shown, nor anything that one follows from; 0 may be.
``lake.disclosure.cells`` hides the cells; here stands which figures are cells and which sums tie them together across
tables. Figures derived from a hidden cell (rates, averages, medians, days) are hidden with it. docs/privacy.md says the
same to people.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from lake.disclosure import census
from lake.disclosure.cells import Cells, Level
from lake.gold.totals import GRAINS, KEYS, PLACE, SCOPES, of, totals

MARK: Final = "suppressed"
"""The text column that names the hidden figures of a row; null where none is hidden."""

NOT_OF_PEOPLE: Final = ("compliance", "compliance_fields", "compliance_rules")
"""They count messages and checks, not people: shown in full."""

DEATH: Final = "expired"
NO_INDEX: Final = (DEATH, "ama", "transfer")
"""Dispositions that keep a discharge out of the readmission rate."""

DERIVED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "diagnoses": {"alos_days": ("discharges",)},
    "treatments": {"alos_days": ("discharges",)},
    "occupancy": {"occupancy_rate": ("occupied_midnight",)},
    "length_of_stay": dict.fromkeys(("bed_days", "alos_days", "median_los_days"), ("discharges",)),
    "readmissions": {"readmission_rate_30d": ("readmissions_30d", "index_discharges_30d")},
    "doctors": {
        "alos_days": ("discharges",),
        "readmission_rate_30d": ("readmissions_30d", "index_discharges_30d"),
        "mortality_rate": ("deaths", "discharges"),
    },
}
"""Table → figure → the cells that it is made from."""

FOLLOWED: Final = ("index_discharges_30d", "readmissions_30d")
FLOWS: Final = ("admissions", "discharges")
SEVERITIES: Final = ("minor", "moderate", "major", "extreme")

# What is dear is hidden last. Most of a small hospital's units are small anyway.
_RANKS: Final = {PLACE: 1, ("department",): 2, ("facility",): 3, (): 4}
_PART: Final = 1
_CODE: Final = 2

Scope = tuple[str, ...]
Scopes = dict[Scope, Level]
"""The cells of one figure by what of facility and department is named."""

Figures = dict[str, list[Level]]
"""Column → the cells that it shows, keyed as the rows of its table are."""


def suppress(gold: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Hide small cells in Gold and its totals, all of them together: they share sums.

    ``gold``: name (without ``gold/``) → rows of the Gold tables of people of one build. Returns the tables of
    ``lake.gold.totals``; a hidden figure is null there, and ``suppressed`` names the hidden figures of the row.
    """
    tables = totals(gold)
    cells = Cells()
    figures = _figures(cells, tables)
    hidden = cells.hidden()
    return {name: _shown(name, _marked(rows, KEYS[name], figures[name], hidden)) for name, rows in tables.items()}


# Which cells there are, and which sums tie them together.


def _figures(cells: Cells, tables: Mapping[str, pl.DataFrame]) -> dict[str, Figures]:
    flows = {figure: _flow(cells, tables["admissions"], figure) for figure in FLOWS}
    beds = _lattice(cells, tables["occupancy"], ("day",), "occupied_midnight")
    for scope in ((), ("facility",)):
        census.tie(cells, beds[scope], *(flows[figure]["day"][scope] for figure in FLOWS))
    arrivals = _arrivals(cells, tables["arrivals"], flows["admissions"])
    codes = _diagnoses(cells, tables, flows["admissions"]["month"][()])
    left = flows["discharges"]["month"]
    index, again = _readmissions(cells, tables["readmissions"], left)
    outcomes = _outcomes(cells, tables["outcomes"], left, index)
    died = pl.col("disposition") == DEATH
    dead = {scope: Level(("month", *scope), level.cells.filter(died)) for scope, level in outcomes.items()}
    counts = dict(zip(("discharges", *FOLLOWED, "deaths"), (left, index, again, dead), strict=True))
    doctors = _doctors(cells, tables["doctors"], {name: scopes[("department",)] for name, scopes in counts.items()})
    for figure in ("discharges", "deaths"):
        ever = cells.total((), counts[figure][()])
        cells.split(ever, *codes["diagnoses"][figure])
    return {
        "admissions": {figure: _grains(flow) for figure, flow in flows.items()},
        "occupancy": {"occupied_midnight": [*beds.values()]},
        "length_of_stay": {"discharges": [*left.values()]},
        "readmissions": dict(zip(FOLLOWED, ([*index.values()], [*again.values()]), strict=True)),
        "outcomes": {"discharges": [*outcomes.values()]},
        "arrivals": {"admissions": arrivals},
        "doctors": doctors,
        **codes,
    }


def _lattice(cells: Cells, table: pl.DataFrame, keys: tuple[str, ...], figure: str, *more: str) -> Scopes:
    """A figure's cells by scope: all is the sum of facilities and of departments, and these are sums of units."""
    columns = (*keys, *more, *PLACE)
    scopes = {
        scope: Level((*keys, *scope), cells.level(of(table, scope), columns, figure, _RANKS[scope]).cells)
        for scope in SCOPES
    }
    _tie(cells, scopes)
    return scopes


def _tie(cells: Cells, scopes: Scopes) -> None:
    units, departments, facilities, all_ = (scopes[scope] for scope in SCOPES)
    for whole, parts in ((departments, units), (facilities, units), (all_, departments), (all_, facilities)):
        cells.sum(whole, parts)


def _totals(cells: Cells, scopes: Scopes, *keys: str) -> Scopes:
    """Sums of each scope's cells by ``keys``, which no table shows."""
    made = {scope: cells.total((*keys, *scope), level, rank=_RANKS[scope]) for scope, level in scopes.items()}
    _tie(cells, made)
    return made


def _flow(cells: Cells, table: pl.DataFrame, figure: str) -> dict[str, Scopes]:
    """Days sum to weeks and to months; a week is cut where a month ends."""
    start = pl.col("start")
    dated = table.with_columns(
        week=start.dt.truncate("1w"), month=start.dt.truncate("1mo"), weekday=start.dt.weekday().cast(pl.Int32)
    )
    days, weeks, months = (dated.filter(grain=grain) for grain in GRAINS)
    day = _lattice(cells, days, ("start",), figure, "week", "month", "weekday")
    week, month = (_lattice(cells, rows, (key,), figure) for key, rows in (("week", weeks), ("month", months)))
    for scope, part in _totals(cells, day, "week", "month").items():
        cells.sum(week[scope], part)
        cells.sum(month[scope], part)
    return {"day": day, "week": week, "month": month}


def _grains(flow: Mapping[str, Scopes]) -> list[Level]:
    """The cells of each grain, keyed as rows of ``admissions`` are."""
    starts = {"day": "start"}
    return [
        level.named(pl.col(starts.get(grain, grain)).alias("start"), pl.lit(grain).alias("grain"))
        for grain, scopes in flow.items()
        for level in scopes.values()
    ]


def _arrivals(cells: Cells, table: pl.DataFrame, admitted: Mapping[str, Scopes]) -> list[Level]:
    """A month's admissions by weekday, which are those of its days, and by hour."""
    keys, levels = ("month", "weekday", "hour"), []
    for scope, rank in ((("facility",), _PART), ((), _CODE)):
        hours = cells.level(of(table, scope, ("facility",)), (*keys, "facility"), "admissions", rank)
        weekdays = cells.total(("month", "weekday", *scope), admitted["day"][scope], rank=rank + 1)
        cells.sum(admitted["month"][scope], weekdays)
        cells.sum(weekdays, hours)
        levels.append(Level((*keys, *scope), hours.cells))
    cells.sum(levels[1], levels[0])
    return levels


def _diagnoses(cells: Cells, tables: Mapping[str, pl.DataFrame], admitted: Level) -> dict[str, Figures]:
    """A month's admissions by diagnosis; a diagnosis by severity, by treatment and by how it ended.

    How all diagnoses together ended is not shown: length of stay and outcomes tell it by month of discharge, and what
    is between the two, often a few people, would have to hide whole months of admissions.
    """
    code = ("month", "diagnosis_code")
    together = ("admissions", *SEVERITIES)
    counts = (*together, "discharges", "deaths")
    every = of(tables["diagnoses"], (), ("diagnosis_code",))
    one = of(tables["diagnoses"], ("diagnosis_code",), ("diagnosis_code",))
    whole = {figure: Level(("month",), cells.level(every, code, figure, _RANKS[()]).cells) for figure in together}
    coded = {figure: cells.level(one, code, figure, _CODE) for figure in counts}
    treated = {
        figure: cells.level(tables["treatments"], (*code, "treatment"), figure, _PART)
        for figure in ("visits", "discharges", "deaths")
    }
    cells.split(admitted, whole["admissions"])
    for by in (whole, coded):
        cells.split(by["admissions"], *(by[severity] for severity in SEVERITIES))
    _ended(cells, coded["admissions"], coded["discharges"], coded["deaths"])
    _ended(cells, *treated.values())
    for figure in together:
        cells.sum(whole[figure], coded[figure])
    for figure, part in zip(("admissions", "discharges", "deaths"), treated.values(), strict=True):
        cells.split(coded[figure], part)
    return {
        "diagnoses": {figure: [level[figure] for level in (whole, coded) if figure in level] for figure in counts},
        "treatments": {figure: [level] for figure, level in treated.items()},
    }


def _ended(cells: Cells, admitted: Level, discharged: Level, dead: Level) -> None:
    cells.split(admitted, discharged)
    cells.split(discharged, dead)


def _readmissions(cells: Cells, table: pl.DataFrame, left: Scopes) -> tuple[Scopes, Scopes]:
    index, again = (_lattice(cells, table, ("month",), figure) for figure in FOLLOWED)
    for scope, level in index.items():
        cells.split(left[scope], level)
        cells.split(level, again[scope])
    return index, again


def _outcomes(cells: Cells, table: pl.DataFrame, left: Scopes, index: Scopes) -> Scopes:
    """A month's discharges by how they ended; index discharges are among those of some dispositions only."""
    outcomes = _lattice(cells, table, ("month", "disposition"), "discharges")
    no_index = pl.col("disposition").is_in(NO_INDEX)
    for scope, level in outcomes.items():
        out = cells.total(("month", *scope), level.where(no_index), rank=_RANKS[scope])
        eligible = cells.split(left[scope], out)
        cells.split(eligible, level.where(~no_index))
        cells.split(eligible, index[scope])
    return outcomes


def _doctors(cells: Cells, table: pl.DataFrame, departments: Mapping[str, Level]) -> Figures:
    """A department's discharges, those of them that are followed, and deaths, by doctor."""
    keys = ("month", "department", "doctor_id")
    doctors = {figure: cells.level(table, keys, figure, _PART) for figure in departments}
    cells.split(doctors["discharges"], doctors["deaths"], doctors[FOLLOWED[0]])
    cells.split(doctors[FOLLOWED[0]], doctors[FOLLOWED[1]])
    for figure, level in departments.items():
        cells.split(level, doctors[figure])
    return {figure: [level] for figure, level in doctors.items()}


# From cells back to tables.


def _flag(figure: str) -> str:
    return f"{figure}?"


def _marked(rows: pl.DataFrame, keys: tuple[str, ...], figures: Figures, hidden: pl.Series) -> pl.DataFrame:
    """``rows`` with a flag per figure: whether its cell is hidden."""
    for figure, levels in figures.items():
        cells = pl.concat([level.cells.select(*keys, "cell") for level in levels])
        flags = cells.select(*keys, hidden.gather(cells["cell"]).alias(_flag(figure)))
        rows = rows.join(flags, on=keys, how="left", maintain_order="left").with_columns(
            pl.col(_flag(figure)).fill_null(value=True)  # a figure that no cell stands for is not shown
        )
    return rows


def _shown(name: str, marked: pl.DataFrame) -> pl.DataFrame:
    """Take out what is flagged, and what is derived from it."""
    derived = {
        _flag(figure): pl.any_horizontal(_flag(base) for base in bases)
        for figure, bases in DERIVED.get(name, {}).items()
    }
    marked = marked.with_columns(**derived)
    figures = [column for column in marked.columns if _flag(column) in marked.columns]
    flags = (pl.col(_flag(figure)) & pl.col(figure).is_not_null() for figure in figures)
    named = pl.concat_list(
        pl.when(flag).then(pl.lit(figure)) for figure, flag in zip(figures, flags, strict=True)
    ).list.drop_nulls()
    return marked.with_columns(
        *(pl.when(~pl.col(_flag(figure))).then(figure).alias(figure) for figure in figures),
        pl.when(named.list.len() > 0).then(named.list.join(", ")).alias(MARK),
    ).drop(*map(_flag, figures))
