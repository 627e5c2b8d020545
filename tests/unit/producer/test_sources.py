"""Source files: everything in them is sent, what is bad is reported by line and never by content."""

import csv
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lake.contracts.event import FIELDS
from lake.errors import UsageError
from producer.batches import MessageBatch
from producer.sources.files import REASONS, FileSource
from producer.sources.lines import MAX_LINE

Read = tuple[list[tuple[bytes | None, bytes]], list[tuple[int, str]], int]


def read(path: Path, content: bytes, asked: str | None = None) -> Read:
    """Return the messages, the bad lines and the number of blank lines of a file with that content."""
    path.write_bytes(content)
    source = FileSource(path, asked)
    messages = [pair for block in source.blocks() for pair in block.pairs()]
    assert source.messages == len(messages)
    assert set(source.bad) <= set(REASONS)
    return messages, [(bad.line, bad.reason) for bad in source.first_bad], source.blank_lines


def values(got: Read) -> list[bytes]:
    return [value for _, value in got[0]]


@pytest.fixture
def csv_path(tmp_path: Path) -> Path:
    return tmp_path / "events.csv"


@pytest.fixture
def json_path(tmp_path: Path) -> Path:
    return tmp_path / "events.json"


@pytest.fixture
def ndjson_path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


# --- CSV ---


def test_a_csv_row_becomes_json_without_its_empty_cells(csv_path: Path) -> None:
    got = read(csv_path, "patient_id,notes,ward\r\nP1,,Ä\r\nP2,ok,\r\n".encode())
    assert got[0] == [
        (b"P1", '{"patient_id":"P1","ward":"Ä"}'.encode()),
        (b"P2", b'{"patient_id":"P2","notes":"ok"}'),
    ]
    assert got[1:] == ([], 0)


def test_csv_quotes_hold_commas_quotes_and_line_ends(csv_path: Path) -> None:
    content = b'\xef\xbb\xbf patient_id ,notes\nP1,"a, ""b""\r\nc"\nP2,x\n'
    got = read(csv_path, content)
    assert [json.loads(value) for value in values(got)] == [
        {"patient_id": "P1", "notes": 'a, "b"\r\nc'},
        {"patient_id": "P2", "notes": "x"},
    ]
    assert got[1] == []


def test_unknown_csv_columns_are_passed_on(csv_path: Path) -> None:
    assert values(read(csv_path, b"patient_id,shoe_size\nP1,44\n")) == [b'{"patient_id":"P1","shoe_size":"44"}']


def test_a_csv_row_of_another_width_is_sent_as_its_text(csv_path: Path) -> None:
    got = read(csv_path, b'patient_id,ward\nP1,A\n\nP2,"B\nC",D\r\n   \nP3\nP4,E')
    assert got[0] == [
        (b"P1", b'{"patient_id":"P1","ward":"A"}'),
        (None, b'P2,"B\nC",D'),
        (None, b"P3"),
        (b"P4", b'{"patient_id":"P4","ward":"E"}'),
    ]
    assert got[1:] == ([(4, "cells"), (7, "cells")], 2)


def test_an_unclosed_csv_quote_costs_one_line_and_not_the_rest(csv_path: Path) -> None:
    rest = b"".join(b"P%d,B\n" % number for number in range(5_000))
    got = read(csv_path, b'patient_id,ward\nP,"A\n' + rest)
    assert len(got[0]) == 5_001
    assert got[0][0] == (None, b'P,"A')
    assert got[1] == [(2, "quotes")]


def test_text_after_a_closing_csv_quote_is_bad(csv_path: Path) -> None:
    got = read(csv_path, b'patient_id,ward\nP1,"A"x\nP2,B\n')
    assert values(got) == [b'P1,"A"x', b'{"patient_id":"P2","ward":"B"}']
    assert got[1] == [(2, "quotes")]


def test_undecodable_csv_bytes_are_passed_on(csv_path: Path) -> None:
    got = read(csv_path, b"patient_id,ward\nP1,M\xfcnchen\n")
    assert got[0] == [(b"P1", b'{"patient_id":"P1","ward":"M\xfcnchen"}')]
    assert got[1] == [(2, "encoding")]


def test_an_endless_csv_line_is_sent_in_pieces(csv_path: Path) -> None:
    long = b"x," * MAX_LINE
    got = read(csv_path, b"patient_id,ward\n" + long + b"\nP1,A\n")
    assert b"".join(values(got)[:-1]) == long
    assert max(map(len, values(got))) <= MAX_LINE
    assert values(got)[-1] == b'{"patient_id":"P1","ward":"A"}'
    assert got[1] == [(2, "too_long")]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            b"Jane Doe,123-45-6789\n",
            "events.csv has no header of event fields; got 0 known fields in its first line; "
            "expected the names of the event contract, separated by commas",
        ),
        (b"patient_id;ward\nP1;A\n", "events.csv has no header of event fields"),
        (b'patient_id,"ward\n', "events.csv has no header of event fields"),
        (b"patient_id,ward,ward\n", "events.csv has a header with names that are empty or given twice"),
        (b"patient_id,ward,\n", "events.csv has a header with names that are empty or given twice"),
    ],
)
def test_a_csv_file_without_a_proper_header_is_refused(csv_path: Path, header: bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(csv_path, header)
    assert str(caught.value).startswith(message)
    assert "Jane" not in str(caught.value)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(cells.filter(str.strip), cells, cells), max_size=20), ends=st.sampled_from(["\n", "\r\n"])
)
@example(rows=[("\r", "", "")], ends="\n")
def test_any_csv_that_is_written_can_be_read(csv_path: Path, rows: list[tuple[str, ...]], ends: str) -> None:
    names = "patient_id", "ward", "notes"
    with csv_path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator=ends, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    got = read(csv_path, csv_path.read_bytes())
    expected = [{name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows]
    assert [json.loads(value) for value in values(got)] == expected
    assert got[1:] == ([], 0)


# --- NDJSON ---


def test_ndjson_lines_are_sent_as_they_stand(ndjson_path: Path) -> None:
    content = b'\xef\xbb\xbf{"patient_id": "P1"}\r\n\n{"patient_id":7}\n \t\n{"x":1}'
    got = read(ndjson_path, content)
    assert got == ([(b"P1", b'{"patient_id": "P1"}'), (None, b'{"patient_id":7}'), (None, b'{"x":1}')], [], 2)


def test_bad_ndjson_lines_are_sent_and_reported(ndjson_path: Path) -> None:
    deep = b"[" * 100_000
    content = b'{"a":"1"}\n{"a":\n[1]\n{"a":"\xff"}\n' + deep + b'\n{"patient_id":"\\ud800"}\n'
    got = read(ndjson_path, content)
    assert b"\n".join(values(got)) + b"\n" == content
    assert got[1] == [(2, "json"), (3, "not_an_object"), (4, "encoding"), (5, "json")]
    assert {key for key, _ in got[0]} == {None}


def test_an_endless_ndjson_line_is_sent_in_pieces(ndjson_path: Path) -> None:
    long = b'{"notes":"' + b"x" * (2 * MAX_LINE) + b'"}'
    got = read(ndjson_path, b'{"a":"1"}\n' + long + b'\n{"b":"2"}\n')
    assert b"".join(values(got)) == b'{"a":"1"}' + long + b'{"b":"2"}'
    assert got[1] == [(2, "too_long")]


# --- JSON array ---


@pytest.mark.parametrize(
    ("content", "sent", "bad"),
    [
        (b'[{"a":"1"}, {"a":"2"}]\n', [b'{"a":"1"}', b'{"a":"2"}'], []),
        (b"\xef\xbb\xbf \n [ ]", [], []),
        (b'[{"a":"1"},\n5,\n[1,{}],null]', [b'{"a":"1"}', b"5", b"[1,{}]", b"null"], [2, 3, 3]),
        (b'[{"a":"n"},\n\n5,{"b":1},\n6]', [b'{"a":"n"}', b"5", b'{"b":1}', b"6"], [3, 4]),
    ],
)
def test_a_json_array_is_sent_whole(json_path: Path, content: bytes, sent: list[bytes], bad: list[int]) -> None:
    got = read(json_path, content)
    assert values(got) == sent
    assert got[1] == [(line, "not_an_object") for line in bad]


@pytest.mark.parametrize(
    ("content", "sent", "line"),
    [
        (b'[{"a":"1"},\n{"a":tru},\n{"a":"3"}]', 1, 2),
        (b'\n\n[{"a":"\xff"},\n{"a":"3"}]', 0, 3),
        (b'[{"a":"1"} {"b":"]}"}]', 1, 1),
        (b'[{"a":"1"},,{"a":"2"}]', 1, 1),
        (b'[{"a":"1"},\n{"a":"2"}\n', 2, 3),
        (b'[{"a":"1"}]\ngarbage', 1, 2),
    ],
)
def test_a_broken_json_array_is_sent_up_to_there(json_path: Path, content: bytes, sent: int, line: int) -> None:
    got = read(json_path, content)
    assert len(got[0]) == sent
    assert got[1] == [(line, "array")]


def test_json_keys_are_patient_ids(json_path: Path) -> None:
    got = read(json_path, b'[{"patient_id":"P1"},{"patient_id":1},{"patient_id":""},{"patient_id":"\\u00e4"}]')
    assert [key for key, _ in got[0]] == [b"P1", None, None, "ä".encode()]


def test_an_element_too_long_for_the_broker_is_sent_in_pieces(json_path: Path) -> None:
    long = b'{"a":"' + b"x" * (2 * MAX_LINE) + b'"}'
    got = read(json_path, b'[{"a":"1"},\n' + long + b"]")
    assert b"".join(values(got)) == b'{"a":"1"}' + long
    assert max(map(len, values(got))) == MAX_LINE
    assert got[1] == [(2, "too_long")]


# --- all formats ---


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("events.xml", None, "the format of events.xml is not known; got .xml; expected csv, json or ndjson; "),
        ("events", None, "the format of events is not known; got no suffix; expected csv, json or ndjson; "),
        ("events.csv", "xlsx", "the format of events.csv is not known; got xlsx; expected csv, json or ndjson; "),
    ],
)
def test_an_unknown_format_is_refused(tmp_path: Path, name: str, asked: str | None, message: str) -> None:
    (tmp_path / name).write_text("patient_id\n")
    with pytest.raises(UsageError) as caught:
        FileSource(tmp_path / name, asked)
    assert str(caught.value) == message + "name it with --format"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["e.csv", "e.json", "e.jsonl"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=r"e\.\w+ is empty; got no bytes; expected at least one event"):
        FileSource(tmp_path / name)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv cannot be read; got No such file or directory"):
        FileSource(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="cannot be read; got Is a directory"):
        FileSource(tmp_path, "csv")


def test_a_json_file_that_is_no_array_is_refused(json_path: Path) -> None:
    json_path.write_bytes(b'{"a":"1"}\n{"a":"2"}\n')
    with pytest.raises(UsageError, match=r"does not hold a JSON array; .* use --format ndjson"):
        FileSource(json_path)
    assert len(values(read(json_path, json_path.read_bytes(), "NDJSON"))) == 2


def test_a_source_can_be_read_twice(ndjson_path: Path) -> None:
    ndjson_path.write_bytes(b'{"a":"1"}\nbad\n')
    source = FileSource(ndjson_path)
    for _ in range(2):
        assert sum(map(len, source.blocks())) == 2
        assert (source.messages, source.bad) == (2, {"json": 1})


def events(number: int) -> Iterator[dict[str, str]]:
    for index in range(number):
        yield {name: f"{name} {index} " + "x" * 20 for name in FIELDS}


def write(path: Path, number: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(events(number))
        elif path.suffix == ".ndjson":
            file.writelines(json.dumps(event) + "\n" for event in events(number))
        else:
            file.write("[" + ",\n".join(map(json.dumps, events(number))) + "]")


def drained(blocks: Iterator[MessageBatch]) -> int:
    return sum(len(block) for block in blocks)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".ndjson"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer.sources.lines._BLOCK_MESSAGES", 200)

    def peak(number: int) -> int:
        path = tmp_path / f"{number}{suffix}"
        write(path, number)
        tracemalloc.start()
        try:
            assert drained(FileSource(path).blocks()) == number
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # The second file is 4 MB longer; two blocks are 0.5 MB.
    assert peak(4_500) < peak(1_000) + 300_000
