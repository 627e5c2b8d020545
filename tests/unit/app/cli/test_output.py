"""What the commands print: rows and reports for people, CSV and JSON for programs."""

import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from rich.console import Console

from app.cli.output import conservation, err, out, print_json, print_rows, progress_bar, table_of
from app.cli.stream import Tally
from app.stream.exactly_once_writer import Landed
from lake.contracts.event import OUTCOMES
from tests.support.lakes import KEY_TEXT, make_lake, simulated, wardlake


def printed(call: Callable[[], object]) -> str:
    text = io.StringIO()
    with redirect_stdout(text):
        call()
    return text.getvalue()


FRAME: Final = pl.DataFrame(
    {
        "name": ["Ruíz, José", None],
        "at": [datetime(2026, 3, 1, 8, tzinfo=UTC), None],
        "list": [[1, 2], []],
        "pair": [{"a": 1, "b": None}, None],
    }
)


def test_json_is_one_line_with_times_in_iso_8601() -> None:
    text = printed(lambda: print_json({"at": datetime(2026, 3, 1, tzinfo=UTC), "day": date(2026, 3, 1), "raw": b"\1"}))
    assert text == '{"at": "2026-03-01T00:00:00+00:00", "day": "2026-03-01", "raw": "01"}\n'


def test_rows_as_json() -> None:
    first, second = json.loads(printed(lambda: print_rows(FRAME, "json")))
    assert first == {
        "name": "Ruíz, José",
        "at": "2026-03-01T08:00:00+00:00",
        "list": [1, 2],
        "pair": {"a": 1, "b": None},
    }
    assert (second["name"], second["at"], second["list"]) == (None, None, [])


def test_rows_as_csv() -> None:
    lines = printed(lambda: print_rows(FRAME, "csv")).splitlines()
    assert lines[0] == "name,at,list,pair"
    assert lines[1].startswith('"Ruíz, José",2026-03-01T08:00:00.000000+00:00,"[1, 2]","{""a"": 1,')
    assert lines[2].startswith(",,[],")


def test_rows_as_a_table_are_not_cut_in_a_pipe() -> None:
    wide = pl.DataFrame({f"column_{number}": ["x" * 10] for number in range(10)})
    shown = printed(lambda: print_rows(wide, "table"))
    assert shown.count("x" * 10) == 10
    assert "…" not in shown


def test_a_table_shows_nothing_for_null_and_counts_with_commas() -> None:
    shown = printed(lambda: out.print(table_of(["a", "b", "c"], [(None, 1_234_567, True)])))
    assert [cell.strip() for cell in shown.splitlines()[3].strip("│\n").split("│")] == ["", "1,234,567", "True"]


def test_progress_goes_to_stderr_and_only_to_a_terminal() -> None:
    shown = io.StringIO()
    with redirect_stderr(shown), progress_bar("publishing", 10) as bar:
        bar.update(bar.task_ids[0], completed=10)
    assert shown.getvalue() == ""
    assert not err.is_terminal


def landed(partition: int, **counts: int) -> Landed:
    numbers = dict.fromkeys(("messages", *OUTCOMES, "events"), 0) | counts
    return Landed("b1", "t1", partition, 0, numbers["messages"] - 1, **numbers, seconds={"mask": 0.012345})


def test_the_tally_adds_up_what_landed() -> None:
    tally = Tally()
    tally.add([landed(0, messages=6, silver=3, quarantined=1, duplicates=1, ignored=1)], 7)
    tally.add([landed(1, messages=2, silver=2, events=3)], 7)
    tally.add([landed(0, messages=1, silver=1)], None)
    tally.add([], 0)
    assert tally.counts["messages"] == 9
    assert tally.counts == {"messages": 9, "silver": 6, "quarantined": 1, "duplicates": 1, "ignored": 1}


def test_the_conservation_law_is_one_line() -> None:
    counts = {"messages": 1_006, "silver": 1_000, "quarantined": 3, "duplicates": 2, "ignored": 1}
    assert conservation(counts) == "1,006 messages = 1,000 silver + 3 quarantined + 2 duplicates + 1 ignored"


def test_what_workers_log_is_passed_on_with_their_number_or_shown_together(monkeypatch: pytest.MonkeyPatch) -> None:
    line = {"event": "landed", "messages": 4, "silver": 3, "quarantined": 1, "duplicates": 0}
    texts = [json.dumps(line | {"events_per_second": 9, "lag": lag}) for lag in (5, None)]
    tally, said = Tally(), io.StringIO()
    with redirect_stderr(said):
        tally.add_line(2, texts[0])
        tally.add_line(1, "no JSON")
    assert said.getvalue() == f'{texts[0][:-1]}, "worker": 2}}\nno JSON\n'

    screen = io.StringIO()
    monkeypatch.setattr("app.cli.stream.err", Console(file=screen, force_terminal=True, width=200))
    with tally.shown():
        for number, text in enumerate(texts):
            tally.add_line(number, text)
    assert "18 events/s · lag ? · 12 landed: 9 silver, 3 quarantined, 0 duplicates" in screen.getvalue()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("output") / "lake"
    make_lake(path, simulated(80))
    return path


def test_status_as_json(root: Path) -> None:
    report = wardlake("status", "--lake", root, "--kafka", "127.0.0.1:1", "--json").json
    assert set(report) == {"lake", "tables", "lag", "messages", "last_landed"}
    assert [set(table) for table in report["tables"]] == [{"table", "version", "files", "bytes", "rows"}] * 5
    assert report["lag"] is None
    counts = report["messages"]
    assert set(counts) == {"messages", *OUTCOMES}
    assert counts["messages"] == 80 == sum(counts[name] for name in OUTCOMES)
    assert datetime.fromisoformat(report["last_landed"]).tzinfo == UTC


def test_status_as_tables(root: Path) -> None:
    shown = wardlake("status", "--lake", root, "--kafka", "127.0.0.1:1").out
    assert "silver/events" in shown
    assert "lag unknown: no broker answers at 127.0.0.1:1" in shown
    assert re.search(
        r"^80 messages = \d+ silver \+ \d+ quarantined \+ \d+ duplicates \+ 0 ignored$", shown, re.MULTILINE
    )


def test_quarantine_list_tells_places_and_rules(root: Path) -> None:
    found = wardlake("quarantine", "list", "--lake", root, "--json").json
    columns = {"topic", "kafka_partition", "kafka_offset", "ingested_at", "reasons", "resolved_at"}
    assert found
    assert all(set(row) == columns and row["reasons"] and row["resolved_at"] is None for row in found)
    assert len(wardlake("quarantine", "list", "--lake", root, "--json", "--limit", "1").json) == 1
    shown = wardlake("quarantine", "list", "--lake", root)
    assert (shown.code, "rule" in shown.out) == (0, True)


def test_quarantine_replay_and_replay_tell_their_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    held = len(wardlake("quarantine", "list", "--lake", root, "--json").json)
    again = wardlake("quarantine", "replay", "--lake", root, "--json").json
    assert again == {"messages": held, "silver": 0, "quarantined": held, "duplicates": 0, "ignored": 0}
    counts = wardlake("replay", "--lake", root, "--json").json
    assert counts["messages"] == 80 == sum(counts[name] for name in OUTCOMES)
    assert wardlake("replay", "--lake", root).out == (
        "replayed: 80 messages: " + ", ".join(f"{counts[name]} {name}" for name in OUTCOMES) + "\n"
    )
    assert wardlake("verify", "--lake", root).code == 0


def test_every_command_has_help(subtests: pytest.Subtests) -> None:
    for command in [
        (),
        ("demo",),
        ("broker",),
        ("produce",),
        ("produce", "simulate"),
        ("produce", "file"),
        ("stream",),
        ("sql",),
        ("status",),
        ("verify",),
        ("replay",),
        ("quarantine",),
        ("quarantine", "list"),
        ("quarantine", "replay"),
    ]:
        with subtests.test(command=command):
            ran = wardlake(*command, "--help")
            assert (ran.code, ran.err) == (0, "")
            assert "Usage: wardlake" in ran.out
