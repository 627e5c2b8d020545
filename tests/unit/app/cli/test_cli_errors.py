"""Wrong use gives one clear line and exit 2: what is wrong, what was got, what was expected, the next move.

No broker, wrong key for this lake, unknown policy, a lake made by a newer version, a path that is not a lake, SQL
that writes or reads files; and the ways to hold the other commands wrongly.
"""

import base64
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from app.cli import demo
from app.jobs.lake_session import open_or_create
from app.settings import load
from lake.contracts.tables import TABLES
from lake.storage import metadata, store
from lake.storage.metadata import METADATA_FILE
from tests.support.commands import SECONDS
from tests.support.lakes import KEY, KEY_TEXT, Feeder, Ran, event, make_lake, rows, simulated, wardlake

OTHER_KEY: Final = base64.b64encode(b"another key of thirty-two bytes.").decode()
NOWHERE: Final = "127.0.0.1:1"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake; the tests of this module do not change it."""
    path = tmp_path_factory.mktemp("errors") / "lake"
    make_lake(path, simulated(40))
    return path


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def line(ran: Ran) -> str:
    """The one line of a command that was used wrongly."""
    assert (ran.code, ran.out) == (2, "")
    assert re.fullmatch(r"wardlake: [^\n]+\n", ran.err), "stderr is not one line"
    return ran.err.removeprefix("wardlake: ").strip()


def parts(text: str) -> tuple[bool, bool, bool, bool]:
    """Whether a line has its four parts: what, got, expected, next move."""
    said = text.split("; ")
    got = [i for i, part in enumerate(said) if part.startswith("got ")]
    expected = [i for i, part in enumerate(said) if part.startswith("expected ")]
    return said[0] != "", bool(got), bool(expected), bool(expected) and expected[-1] < len(said) - 1


COMPLETE: Final = (True, True, True, True)


WITHOUT_BROKER: Final = {
    "stream": ("stream", "--until-caught-up"),
    "file": ("produce", "file", "events.ndjson"),
    "simulate": ("produce", "simulate", "--events", "10"),
    "demo": ("demo", "--once", "--events", "10"),
}


def test_no_broker(tmp_path: Path) -> None:
    """Run at once, for each waits a while for an answer."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("WARDLAKE_")}
    running = {}
    for name, arguments in WITHOUT_BROKER.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "events.ndjson").write_bytes(event())
        running[name] = subprocess.Popen(
            [sys.executable, "-m", "app", *arguments],
            cwd=folder,
            env=plain | {"WARDLAKE_KAFKA": NOWHERE},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    ended = {name: (process.communicate(timeout=SECONDS), process.returncode) for name, process in running.items()}
    for name, (texts, code) in ended.items():
        text = line(Ran(code, *texts))
        assert text.startswith(f"no Kafka broker answers at {NOWHERE}; got ")
        assert "wardlake broker" in text
        assert "WARDLAKE_KAFKA" in text
        assert parts(text) == COMPLETE
        left = [path.name for path in (tmp_path / name).iterdir()]
        assert left == ["events.ndjson"] or name == "stream"


def test_a_timeout_without_what_it_is_for(tmp_path: Path) -> None:
    text = line(wardlake("stream", "--timeout", "5", "--kafka", NOWHERE))
    assert text == (
        "--timeout is for --until-caught-up; got --timeout alone; expected both, or neither; "
        "add --until-caught-up, or leave out --timeout"
    )
    assert list(tmp_path.iterdir()) == []


def test_no_broker_leaves_no_lake_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lake.kafka.CONNECT_SECONDS", 0.5)
    line(wardlake("stream", "--kafka", NOWHERE))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [("stream", "--kafka", NOWHERE), ("verify",), ("replay",), ("quarantine", "replay")]
)
def test_wrong_key_for_this_lake(root: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", OTHER_KEY)
    text = line(wardlake(*command, "--lake", root))
    assert text.startswith(f"this is not the key of the lake at {root}; got key ")
    assert "set WARDLAKE_KEY or WARDLAKE_KEY_FILE" in text
    assert OTHER_KEY not in text
    assert parts(text) == COMPLETE


def test_no_key_for_this_lake(root: Path, tmp_path: Path) -> None:
    text = line(wardlake("verify", "--lake", root, "--key-file", tmp_path / "gone"))
    assert text.startswith(f"the lake's key is not there; got no WARDLAKE_KEY and no file {tmp_path / 'gone'}")
    assert parts(text) == COMPLETE
    line(wardlake("stream", "--lake", root, "--kafka", NOWHERE))
    assert list(tmp_path.iterdir()) == []  # no new key was made for a lake that has one


@pytest.mark.parametrize("content", ["", "short", "!!!", "AAAA", "\xff"])
def test_a_key_file_that_holds_no_key(root: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content, encoding="latin-1")
    text = line(wardlake("verify", "--lake", root, "--key-file", tmp_path / "key"))
    assert parts(text) == COMPLETE
    assert not content or content not in text.split(str(tmp_path))[-1]


@pytest.mark.parametrize("command", [("stream",), ("replay",), ("quarantine", "replay")])
def test_unknown_policy(root: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    text = line(wardlake(*command, "--policy", "generous", "--lake", root))
    assert text == "unknown masking policy; got 'generous'; expected one of display; set WARDLAKE_POLICY"


ON_A_LAKE: Final = [
    ("sql", "SELECT 1"),
    ("status",),
    ("verify",),
    ("replay",),
    ("quarantine", "list"),
    ("quarantine", "replay"),
]


OTHER_FORMATS: Final = {
    99: "a newer version of Wardlake; got lake format 99; expected lake format 3; upgrade Wardlake",
    2: "an older version of Wardlake; got lake format 2; expected lake format 3; set WARDLAKE_LAKE to another folder "
    "and send the events again",
}


@pytest.mark.parametrize("command", [*ON_A_LAKE, ("stream", "--kafka", NOWHERE), ("key", "rotate")])
@pytest.mark.parametrize("other", OTHER_FORMATS)
def test_a_lake_made_by_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], other: int
) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    root = tmp_path / "lake"
    make_lake(root)
    of_format(root, other)
    before = (root / METADATA_FILE).read_text()
    text = line(wardlake(*command, "--lake", root))
    assert text == f"the lake at {root} was made by {OTHER_FORMATS[other]}"
    assert (root / METADATA_FILE).read_text() == before


def of_format(root: Path, number: int) -> None:
    """Have the lake be of this format."""
    metadata = root / METADATA_FILE
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"format": number}))


@pytest.mark.parametrize("command", [*ON_A_LAKE, ("stream", "--kafka", NOWHERE)])
def test_a_path_that_is_not_a_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("mine")
    for path in (tmp_path / "letters", tmp_path / "letters" / "letter.txt"):
        text = line(wardlake(*command, "--lake", path))
        assert text.startswith(f"{path} is not a lake; got ")
        assert parts(text) == COMPLETE
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("command", ON_A_LAKE)
def test_no_lake_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    text = line(wardlake(*command))
    assert text.startswith(f"there is no lake at {tmp_path / 'data' / 'lake'}; got nothing there")
    assert "run 'wardlake stream' or 'wardlake demo' first" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "COPY (SELECT 1) TO 'out.csv'",
        "COPY silver.events TO 'out.parquet'",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO ops.audit SELECT * FROM ops.audit",
        "ATTACH 'out.db'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('secret.csv')",
        "FROM 'secret.csv'",
        "SELECT * FROM glob('*')",
        "SELECT * FROM bronze.events",
        "SELECT 1; SELECT 2",
        "SELEC 1",
        "SELECT nope FROM silver.events",
        "",
    ],
)
def test_sql_that_writes_reads_files_or_is_none(root: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "secret.csv").write_text("word\nsesame\n")
    said = line(wardlake("sql", text, "--lake", root))
    assert said.startswith(("only a single SELECT is run here; got ", "the query cannot be run; got "))
    assert "sesame" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_a_flag_with_a_value_that_does_not_fit(subtests: pytest.Subtests) -> None:
    for arguments, what in [
        (("stream", "--dedup-key", "patient_id"), "--dedup-key is wrong; got 'patient_id'"),
        (
            ("stream", "--dedup-key", "patient_id,event_time,ssn"),
            "--dedup-key is wrong; got 'patient_id,event_time,ssn'",
        ),
        (("verify", "--dedup-key", "nope"), "--dedup-key is wrong; got 'nope'"),
        (("stream", "--batch-seconds", "0"), "--batch-seconds is wrong; got 0.0; expected a number of seconds"),
        (("stream", "--batch-seconds", "61"), "--batch-seconds is wrong; got 61.0"),
        (("stream", "--batch-messages", "0"), "--batch-messages is wrong; got 0; expected a whole number"),
        (("stream", "--topic", "a b"), "--topic is wrong; got 'a b'"),
        (("stream", "--kafka", "nowhere"), "--kafka is wrong; got 'nowhere'; expected host:port"),
    ]:
        with subtests.test(arguments=arguments):
            text = line(wardlake(*arguments))
            assert text.startswith(what)
            assert parts(text) == COMPLETE


def test_what_the_command_line_itself_refuses_is_one_line_too(subtests: pytest.Subtests) -> None:
    for arguments in [
        ("stream", "--batch-seconds", "soon"),
        ("sql", "SELECT 1", "--format", "xml"),
        ("produce", "simulate", "--events", "0"),
        ("sql",),
        ("quarantine", "list", "--limit", "0"),
        ("broker", "--port", "70000"),
        ("stream", "--colour", "blue"),
        ("streem",),
    ]:
        with subtests.test(arguments=arguments):
            assert line(wardlake(*arguments))


@pytest.mark.parametrize(
    ("name", "content", "flags", "what"),
    [
        ("gone.csv", None, (), "gone.csv cannot be read; got No such file or directory"),
        ("folder.csv", "folder", (), "folder.csv cannot be read; got Is a directory"),
        ("events.txt", "x", (), "the format of events.txt is not known; got .txt; expected csv, json or ndjson"),
        ("events.csv", "x", ("--format", "xml"), "the format of events.csv is not known; got xml"),
        ("events.csv", "", (), "events.csv is empty"),
        ("events.json", '{"a": 1}', (), "events.json does not hold a JSON array"),
    ],
)
def test_a_source_that_cannot_be_sent(
    tmp_path: Path, name: str, content: str | None, flags: tuple[str, ...], what: str
) -> None:
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_text(content)
    assert line(wardlake("produce", "file", name, *flags, "--kafka", NOWHERE)).startswith(what)


def test_a_simulation_that_is_out_of_range() -> None:
    text = line(wardlake("produce", "simulate", "--duplicates", "3", "--kafka", NOWHERE))
    assert text.startswith("simulator setting duplicates is out of range; got 3.0; expected a fraction from 0 to 0.5")


def test_the_demo_replaces_no_lake_but_a_demos(tmp_path: Path) -> None:
    lake = tmp_path / "data" / "lake"
    make_lake(lake, [(0, event())])
    text = line(wardlake("demo", "--once", "--events", "10", "--kafka", NOWHERE))
    assert text.startswith(f"the lake at {lake} was not made by a demo; got a lake with data of its own")
    assert "WARDLAKE_DATA" in text
    assert parts(text) == COMPLETE
    assert rows(lake, TABLES[0]).height == 1


def test_the_demo_replaces_no_lake_that_other_data_went_to(tmp_path: Path) -> None:
    settings = load()
    open_or_create(settings, demo=True)
    Feeder(open_or_create(settings)).land([(0, event())])  # as `wardlake stream` does
    line(wardlake("demo", "--once", "--events", "10", "--kafka", NOWHERE))
    assert rows(settings.lake, TABLES[0]).height == 1


def test_a_settings_file_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "wardlake.toml").write_text("topik = 'x'\n")
    assert line(wardlake("status")).startswith("unknown setting in wardlake.toml; got 'topik'")


def test_a_real_process_says_it_the_same_way(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", "verify", "--lake", str(tmp_path / "none")]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert line(Ran(run.returncode, run.stdout, run.stderr)).startswith("there is no lake at ")


def test_a_reader_that_leaves_early_is_no_error(root: Path) -> None:
    query = "SELECT * FROM range(200000)"
    command = [sys.executable, "-m", "app", "sql", query, "--format", "csv", "--lake", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode in {0, 1, 141}


def test_a_demo_s_own_lake_of_another_format_makes_room_for_the_next(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    store.create(lake, KEY, demo=True)
    metadata.write(lake, replace(metadata.read(lake), format=2))
    demo._make_room(load(data=tmp_path))
    assert not lake.exists()
