"""Canary: records with marker identifiers pass through every step while each step is made to fail.

No marker may appear in logs, exceptions, metrics, state, temporary files or any decrypted file, in any of the forms
that a careless encoding gives it.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import polars as pl
import pytest
from confluent_kafka import Producer

from app.stream.batches import without_values_in_errors
from lake.contracts.tables import SILVER, TABLES
from lake.errors import StepError
from tests.corpus.bad_input import FULL
from tests.support.commands import SECONDS

ROOT: Final = Path(__file__).resolve().parents[3]
CHILD: Final = ROOT / "tests" / "support" / "failing_stream.py"

MARKERS: Final = {
    "patient_name": "Zwyxola Quorvenbrax",
    "ssn": "918-27-3645",
    "phone": "(739) 284-6157",
    "email": "qz.wumpkin@canary-mail.example",
    "street": "8142 Vexlorne Terrace",
    "patient_id": "MRNQX739518",
    "visit_id": "VISKJ264097",
    "date_of_birth": "1913-11-27",
    "name part": "Quorvenbrax",
    "other SSN": "937-46-8251",
    "other phone": "628-405-9173",
    "other e-mail": "blorptide@elsewhere.example",
}
"""What may stand nowhere, in no form."""

WORD: Final = "Glimfarkle"
"""A word of the notes, of a facility and of unlisted fields: no identifier, so Silver alone may show it."""

PERSON: Final = FULL | {
    "patient_name": MARKERS["patient_name"],
    "ssn": MARKERS["ssn"],
    "phone": MARKERS["phone"],
    "email": MARKERS["email"],
    "address": f"{MARKERS['street']}, Springfield, IL 62704",
    "patient_id": MARKERS["patient_id"],
    "visit_id": MARKERS["visit_id"],
    "date_of_birth": MARKERS["date_of_birth"],
    "facility": f"{WORD} Clinic",
    "message_id": f"{MARKERS['patient_id']}-1",
    "notes": f"{WORD}: {' '.join(MARKERS.values())}, DOB:{MARKERS['date_of_birth']}; {MARKERS['ssn']}",
    "diagnosis": f"seen by {MARKERS['patient_name'].upper()}",
}


def payloads() -> list[bytes | None]:
    """Good, exact duplicate, conflict, and one of each way to end up in quarantine, all full of markers."""
    everything = " ".join([WORD, *MARKERS.values()])
    changes: list[dict[str, Any]] = [
        {},
        {"message_id": "exact_duplicate"},
        {"ward": everything},
        {"event_time": "2024-03-02T00:00:00Z", "ssn": f"about {MARKERS['ssn']}", "phone": everything},
        {"event_time": everything},
        {"sex": everything, "diagnosis_code": everything},
        {"notes": [everything]},
        {"notes": everything * 1000},
        {"event_time": "2024-03-03T00:00:00Z", WORD: everything, everything: 1},
    ]
    written = [json.dumps(PERSON | change).encode() for change in changes]
    return [*written, written[0][:-20], everything.encode() + b"\xff", None]


class Run(NamedTuple):
    code: int
    said: str
    folder: Path


def run(broker: str, topic: str, folder: Path, step: str, how: str) -> Run:
    """Publish the messages and run the stream with one step failing, its files all under ``folder``."""
    producer = Producer({"bootstrap.servers": broker, "log_level": 0})
    headers = [("patient", MARKERS["patient_id"].encode())]
    for payload in payloads():
        producer.produce(topic, value=payload, key=MARKERS["patient_id"], headers=headers)
    assert producer.flush(10) == 0
    for name in ("tmp", "home", "cwd"):
        (folder / name).mkdir()
    environment = os.environ | {
        "TMPDIR": str(folder / "tmp"),
        "HOME": str(folder / "home"),
        "PYTHONPATH": str(ROOT),
        "WARDLAKE_KAFKA": broker,
        "WARDLAKE_TOPIC": topic,
        "WARDLAKE_GROUP": topic,
        "WARDLAKE_BATCH_SECONDS": "0.2",
    }
    done = subprocess.run(
        [sys.executable, str(CHILD), step, how],
        env=environment, cwd=folder / "cwd", capture_output=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    return Run(done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"), folder)


def forms(metadata: str) -> Iterator[bytes]:
    """The marker as it is, in other cases and in the encodings in which it could be overlooked."""
    plain = metadata.encode()
    yield from (plain, plain.lower(), plain.upper(), metadata.encode("utf-16-le"), quote(metadata).encode())
    yield from (plain.hex().encode(), plain.hex().upper().encode())
    digits = bytes(c for c in plain if chr(c).isdigit())
    if len(digits) >= 8:
        yield digits
    for shift in range(3):  # a base64 text in which the marker stands somewhere
        whole = base64.b64encode(b"x" * shift + plain)[4 if shift else 0 :]
        yield whole.rstrip(b"=")[:-1]
    for algorithm in ("md5", "sha1", "sha256"):  # a pseudonym without a key could be guessed at
        yield hashlib.new(algorithm, plain).hexdigest()[:32].encode()


def found_in(content: bytes) -> list[str]:
    """The names of the markers that stand in the content: never their values."""
    return [name for name, metadata in MARKERS.items() if any(form in content for form in forms(metadata))]


def readable(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file under the folder as it is on disk, its name, and what a Parquet file holds once decompressed."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        yield f"the name of {name}", name.encode()
        if path.is_file():
            yield name, path.read_bytes()
        if path.suffix == ".parquet":
            yield f"the rows of {name}", texts(pl.read_parquet(path, hive_partitioning=False))


def texts(rows: pl.DataFrame) -> bytes:
    """All values of a frame, nested ones too, as text; bytes as they are."""
    plain = [repr(row).encode() for row in rows.iter_rows()]
    raw = [value for column in rows.select(pl.col(pl.Binary)) for value in column if value]
    return b"\n".join([*plain, *raw])


def leaks(done: Run) -> list[str]:
    """Where a marker stands, and which."""
    places = [("stdout or stderr", done.said.encode()), *readable(done.folder)]
    found = [f"{name} in {place}" for place, content in places for name in found_in(content)]
    silver = f"cwd/data/lake/{SILVER.name}/"
    elsewhere = [(place, content) for place, content in places if silver not in place]
    return found + [f"text of a record in {place}" for place, content in elsewhere if WORD.encode() in content]


STEPS: Final = [
    ("decode", "library"),
    ("validate", "chained"),
    ("mask", "library"),
    ("mask", "panic"),
    ("encrypt", "chained"),
    ("index", "library"),
    ("deduplicate", "library"),
    ("refresh", "library"),
    ("append bronze/events", "chained"),
    ("append bronze/quarantine", "library"),
    ("append ops/ingest", "os"),
    ("append silver/events", "chained"),
    ("commit", "library"),
]


KINDS: Final = {
    "library": "InvalidOperationError",
    "chained": "DeltaError",
    "os": "a full disk",
    "panic": "PanicException",
}
"""All that is said of an error, by how the child raises it."""


@pytest.mark.parametrize(("step", "how"), STEPS, ids=[f"{step}, {how}" for step, how in STEPS])
def test_no_marker_escapes_when_a_step_fails(broker: str, topic: str, tmp_path: Path, step: str, how: str) -> None:
    done = run(broker, topic, tmp_path, step, how)
    assert leaks(done) == []
    assert done.code == 2
    assert "Traceback" not in done.said
    told = [line for line in done.said.splitlines() if line.startswith("wardlake: ")]
    assert len(told) == 1
    assert KINDS[how] in told[0], "it failed at something else"


def test_no_marker_escapes_when_nothing_fails(broker: str, topic: str, tmp_path: Path) -> None:
    done = run(broker, topic, tmp_path, "none", "library")
    assert leaks(done) == []
    assert done.code == 0
    rows = pl.read_parquet(tmp_path / f"cwd/data/lake/{SILVER.name}/**/*.parquet", hive_partitioning=False)
    assert rows.height == 3
    assert rows["patient_name"].to_list() == ["Z*****"] * 3
    assert rows["notes"].str.contains(WORD).all(), "the search has nothing to find"


def test_the_search_finds_a_marker_in_every_form(tmp_path: Path) -> None:
    for number, form in enumerate(forms(MARKERS["patient_id"])):
        (tmp_path / f"{number}.bin").write_bytes(b"before " + form + b" after")
    pl.DataFrame({"a": [["x", MARKERS["patient_id"]]]}).write_parquet(tmp_path / "rows.parquet", compression="zstd")
    (tmp_path / MARKERS["patient_id"]).touch()
    seen = "\n".join(leaks(Run(0, "nothing", tmp_path)))
    assert [path.name for path in tmp_path.iterdir() if f" {path.name}" not in seen] == []
    assert "in the rows of rows.parquet" in seen
    assert "in the name of" in seen
    assert set(found_in(MARKERS["patient_id"].encode())) == {"patient_id"}


def test_every_table_that_a_batch_lands_in_has_its_failure() -> None:
    broken = {step.removeprefix("append ") for step, _ in STEPS if step.startswith("append ")}
    assert broken == {table.name for table in TABLES} - {"ops/audit"}


@pytest.mark.parametrize("error", [ValueError, KeyError, OSError, pl.exceptions.PanicException])
def test_the_error_of_a_step_carries_nothing_of_the_one_that_caused_it(error: type[BaseException]) -> None:
    def work(_: Any) -> Any:
        raise error(MARKERS["patient_id"])

    batch: Any = SimpleNamespace(last_offsets=lambda: {0: 9}, messages=pl.DataFrame())
    with pytest.raises(StepError) as caught:
        without_values_in_errors("mask", batch, lambda: work(batch))
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    assert found_in(shown.encode()) == []
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "whoever logs the chain would log the values"
    assert str(caught.value).startswith(f"the step mask failed; got {error.__name__} in a batch that ends at offsets")
