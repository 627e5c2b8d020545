"""The reference table of staffed beds: what is read, and what is refused in one line."""

import re
from pathlib import Path

import pytest

from lake.errors import UsageError
from lake.gold.staffed_beds import NONE, read
from producer.simulator.hospital import Hospital

HEAD = "facility,department,staffed_beds,valid_from\n"


def test_the_simulators_table_is_read(tmp_path: Path) -> None:
    Hospital().write_staffed_beds(tmp_path / "beds.csv")
    found = read(tmp_path / "beds.csv", required=True)
    assert found.rows is not None
    assert found.rows.height == 24
    assert found.rows["staffed_beds"].sum() == 603


def test_no_table_is_none_unless_it_was_named(tmp_path: Path) -> None:
    assert read(tmp_path / "absent.csv", required=False) == NONE
    with pytest.raises(
        UsageError, match=r"absent\.csv cannot be used; got FileNotFoundError; expected a CSV file with"
    ):
        read(tmp_path / "absent.csv", required=True)


def test_the_fingerprint_is_of_what_it_says_not_of_how(tmp_path: Path) -> None:
    one, other, third = (tmp_path / name for name in ("one.csv", "other.csv", "third.csv"))
    one.write_text(HEAD + "N,A,1,2026-01-01\nN,B,2,2026-01-01\n")
    other.write_text("note," + HEAD + "x,N,B,2,2026-01-01\ny,N,A,1,2026-01-01\nz,N,A,1,2026-01-01\n")
    third.write_text(HEAD + "N,A,1,2026-01-01\nN,B,3,2026-01-01\n")
    assert read(one, required=True).fingerprint == read(other, required=True).fingerprint
    assert read(one, required=True).fingerprint != read(third, required=True).fingerprint


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (HEAD + "N,A,1,2026-01-01\nN,A,2,2026-01-01\n", "two rows for one unit and day (2 rows)"),
        (HEAD + "N,A,-1,2026-01-01\n", "staffed_beds|min (1 rows)"),
        (HEAD + "N,A,2.5,2026-01-01\n", "staffed_beds|nullability (1 rows)"),
        (HEAD + "N,A,many,2026-01-01\n", "staffed_beds|nullability (1 rows)"),
        (HEAD + "N,A,1,01/02/2026\n", "valid_from|nullability (1 rows)"),
        (HEAD + ",A,1,2026-01-01\n", "facility|nullability (1 rows)"),
        ("facility,department,beds\nN,A,1\n", "ColumnNotFoundError"),
        ("", "NoDataError"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, text: str, got: str) -> None:
    path = tmp_path / "beds.csv"
    path.write_text(text)
    said = f"the staffed beds in {path} cannot be used; got {got}; expected "
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        read(path, required=True)
    assert "the old Gold stands" in str(refused.value)
