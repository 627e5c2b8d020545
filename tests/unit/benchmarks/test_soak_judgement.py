"""The soak's own judgement: it finds what is lost, twice, unexplained or said, and records what it came to."""

import os
import time
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from lake.contracts.tables import BRONZE, SILVER
from tests.soak import accounts, exits, logs, record, report
from tests.soak.accounts import Account, Generation
from tests.soak.exits import Trouble
from tests.soak.gremlin import Struck
from tests.soak.house import Recovery
from tests.soak.report import Report
from tests.soak.worker import Ended, Role, Worker
from tests.support.lakes import PARTITIONS, TOPIC_ID, event, make_lake, overwrite, rows, simulated

EVENTS: Final = 400


def generation(root: Path, more: int = 0) -> Generation:
    """The topic as it was when all of it had landed, and ``more`` messages of partition 0 beside."""
    landed = rows(root, BRONZE).group_by("kafka_partition").agg(pl.col("last_offset").max() + 1)
    ends = dict(landed.iter_rows())
    return Generation(TOPIC_ID, {p: ends.get(p, 0) + (more if p == 0 else 0) for p in range(PARTITIONS)})


def test_a_lake_that_has_all_is_clean(tmp_path: Path) -> None:
    make_lake(tmp_path / "lake", simulated(EVENTS))
    found = accounts.judge(tmp_path / "lake", [generation(tmp_path / "lake")], whole=True)
    assert found.findings == []
    assert found.events_in == EVENTS == found.silver + found.quarantined + found.duplicates + found.ignored
    assert min(found.silver, found.quarantined, found.duplicates) > 0


def test_a_message_that_did_not_land_is_lost(tmp_path: Path) -> None:
    make_lake(tmp_path / "lake", simulated(EVENTS))
    found = accounts.judge(tmp_path / "lake", [generation(tmp_path / "lake", more=3)], whole=True)
    assert (found.lost, found.duplicated) == (3, 0)
    assert found.findings == [f"lost: 3 missing in partition 0 of topic {TOPIC_ID}"]


def test_a_row_that_went_or_is_there_twice_is_found(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    make_lake(root, [(0, event(patient_id=f"MRN{n}")) for n in range(9)])
    silver = rows(root, SILVER)
    overwrite(root, SILVER, silver.head(8))
    assert accounts.judge(root, [generation(root)], whole=True).lost == 1
    overwrite(root, SILVER, pl.concat([silver, silver.head(1)]))
    twice = accounts.judge(root, [generation(root)], whole=True)
    assert (twice.lost, twice.duplicated) == (0, 2)  # its place, and its deduplication key


def test_a_record_batch_that_is_there_twice_is_found(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    make_lake(root, [(0, event(patient_id=f"MRN{n}")) for n in range(9)], [(0, event(patient_id="MRN9"))])
    bronze = rows(root, BRONZE)
    overwrite(root, BRONZE, pl.concat([bronze, bronze.head(1)]))
    found = accounts.judge(root, [generation(root)], whole=True)
    assert found.findings == [
        f"duplicated: 9 too many in partition 0 of topic {TOPIC_ID}",
        f"duplicated: 1 record batches of messages that Bronze had, partition 0 of topic {TOPIC_ID}",
    ]
    overwrite(root, BRONZE, bronze.tail(1))
    assert accounts.judge(root, [generation(root)], whole=True).lost == 9


def test_an_event_of_a_message_of_several_counts_once(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    make_lake(root, [(0, event(patient_id=f"MRN{n}")) for n in range(9)])
    silver = rows(root, SILVER)
    second = silver.head(1).with_columns(
        event_index=pl.lit(1), event_time=pl.col("event_time") + pl.duration(minutes=1)
    )
    overwrite(root, SILVER, pl.concat([silver, second]))
    assert accounts.judge(root, [generation(root)], whole=True).findings == []


def test_rows_that_nobody_sent_are_found_where_the_soak_came_to_its_end(tmp_path: Path) -> None:
    make_lake(tmp_path / "lake", simulated(EVENTS))
    assert accounts.judge(tmp_path / "lake", [], whole=True).duplicated == EVENTS
    assert accounts.judge(tmp_path / "lake", [], whole=False).findings == []


def ended(worker: str = "stream", code: int = 2, said: str = "", *, asked: str = "", service: bool = True) -> Ended:
    return Ended(worker, code, said, 10.0, 20.0, asked, service)


FULL: Final = "wardlake: the step land failed; got a full disk in a batch"
AWAY: Final = "wardlake: no Kafka broker answers at 127.0.0.1:9092"
EXITS: Final = [
    (ended(code=-9, asked="killed"), "", "killed"),
    (ended(code=-9), "", None),
    (ended(code=0, asked="stopped"), "", "stopped"),
    (ended(code=0), "", None),
    (ended("gold", 0, service=False), "", "done"),
    (ended("gold", 1, service=False), exits.FULL_DISK, None),
    (ended(said=FULL), exits.FULL_DISK, exits.FULL_DISK),
    (ended(said=FULL), exits.BROKER_AWAY, None),
    (ended(said="wardlake: internal error"), exits.FULL_DISK, None),
    (ended("stream 2", said=AWAY), exits.BROKER_AWAY, exits.BROKER_AWAY),
    (ended("dashboard", said=AWAY), exits.BROKER_AWAY, None),
    (ended(code=-11), exits.TOPIC_AGAIN, exits.TOPIC_AGAIN),
    (ended(code=-11), exits.BROKER_AWAY, None),
]


def test_an_end_is_explained_by_what_was_done_and_by_nothing_else(subtests: pytest.Subtests) -> None:
    for one, trouble, reason in EXITS:
        with subtests.test(one=one):
            assert exits.reason(one, [Trouble(trouble, 12, 15)]) == reason
            elsewhen = exits.reason(one, [Trouble(trouble, 30, 40)])
            assert elsewhen == (reason if reason in {"killed", "stopped", "done"} else None)


def test_what_a_library_says_after_a_command_gave_its_reason_does_not_hide_it(tmp_path: Path) -> None:
    """A thread of delta-rs panics on a full disk, and at times just after the command had named it."""
    (tmp_path / "said").write_text(f"begun\n{FULL}\nthread 'tokio' panicked at buffered.rs:369:41:\nnote: omitted\n")
    command = ["/bin/sh", "-c", f"cat {tmp_path}/said; exit 2"]
    worker = Worker(Role("maintain", lambda _: command), {"PATH": os.environ["PATH"]}, tmp_path)
    worker.start()
    while (found := worker.look()) is None:
        time.sleep(0.01)
    assert (found.code, found.said) == (2, FULL)


def test_logs_are_searched_for_tracebacks_and_patients(tmp_path: Path) -> None:
    panic = "thread 'tokio' panicked at /cargo/object_store-0.13.2/src/buffered.rs:369:41:"
    for name, text in {
        "good": '{"event": "landed"}',
        "bad": "Traceback (most recent call last):",
        "full": panic,
        "told": "Jane Roe was here; Traceback (most recent call last):",
    }.items():
        (tmp_path / f"{name}.log").write_text(text + "\n")
    found = ["bad.log: Traceback (most recent call last):", "told.log holds 1 identifiers of patients"]
    assert logs.findings(tmp_path, ["Jane Roe"], disk_filled=True) == found
    assert f"full.log: {panic}" in logs.findings(tmp_path, ["Jane Roe"], disk_filled=False)


def test_what_publishers_said_was_delivered_is_added_up() -> None:
    said = ["published: 60,000 of 60,000 messages delivered in 60.0 s", "", "published: 5 of 6 messages delivered"]
    assert logs.acknowledged(said) == 60_005


def small(**changes: object) -> Report:
    plain: dict[str, object] = {
        "command": "python -m tests.soak --minutes 3",
        "machine": "2 cores",
        "version": "0",
        "minutes": 3.0,
        "rate": 1000,
        "generations": 1,
        "account": Account(events_in=1000, silver=970, quarantined=10, duplicates=20),
        "acknowledged": 990,
        "batches": 7,
        "builds": 2,
        "verified": 3,
        "lake_mb": 1.5,
        "faults": [Struck(1.0, "kill", "stream", 0.1), Struck(9.0, "kill", "gold", 0.1)],
        "not_run": {"fill the disk": "mounting is refused"},
        "recoveries": report.recovered([Recovery("kill", "stream", 1, 4.0), Recovery("kill", "stream 2", 9, 6.0)]),
        "memory": report.memory([(1, "stream", 100.0), (99, "stream", 120.0), (50, "late", 1.0)], 100),
        "exits": {"stream": {"killed": 2}},
    }
    return Report(**(plain | changes))  # type: ignore[arg-type]


def test_a_report_is_clean_only_without_a_finding() -> None:
    assert small().clean
    assert not small(findings=["a traceback"]).clean
    assert not small(account=Account(lost=1)).clean
    assert not small(account=Account(duplicated=1)).clean
    assert small().verdict == "clean: 0 lost, 0 duplicated of 1,000 events, 2 faults in 3 minutes"
    assert small(findings=["x"]).verdict.startswith("NOT clean: ")


def test_a_report_is_recorded_between_the_marks_of_the_page_again_and_again(tmp_path: Path) -> None:
    page, chart = tmp_path / record.PAGE, tmp_path / "chart.png"
    page.parent.mkdir(parents=True)
    page.write_text(f"# Before\n\n{record.BEGIN}\nthe run before\n{record.END}\n\nAfter.\n")
    chart.write_bytes(b"png")
    record.record(tmp_path, small(minutes=60.0), chart)
    record.record(tmp_path, small(), chart)
    text = page.read_text("utf-8")
    assert text.startswith(f"# Before\n\n{record.BEGIN}\n`python -m tests.soak --minutes 3`, version 0, on 2 cores.")
    assert text.endswith(f"(../images/soak.png)\n{record.END}\n\nAfter.\n")
    assert "the run before" not in text
    assert "**Clean: 0 lost, 0 duplicated of 1,000 events, 2 faults in 3 minutes.**" in text
    assert "\nFaults: kill 2, fill the disk not run.\n" in text
    assert "\nLongest recovery: stream 6 s.\n" in text
    assert (tmp_path / record.IMAGE).read_bytes() == b"png"


def test_a_page_without_marks_is_not_written_to(tmp_path: Path) -> None:
    page = tmp_path / record.PAGE
    page.parent.mkdir(parents=True)
    page.write_text("# Nothing to fill in\n")
    with pytest.raises(record.RecordError, match="once each"):
        record.record(tmp_path, small(), page)
    assert page.read_text() == "# Nothing to fill in\n"
