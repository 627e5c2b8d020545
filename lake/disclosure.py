"""Gold without small cells: what may leave the lake for dashboards, files and BI tools.

CMS cell-size suppression policy: no cell of 1 to 10 people is shown, nor anything that one follows from; 0 may be.
``lake.cells`` hides the cells; here stands which figures are cells, which sums tie them together across tables, and
which figures are left out because a sum through them could not be closed. Figures derived from a hidden cell (rates,
averages, medians, days) are hidden with it. docs/privacy.md says the same to people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from lake import census
from lake.cells import Cells, Level

UNIT: Final = ("facility", "department")
MARK: Final = "suppressed"
"""The text column that names the hidden figures of a row; null where none is hidden."""

DEATH: Final = "expired"
NO_INDEX: Final = (DEATH, "ama", "transfer")
"""Dispositions that keep a discharge out of the readmission rate."""

LEFT_OUT: Final = {
    "admissions": ("transfers_in", "index_discharges_30d", "readmissions_30d"),
    "admissions_weekly": ("transfers_in", "index_discharges_30d", "readmissions_30d"),
    "admissions_monthly": ("transfers_in",),
    "arrivals": ("weekday", "department"),
}
"""Columns that are not shown: sums through them cross the other tables' (docs/privacy.md says how)."""

DERIVED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "diagnoses": {"alos_days": ("discharges",)},
    "treatments": {"alos_days": ("discharges",)},
    "occupancy": {"occupancy_rate": ("occupied_midnight",)},
    "length_of_stay": dict.fromkeys(("bed_days", "alos_days", "median_los_days"), ("discharges",)),
    "doctors": {
        "alos_days": ("discharges",),
        "readmission_rate_30d": ("readmissions_30d", "index_discharges_30d"),
        "mortality_rate": ("deaths", "discharges"),
    },
}
"""Table → figure → the cells that it is made from."""

FOLLOWED: Final = ("index_discharges_30d", "readmissions_30d")
SEVERITIES: Final = ("minor", "moderate", "major", "extreme")
NOT_OF_PEOPLE: Final = ("compliance", "compliance_fields", "compliance_rules")
"""They count messages and checks, not people: shown in full."""

Figures = dict[str, Level]
"""Column → the cells that it shows."""


@dataclass(frozen=True)
class Suppressed:
    """A table as it may be shown, and how many of its figures (cells and what is derived from them) are hidden."""

    rows: pl.DataFrame
    hidden: int


def suppress(gold: Mapping[str, pl.DataFrame]) -> dict[str, Suppressed]:
    """Hide small cells in the Gold tables and views, all of them together: they share sums.

    ``gold``: name (without ``gold/``) → rows, as ``lake.gold.tables`` has them; all KPI tables and views of one build
    are needed. A hidden figure is null, and ``suppressed`` names the hidden figures of the row.
    """
    cells = Cells()
    figures = _flows(cells, gold)
    figures |= _diagnoses(cells, gold, figures)
    figures |= _discharges(cells, gold, figures)
    _open_the_census(cells, gold, figures)
    hidden = cells.hidden()
    tables = {name: gold[name] for name in figures if name in gold} | {"arrivals": by_hour(gold["arrivals"])}
    marked = {name: _marked(rows, figures[name], hidden) for name, rows in tables.items()}
    moved = [_of(level, hidden).filter("hidden")["facility"] for level in figures["admissions"].values()]
    marked["occupancy"] = gold["occupancy"].with_columns(
        census.hide(gold["occupancy"], pl.concat(moved).unique()).alias(_flag("occupied_midnight"))
    )
    shown = {name: _shown(name, rows) for name, rows in marked.items()}
    return shown | {name: Suppressed(gold[name], 0) for name in NOT_OF_PEOPLE if name in gold}


def by_hour(arrivals: pl.DataFrame) -> pl.DataFrame:
    """``gold/arrivals`` by month, hour and facility: month, hour, facility, admissions."""
    keys = ["month", "hour", "facility"]
    return arrivals.group_by(keys).agg(pl.col("admissions").sum()).sort(keys)


# Which cells there are, and which sums tie them together.


def _flows(cells: Cells, gold: Mapping[str, pl.DataFrame]) -> dict[str, Figures]:
    """Days sum to weeks (cut at the month's end) and those to months: no sum crosses another."""
    days = gold["admissions"].with_columns(week=pl.col("day").dt.truncate("1w"))
    flows: dict[str, Figures] = {"admissions": {}, "admissions_weekly": {}, "admissions_monthly": {}}
    for figure in ("admissions", "discharges"):
        day = flows["admissions"][figure] = cells.level(days, ["day", "week", "month", *UNIT], figure)
        week = flows["admissions_weekly"][figure] = cells.total(day, ["week", "month", *UNIT])
        flows["admissions_monthly"][figure] = cells.total(week, ["month", *UNIT])
    return flows


def _diagnoses(cells: Cells, gold: Mapping[str, pl.DataFrame], flows: Mapping[str, Figures]) -> dict[str, Figures]:
    """A month's admissions by hour and by diagnosis; a diagnosis by severity, by treatment and by how it ended."""
    code, treatment = ["month", "diagnosis_code"], ["month", "diagnosis_code", "treatment"]
    facility = cells.total(flows["admissions_monthly"]["admissions"], ["month", "facility"])
    arrivals = cells.level(by_hour(gold["arrivals"]), ["month", "hour", "facility"], "admissions")
    cells.split(facility, arrivals)
    counts = ("admissions", *SEVERITIES, "discharges", "deaths")
    by_code = {figure: cells.level(gold["diagnoses"], code, figure) for figure in counts}
    by_treatment = {
        figure: cells.level(gold["treatments"], treatment, figure) for figure in ("visits", "discharges", "deaths")
    }
    cells.split(cells.total(facility, ["month"]), by_code["admissions"])
    cells.split(by_code["admissions"], *(by_code[severity] for severity in SEVERITIES))
    for whole, part in (("admissions", "discharges"), ("discharges", "deaths")):
        cells.split(by_code[whole], by_code[part])
        cells.split(by_treatment["visits" if whole == "admissions" else whole], by_treatment[part])
    for whole, part in (("admissions", "visits"), ("discharges", "discharges"), ("deaths", "deaths")):
        cells.split(by_code[whole], by_treatment[part])
    return {
        "facility": {"admissions": facility},
        "arrivals": {"admissions": arrivals},
        "diagnoses": by_code,
        "treatments": by_treatment,
    }


def _discharges(cells: Cells, gold: Mapping[str, pl.DataFrame], flows: Mapping[str, Figures]) -> dict[str, Figures]:
    """A month's discharges by how they ended, by readmission and by doctor; deaths by month of admission too."""
    unit, doctor = ["month", *UNIT], ["month", "department", "doctor_id"]
    monthly = flows["admissions_monthly"]["discharges"]
    outcomes = cells.level(gold["outcomes"], [*unit, "disposition"], "discharges")
    index, readmissions = (cells.level(gold["admissions_monthly"], unit, figure) for figure in FOLLOWED)
    no_index = pl.col("disposition").is_in(NO_INDEX)
    eligible = cells.split(monthly, cells.total(_where(outcomes, no_index), unit))
    cells.split(eligible, _where(outcomes, ~no_index))
    cells.split(eligible, index)
    cells.split(index, readmissions)
    deaths = _where(outcomes, pl.col("disposition") == DEATH)
    counts = ("discharges", *FOLLOWED, "deaths")
    doctors = {figure: cells.level(gold["doctors"], doctor, figure) for figure in counts}
    cells.split(doctors["discharges"], doctors["deaths"], doctors[FOLLOWED[0]])
    cells.split(doctors[FOLLOWED[0]], doctors[FOLLOWED[1]])
    for figure, units in zip(counts, (monthly, index, readmissions, deaths), strict=True):
        department = cells.total(units, ["month", "department"])
        cells.split(department, doctors[figure])
        if figure in flows["diagnoses"]:
            cells.split(cells.total(department, []), flows["diagnoses"][figure])
    monthly_figures = flows["admissions_monthly"] | dict(zip(FOLLOWED, (index, readmissions), strict=True))
    return {
        "admissions_monthly": monthly_figures,
        "outcomes": {"discharges": outcomes},
        "length_of_stay": {"discharges": monthly},
        "doctors": doctors,
    }


def _where(level: Level, these: pl.Expr) -> Level:
    return Level(level.keys, level.cells.filter(these))


def _open_the_census(cells: Cells, gold: Mapping[str, pl.DataFrame], figures: Mapping[str, Figures]) -> None:
    """Hide admissions where they, less discharges, would add up to 1 to 10 patients at a facility's midnight."""
    open_ = census.to_open(gold["occupancy"], gold["admissions"])
    day, week, month = (
        figures[name]["admissions"] for name in ("admissions", "admissions_weekly", "admissions_monthly")
    )
    cells.force(day, open_.days)
    cells.force(week, open_.weeks)
    cells.force(month, open_.months)
    cells.force(figures["facility"]["admissions"], open_.months.select("month", "facility"))


# From cells back to tables.


def _of(level: Level, hidden: pl.Series) -> pl.DataFrame:
    """The level's keys and, per cell, ``hidden``."""
    return level.cells.select(*level.keys, hidden=hidden.gather(level.cells["cell"]))


def _flag(figure: str) -> str:
    return f"{figure}?"


def _marked(rows: pl.DataFrame, figures: Figures, hidden: pl.Series) -> pl.DataFrame:
    """``rows`` with a flag per figure: whether the cell that it shows, or one that it sums, is hidden."""
    for figure, level in figures.items():
        keys = [key for key in level.keys if key in rows.columns]
        flags = _of(level, hidden).group_by(keys).agg(pl.col("hidden").any().alias(_flag(figure)))
        rows = rows.join(flags, on=keys, how="left", maintain_order="left").with_columns(
            pl.col(_flag(figure)).fill_null(value=True)  # a figure that no cell stands for is not shown
        )
    return rows


def _shown(name: str, marked: pl.DataFrame) -> Suppressed:
    """Take out what is flagged, and what is derived from it."""
    derived = {
        _flag(figure): pl.any_horizontal(_flag(base) for base in bases)
        for figure, bases in DERIVED.get(name, {}).items()
    }
    marked = marked.with_columns(**derived)
    figures = [column for column in marked.columns if _flag(column) in marked.columns]
    flags = {figure: pl.col(_flag(figure)) & pl.col(figure).is_not_null() for figure in figures}
    named = pl.concat_list(pl.when(flag).then(pl.lit(figure)) for figure, flag in flags.items()).list.drop_nulls()
    rows = marked.with_columns(
        *(pl.when(~pl.col(_flag(figure))).then(figure).alias(figure) for figure in figures),
        pl.when(named.list.len() > 0).then(named.list.join(", ")).alias(MARK),
    )
    hidden = int(marked.select(pl.sum_horizontal(flag.sum() for flag in flags.values())).item())
    return Suppressed(rows.drop(*map(_flag, figures), *LEFT_OUT.get(name, ()), strict=False), hidden)
