"""Benchmarks: contenders do the same work, and a result is the same on screen, as JSON and in the docs."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from app.stream.decoders.json_event import decode
from app.stream.transforms.mask import mask
from app.stream.transforms.validate import validate
from benchmarks.__main__ import BENCHMARKS, OPT_IN
from benchmarks.contenders import stock
from benchmarks.harness.measure import Landings
from benchmarks.harness.record import PAGE, RESULTS, filled, place, publish
from benchmarks.harness.result import Chart, Ratio, Result, shown
from lake.contracts.tables import UTC
from lake.security import masking_policy as policies
from lake.security.encryption import LakeKey
from tests.support.commands import ROOT
from tests.support.lakes import NOW, simulated

RESULT: Final = Result(
    "small",
    "A small one",
    ["contender", "events/s", "MB"],
    [["ours", 1234.5678, 12.345], ["theirs", 99.0, None]],
    [Ratio.at_least("ours / theirs", 12.47, 5), Ratio.at_most("ours, MB", 12.345, 10)],
    ["Said of it."],
    Chart("bar", "contender", "events/s"),
    "python -m benchmarks small",
    {"date": "2026-11-25", "commit": "abc"},
)

COMPARED: Final = ["row", *policies.load("display").columns]


def parsed(payload: bytes | None) -> object:
    try:
        return json.loads(payload or b"")
    except ValueError:
        return None


@pytest.mark.slow
def test_the_stock_contender_lets_through_and_masks_what_the_stream_does() -> None:
    payloads = [value for _, value in simulated(3_000)]
    valid, _ = validate(decode(payloads).with_columns(ingested_at=pl.lit(NOW).cast(UTC)))
    ours = mask(valid, policies.load("display"), LakeKey(stock.SECRET)).rows
    events = [(row, stock.cleaned(parsed(payload))) for row, payload in enumerate(payloads)]
    theirs = pl.DataFrame(
        [stock.masked(event) | {"row": row} for row, event in events if event is not None],
        schema={name: dtype for name, dtype in ours.schema.items() if name in COMPARED},
    )
    assert theirs.height > 2_500
    different = [name for name in COMPARED if not theirs[name].equals(ours[name])]
    assert different == []


def test_the_cost_of_a_contender_is_counted_from_its_first_landing_to_its_last() -> None:
    landings = Landings([10.0, 11.0, 12.0], [5.0, 5.5, 7.0], [100, 1_000, 3_000])
    assert landings.figures() == {"events_per_second": 2_000, "cpu_us": 500}


def test_a_result_is_the_same_after_json() -> None:
    assert Result.from_json(RESULT.to_json()) == RESULT
    assert Result.from_json(RESULT.to_json()).markdown() == RESULT.markdown()


def test_a_result_says_which_aims_it_missed() -> None:
    text = RESULT.markdown()
    assert "| ours / theirs | 12.5 | ≥ 5 | met |" in text
    assert "| ours, MB | 12.3 | ≤ 10 | **missed** |" in text
    assert "| theirs | 99 | - |" in text


def test_a_figure_has_three_digits_that_count(subtests: pytest.Subtests) -> None:
    for figure, text in [(1234.6, "1,235"), (12.345, "12.3"), (0.01234, "0.0123"), (None, "-")]:
        with subtests.test(figure=figure):
            assert shown(figure) == text


def test_a_recorded_result_stands_in_the_docs_with_its_chart(tmp_path: Path) -> None:
    (tmp_path / PAGE.name).write_text("# B\n<!-- result: small -->\nold\n<!-- end -->\nafter\n")
    publish(RESULT, tmp_path)
    text = (tmp_path / PAGE.name).read_text("utf-8")
    assert text == f"# B\n<!-- result: small -->\n{RESULT.markdown()}<!-- end -->\nafter\n"
    assert (tmp_path / RESULTS.name / "small.json").read_text("utf-8") == RESULT.to_json()
    assert (tmp_path / RESULTS.name / "small.png").read_bytes().startswith(b"\x89PNG")


def test_the_first_result_of_a_name_comes_at_the_end_of_the_page(tmp_path: Path) -> None:
    (tmp_path / PAGE.name).write_text("# B\n")
    publish(RESULT, tmp_path)
    text = (tmp_path / PAGE.name).read_text("utf-8")
    assert text == f"# B\n\n<!-- result: small -->\n{RESULT.markdown()}<!-- end -->\n"


def test_what_has_no_end_is_a_missed_aim_without_a_figure() -> None:
    ratio = Ratio.at_most("p99 of a rate that was not sustained", math.inf, 2)
    assert (ratio.value, ratio.met) == (None, False)


def test_every_table_of_the_docs_is_of_a_recorded_run_and_every_recorded_run_is_shown() -> None:
    page = PAGE.read_text("utf-8")
    recorded = {path.stem: Result.from_json(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}
    assert {name for name in BENCHMARKS | OPT_IN if place(name).search(page)} == recorded.keys()
    for result in recorded.values():
        assert filled(page, result) == page, f"{result.name} differs from what was recorded"


def test_a_contender_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "spark-gold"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert run.stderr.startswith("benchmarks: Java is missing")
