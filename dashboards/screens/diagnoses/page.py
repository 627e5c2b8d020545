"""Diagnoses and treatments: what patients came with, how ill they were, what was done, and how it ended."""

import altair as alt
import polars as pl
import streamlit as st

from dashboards.screens.diagnoses import queries
from dashboards.shared import charts, filters, style
from dashboards.shared.definitions import DEFINITIONS
from dashboards.shared.filters import View
from dashboards.shared.markdown import literal
from lake.gold.totals import ALL

TOP = 15
RATES = ("alos_days", "mortality_rate")
_ENDING_COLOURS = (*style.colours_of([*queries.ENDINGS][:8]), "#8C564B", "#B8C0C8")
"""The theme's eight, which are all it has, then brown for "elsewhere" and pale grey for "not stated"."""


def draw() -> None:
    """The page, from top to bottom."""
    view = filters.current()
    rows = queries.diagnoses(view.period)
    ranked = queries.by_diagnosis(rows)
    first, last = view.period.months
    unfinished = "" if queries.is_over(last) else f" Rates leave out {filters.month_text(last)}: it is not over."
    st.caption(
        f"By whole months, {filters.month_text(first)} to {filters.month_text(last)}.{unfinished} Diagnoses, severity "
        "and treatments are of all facilities and departments together: those filters apply to the outcomes below."
    )
    if ranked.is_empty():
        st.info("No visit of these months has a diagnosis. Choose a longer period.")
        return
    code, label = chosen(ranked)
    of_code = queries.of(rows, code)
    overview(of_code)
    left, right = st.columns(2)
    with left:
        top(ranked)
    with right:
        treatments(view, code, label)
    severity(of_code, label)
    outcomes(view)
    everything(ranked)


def overview(of_code: pl.DataFrame) -> None:
    """A diagnosis in figures. Rates leave out a month that is not over: who is still here would distort them."""
    counts, rates = queries.total(of_code), queries.total(queries.over(of_code))
    with style.tiles():
        for name in ("admissions", "deaths"):
            style.kpi(name, counts[name])
        for name in RATES:
            style.kpi(name, rates[name])


def chosen(ranked: pl.DataFrame) -> tuple[str, str]:
    """The diagnosis to look at: its code, or ``ALL``, and its words."""
    words = {code: f"{text} ({code})" for code, text in ranked.select("diagnosis_code", "diagnosis").iter_rows()}
    words = {ALL: "All diagnoses"} | words
    code = st.selectbox("Diagnosis", list(words), format_func=words.__getitem__, key="diagnosis", bind="query-params")
    return code or ALL, words[code or ALL]


def top(ranked: pl.DataFrame) -> None:
    """The most frequent diagnoses."""
    rows = ranked.head(TOP)
    style.chart(
        "Most frequent diagnoses",
        charts.bars(rows, "diagnosis", "admissions", title="Admissions"),
        rows.select("diagnosis_code", "diagnosis", "admissions"),
        name="top-diagnoses",
        definition="Visits admitted, by the diagnosis last stated.\n\n*Source: ICD-10-CM codes in the ADT events*",
        height="content",
    )


def severity(of_code: pl.DataFrame, label: str) -> None:
    """How ill patients were, month by month."""
    rows = queries.severities(of_code)
    drawn = rows.with_columns(pl.col("severity").str.to_titlecase())
    style.chart(
        f"Severity of illness: {label}",
        charts.shares(drawn, "severity", [name.title() for name in queries.SEVERITIES], style.LEVELS, "visits"),
        rows,
        name="severity",
        definition=DEFINITIONS["severity"],
    )


def treatments(view: View, code: str, label: str) -> None:
    """What was done about a diagnosis."""
    rows = queries.treatments(view.period, code)
    style.chart(
        f"Treatments: {label}",
        charts.bars(rows.head(TOP), "treatment", "visits", title="Visits"),
        rows,
        name="treatments",
        definition="Visits by treatment, as last stated.\n\n*Source: treatment in the ADT events*",
        height="content",
    )


def outcomes(view: View) -> None:
    """How visits ended, and how many died, in the scope of the filters."""
    st.subheader("Outcomes and mortality")
    st.caption(f"By month of discharge, {literal(view.place)}.")
    left, right = st.columns(2)
    with left:
        rows = queries.outcomes(view)
        drawn = rows.with_columns(outcome=pl.col("disposition").replace(queries.ENDINGS))
        names = list(queries.ENDINGS.values())
        style.chart(
            "How visits ended",
            charts.shares(drawn, "outcome", names, _ENDING_COLOURS, "discharges"),
            rows,
            name="outcomes",
            definition=DEFINITIONS["disposition"],
            height=340,
        )
    with right:
        rows = queries.mortality(view)
        line = (
            alt.Chart(rows)
            .mark_line(color=style.ACCENT, point=alt.OverlayMarkDef(size=30, color=style.ACCENT))
            .encode(
                x=style.time_axis("month", "month"),
                y=style.percent_axis("mortality_rate", scale=alt.Scale(domainMin=0)),
                tooltip=[
                    style.month_tooltip("month"),
                    alt.Tooltip("mortality_rate:Q", title="Mortality", format=".2%"),
                    alt.Tooltip("deaths:Q", title="Deaths", format=",.0f"),
                    alt.Tooltip("discharges:Q", title="Discharges", format=",.0f"),
                ],
            )
        )
        style.chart(
            "In-hospital mortality", line, rows, name="mortality", definition=DEFINITIONS["mortality_rate"], height=340
        )


def everything(ranked: pl.DataFrame) -> None:
    """All diagnoses in figures."""
    names = {name: DEFINITIONS[name].label for name in ("admissions", "discharges", "deaths")}
    rates = [queries.measured(row) for row in ranked.iter_rows(named=True)]
    style.table(
        "All diagnoses",
        ranked.select(
            pl.col("diagnosis").alias("Diagnosis"),
            pl.col("diagnosis_code").alias("Code"),
            *(pl.col(name).alias(label) for name, label in names.items()),
            pl.Series("Average stay", [found["alos_days"].value for found in rates], pl.Float64),
            pl.Series("Mortality", [found["mortality_rate"].value for found in rates], pl.Float64),
        ),
        name="diagnoses",
        definition="Sums of the months above, all facilities together.",
        columns={
            **dict.fromkeys(names.values(), st.column_config.NumberColumn(format="localized")),
            "Average stay": st.column_config.NumberColumn(format="%.1f days"),
            "Mortality": st.column_config.NumberColumn(format="percent"),
        },
    )


draw()
