"""The export: whole, closed to others, public unless asked, written down, and never seen half done."""

import json
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow.parquet as pq
import pytest

from app import settings
from app.jobs import export
from app.settings import Settings
from lake.contracts.tables import AUDIT
from lake.disclosure import export as files
from lake.disclosure import public_gold
from lake.disclosure.audience import Audience
from lake.disclosure.rounding import FIGURES, HIDDEN, SMALL, Plain, of_people, public
from lake.errors import LakeError, UsageError
from lake.gold.published import Published, last
from lake.gold.tables import GOLD, VIEWS
from tests.support.golds import build, published
from tests.support.lakes import event, make_lake, rows, simulated

NAMES: Final = {*(table.name.removeprefix("gold/") for table in GOLD), *VIEWS}
NOW: Final = datetime(2026, 10, 2, tzinfo=UTC)


def in_force(root: Path) -> Settings:
    return settings.load(lake=root, export=root.parent / "export")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with Gold and one export of it; the tests of this module only read them."""
    lake = make_lake(tmp_path_factory.mktemp("exported") / "lake", simulated(3000))
    build(lake)
    export.export(in_force(lake.root))
    return lake.root


@pytest.fixture
def latest(root: Path) -> Path:
    return root.parent / "export" / "latest"


def test_there_is_a_parquet_and_a_csv_of_every_table_and_view(latest: Path) -> None:
    names = {path.name for path in latest.iterdir()}
    assert names == {f"{name}.{suffix}" for name in NAMES for suffix in ("parquet", "csv")} | {"manifest.json"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_both_files_hold_the_same_public_rows(latest: Path, name: str) -> None:
    parquet = pl.read_parquet(latest / f"{name}.parquet")
    csv = pl.read_csv(latest / f"{name}.csv", schema=parquet.schema)
    assert csv.equals(parquet)
    assert not any(dtype.is_nested() for dtype in parquet.dtypes)
    stored = pq.ParquetFile(latest / f"{name}.parquet").metadata
    assert all(stored.row_group(group).column(0).compression == "ZSTD" for group in range(stored.num_row_groups))
    if of_people(name):
        counts = [column for column, figure in FIGURES[name].items() if figure is Plain.COUNT]
        assert parquet.select(counts).unpivot()["value"].is_between(1, SMALL).sum() == 0
        assert (parquet.select(counts).unpivot()["value"].drop_nulls() % 5 == 0).all()
        assert parquet.columns[-1] == HIDDEN


def test_what_is_exported_is_the_public_form_of_what_was_published(root: Path, latest: Path) -> None:
    for table in GOLD:
        name = table.name.removeprefix("gold/")
        keys = list(table.schema.primary_key())
        expected = public(name, published(root, table)).select(
            c for c, t in table.polars_schema.items() if not t.is_nested()
        )
        found = pl.read_parquet(latest / f"{name}.parquet")
        assert found.select(expected.columns).sort(keys).equals(expected.sort(keys)), name


def test_an_internal_export_is_exact(root: Path, tmp_path: Path) -> None:
    export.export(settings.load(lake=root, export=tmp_path, audience="internal"))
    for table in GOLD:
        name = table.name.removeprefix("gold/")
        found, keys = pl.read_parquet(tmp_path / "latest" / f"{name}.parquet"), list(table.schema.primary_key())
        assert HIDDEN not in found.columns
        assert found.sort(keys).equals(published(root, table).select(found.columns).sort(keys)), name
    manifest = json.loads((tmp_path / "latest" / "manifest.json").read_text())
    assert (manifest["audience"], manifest["disclosure_control"]) == ("internal", None)
    assert public_gold.last(root) is not None


def test_the_manifest_says_what_it_is(root: Path, latest: Path) -> None:
    manifest, found = json.loads((latest / "manifest.json").read_text()), last(root)
    assert found is not None
    assert (manifest["build_id"], manifest["built_at"]) == (found.build_id, found.built_at.isoformat())
    assert f"1 to {SMALL}" in manifest["disclosure_control"]["rule"]
    assert {table["table"] for table in manifest["tables"]} == NAMES
    for table in manifest["tables"]:
        frame = pl.read_parquet(latest / table["files"][0])
        assert (table["rows"], table["columns"]) == (frame.height, frame.columns)
        hidden = 0 if HIDDEN not in frame.columns else frame[HIDDEN].str.count_matches(r"\w+").sum()
        assert table["hidden_figures"] == hidden


def test_nobody_else_can_read_it(latest: Path) -> None:
    assert stat.S_IMODE(latest.resolve().stat().st_mode) == 0o700
    assert stat.S_IMODE(latest.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in latest.iterdir()} == {0o600}


def test_an_export_leaves_a_row_in_the_audit(root: Path, latest: Path) -> None:
    row = rows(root, AUDIT).sort("audited_at").row(0, named=True)
    manifest = json.loads((latest / "manifest.json").read_text())
    assert row["action"] == "export"
    assert row["detail"] == f"Gold build 1, public figures, {len(NAMES)} tables to {latest.parent}"
    assert row["rows"] == sum(table["rows"] for table in manifest["tables"])


def test_without_gold_there_is_nothing_to_export(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [(0, event())])
    with pytest.raises(UsageError, match=r"no Gold to export; got no build .*run 'wardlake flow gold' first$"):
        export.export(in_force(lake.root))
    assert not (tmp_path / "export").exists()
    assert rows(lake.root, AUDIT).is_empty()


def test_what_cannot_be_written_down_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = make_lake(tmp_path / "lake", simulated(60))
    build(lake)
    for file in (lake.root / AUDIT.name / "_delta_log").iterdir():
        file.unlink()
    (lake.root / AUDIT.name / "_delta_log").rmdir()
    with pytest.raises(LakeError, match="cannot be written to ops/audit"):
        export.export(in_force(lake.root))
    assert [path.name for path in (tmp_path / "export").iterdir()] == [".export.lock"]


def test_a_folder_that_cannot_be_written_is_one_clear_error(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        LakeError,
        match=r"^the export to .*file/export failed; got NotADirectoryError \(Not a directory\); .*last export stands$",
    ):
        export.export(settings.load(lake=root, export=tmp_path / "file" / "export"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
@pytest.mark.parametrize("kind", [".parquet", ".csv", ".json"])
def test_a_full_disk_is_called_so(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Polars says ``ComputeError`` where a Parquet file does not fit, and ``OSError`` where a CSV file does not."""
    save = files._save

    def full(path: Path, content: bytes) -> None:
        if path.suffix != kind:
            save(path, content)
            return
        path.symlink_to("/dev/full")
        path.write_bytes(content)

    monkeypatch.setattr(files, "_save", full)
    with pytest.raises(LakeError, match=r"^the export to .* failed; got a full disk; .*last export stands$"):
        export.export(settings.load(lake=root, export=tmp_path / "export"))


# The folder.


def made_by(build_id: int) -> Published:
    return Published(build_id, "full", NOW, 1, "UTC", 0, {}, {}, None, 60, None, None)


def write(folder: Path, build_id: int, value: int, before_it_shows: Any = lambda _: None) -> Path:
    tables = {name: pl.DataFrame({"value": [value] * 1000}) for name in ("a", "b")}
    made, _ = files.write(folder, made_by(build_id), tables, Audience.PUBLIC, NOW, before_it_shows)
    return made.parquet.parent


def test_the_last_three_are_kept_and_latest_is_the_last(tmp_path: Path) -> None:
    for build_id in (8, 9, 10, 10, 11):
        assert write(tmp_path, build_id, build_id).resolve() == (tmp_path / "latest").resolve()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".export.lock", "build-10", "build-10-2", "build-11", "latest",
    ]  # fmt: skip
    assert (tmp_path / "latest").readlink() == Path("build-11")


def test_what_ends_an_export_leaves_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, 1, 1)

    def refuse(_: int) -> None:
        raise UsageError("no")

    with pytest.raises(UsageError):
        write(tmp_path, 2, 2, refuse)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".export.lock", "build-1", "latest"]


def test_what_a_killed_export_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".unfinished").mkdir(parents=True)
    (tmp_path / ".unfinished" / "a.csv").write_text("half")
    (tmp_path / ".latest").symlink_to("build-0")
    assert {path.name for path in write(tmp_path, 1, 1).iterdir()} == {
        "a.csv", "a.parquet", "b.csv", "b.parquet", "manifest.json",
    }  # fmt: skip
    assert not (tmp_path / ".unfinished").exists()


def test_a_reader_of_latest_sees_one_export_or_the_next(tmp_path: Path) -> None:
    write(tmp_path, 1, 1)
    seen, done = [], threading.Event()

    def read() -> Iterator[int]:
        # As a tool does that opens the folder once: the link is followed first.
        folder = (tmp_path / "latest").resolve()
        for name in ("a", "b"):
            frame = pl.read_parquet(folder / f"{name}.parquet")
            assert frame.height == 1000
            yield from frame["value"].unique()

    def reader() -> None:
        while not done.is_set():
            seen.append(tuple(read()))

    thread = threading.Thread(target=reader)
    thread.start()
    try:
        for build_id in range(2, 8):
            write(tmp_path, build_id, build_id)
            before = len(seen)
            while len(seen) < before + 2 and thread.is_alive():  # an export that is three behind is gone
                time.sleep(0.001)
    finally:
        done.set()
        thread.join()
    assert {a for a, _ in seen} >= set(range(2, 8))
    assert all(a == b for a, b in seen)
