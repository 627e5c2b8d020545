"""The sample file that comes with the project."""

import csv
from collections import Counter

from lake.contracts.event import FIELDS, REQUIRED, VALUE_SETS
from producer.simulator.sample_file import DUPLICATES, EVENTS, INVALID, SAMPLE, sample_csv
from producer.sources.files import FileSource


def test_the_sample_can_be_made_again_byte_for_byte() -> None:
    assert SAMPLE.read_bytes() == sample_csv().encode()


def test_the_sample_holds_what_it_says() -> None:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == list(FIELDS)
    assert len(rows) == 1_000
    assert len({row["message_id"] for row in rows}) == 1_000
    copies = Counter(tuple(row[name] for name in FIELDS[1:]) for row in rows)
    assert sum(number - 1 for number in copies.values()) == DUPLICATES
    assert len(copies) == EVENTS + len(INVALID)
    odd = [row for row in rows if broken(row)]
    assert len(odd) == len(INVALID)


def broken(row: dict[str, str]) -> bool:
    wrong = [name for name, allowed in VALUE_SETS.items() if row[name] and row[name] not in allowed]
    blank = [name for name in REQUIRED if not row[name]]
    strange = row["event_time"][:4] == "2999" or "-02-30" in row["event_time"] or "/" in row["event_time"]
    return bool(wrong or blank or strange or "," in row["diagnosis_code"])


def test_the_sample_can_be_read() -> None:
    source = FileSource(SAMPLE)
    assert sum(len(block) for block in source.blocks()) == 1_000
    assert not source.bad
