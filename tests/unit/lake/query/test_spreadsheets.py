"""CSV that a spreadsheet opens: no cell is run as a formula, and nothing else changes."""

import csv
import io
from datetime import date
from typing import Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.screens.pipeline.components import csv_of
from dashboards.shared.markdown import literal
from lake.query.spreadsheets import inert

HOSTILE: Final = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =cmd|' /C calc'!A0",
    "\uff1d1",
    "=HYPERLINK(1)",
]
STARTS: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")


def test_what_could_be_a_formula_stays_text(subtests: pytest.Subtests) -> None:
    for text in HOSTILE:
        with subtests.test(text=text):
            for column in (
                pl.Series("t", [text]),
                pl.Series("t", [text], dtype=pl.Categorical),
                pl.Series("t", [text], pl.Enum([text])),
            ):
                assert inert(column.to_frame())["t"].to_list() == [f"'{text}"]
            [row] = csv.reader(
                io.StringIO(csv_of(pl.DataFrame({"t": [text]}))().decode().split("\n", 1)[1], newline="")
            )
            assert row == [f"'{text}"]


def test_numbers_times_and_other_text_are_untouched() -> None:
    rows = pl.DataFrame(
        {
            "whole": [-1],
            "part": [-0.5],
            "day": [date(2026, 1, 1)],
            "text": ["Surgery - East"],
            "none": [None],
            "l": [["=1"]],
        }
    )
    assert inert(rows).equals(rows)
    assert inert(rows.select("whole")).equals(rows.select("whole"))
    assert inert(pl.DataFrame({"t": ["(all)", "", "a=b", None]}))["t"].to_list() == ["(all)", "", "a=b", None]


@given(st.lists(st.text(max_size=6) | st.none(), max_size=6))
def test_no_cell_begins_with_a_sign_and_the_text_is_still_there(texts: list[str | None]) -> None:
    made = inert(pl.DataFrame({"t": texts}, schema={"t": pl.String}))["t"].to_list()
    assert not [text for text in made if text and text.lstrip().startswith(STARTS)]
    assert [text and text.removeprefix("'") for text in made] == [text and text.removeprefix("'") for text in texts]


def test_no_sign_of_markdown_is_left_unescaped(subtests: pytest.Subtests) -> None:
    for text in [
        "![x](https://evil.example/p.png)",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        ":red[x]",
        "$x$",
        "# h\n# i",
    ]:
        with subtests.test(text=text):
            escaped = literal(text)
            assert escaped.replace("\\", "").replace("\u2060", "") == text.replace("\n", " ")
            assert all(escaped[at - 1] == "\\" for at, letter in enumerate(escaped) if letter in "![]<>$#*_`~")
