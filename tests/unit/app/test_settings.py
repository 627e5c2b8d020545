"""Settings: what wins over what, what is refused and how, and that the key is shown nowhere."""

import base64
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.services import broker
from app.settings import DEDUP_OPTIONAL, DEDUP_REQUIRED, DEFAULT_KAFKA, Settings, load
from lake.contracts.event import FIELDS, TOPIC
from lake.errors import UsageError

KEY = base64.b64encode(bytes(range(32))).decode()
NEXT = "correct it, or leave it out for the default (docs/reference/configuration.md)"


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder: no settings file of the developer's own."""
    monkeypatch.chdir(tmp_path)


def refused(**flags: object) -> str:
    with pytest.raises(UsageError) as caught:
        load(**flags)
    return str(caught.value)


def test_defaults(tmp_path: Path) -> None:
    settings = load()
    assert settings.data == tmp_path / "data"
    assert settings.lake == tmp_path / "data" / "lake"
    assert settings.key_path == tmp_path / "data" / "lake.key"
    assert (settings.kafka, settings.bootstrap) == (None, "127.0.0.1:9092")
    assert (settings.topic, settings.group, settings.policy) == (TOPIC, "wardlake", "display")
    assert (settings.key, settings.key_file) == (None, None)
    assert settings.dedup_key == ("patient_id", "event_time")
    assert settings.stale_visit_days == 60
    assert (settings.timezone, settings.batch_messages, settings.batch_seconds) == ("UTC", 15_000, 0.5)


def test_the_default_kafka_is_where_the_embedded_broker_listens() -> None:
    assert f"{broker.HOST}:{broker.DEFAULT_PORT}" == DEFAULT_KAFKA


def test_flag_wins_over_environment_over_file_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("wardlake.toml").write_text('topic = "file"\ngroup = "file"\npolicy = "file"\n')
    monkeypatch.setenv("WARDLAKE_TOPIC", "environment")
    monkeypatch.setenv("WARDLAKE_GROUP", "environment")
    settings = load(topic="flag", group=None)
    assert (settings.topic, settings.group, settings.policy, settings.timezone) == (
        "flag",
        "environment",
        "file",
        "UTC",
    )


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", "")
    monkeypatch.setenv("WARDLAKE_CONFIG", "")
    monkeypatch.setenv("WARDLAKE_TOPIC", "")
    assert (load().key, load().topic) == (None, TOPIC)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load().topic = "other"


def test_paths_start_at_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WARDLAKE_DATA", "here")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    settings = load(lake="/elsewhere/lake", key_file="~/key")
    monkeypatch.chdir("/")
    assert settings.data == tmp_path / "here"
    assert settings.lake == Path("/elsewhere/lake")
    assert settings.key_path == settings.key_file == tmp_path / "me" / "key"


def test_the_lake_follows_the_data_folder(tmp_path: Path) -> None:
    assert load(data="other").lake == tmp_path / "other" / "lake"


def test_the_dedup_key_is_text_with_commas_or_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_DEDUP_KEY", "event_time, patient_id ,ward")
    assert load().dedup_key == ("event_time", "patient_id", "ward")
    Path("wardlake.toml").write_text('dedup_key = ["patient_id", "event_time", "bed"]')
    monkeypatch.delenv("WARDLAKE_DEDUP_KEY")
    assert load().dedup_key == ("patient_id", "event_time", "bed")


def test_the_dedup_key_is_made_of_fields_of_the_contract() -> None:
    assert {*DEDUP_REQUIRED, *DEDUP_OPTIONAL} <= set(FIELDS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kafka", "kafka:9092"),
        ("kafka", "a.example:9092, [::1]:9093"),
        ("topic", "healthcare.data-2_x"),
        ("policy", "safe_harbor"),
        ("timezone", "Asia/Kathmandu"),
        ("stale_visit_days", "1"),
        ("batch_messages", "500000"),
        ("batch_seconds", "0.05"),
        ("workers", "64"),
    ],
)
def test_what_fits_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"WARDLAKE_{name.upper()}", text)
    assert str(getattr(load(), name)) == text


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("kafka", "localhost", "host:port, or several with commas between, such as 127.0.0.1:9092"),
        ("kafka", "a:9092,,b:9092", "host:port, or several with commas between, such as 127.0.0.1:9092"),
        ("kafka", "a:0", "host:port, or several with commas between, such as 127.0.0.1:9092"),
        ("topic", "health care", "1 to 249 letters, digits, dots, dashes or underscores"),
        ("topic", "..", "1 to 249 letters, digits, dots, dashes or underscores"),
        ("group", "a/b", "1 to 249 letters, digits, dots, dashes or underscores"),
        ("policy", "../display", "the name of a masking policy, such as display"),
        ("timezone", "Mars/Olympus", "an IANA time zone, such as Europe/London"),
        ("timezone", "../UTC", "an IANA time zone, such as Europe/London"),
        ("timezone", "Europe", "an IANA time zone, such as Europe/London"),
        ("stale_visit_days", "0", "a whole number of days from 1 to 36500"),
        ("stale_visit_days", "36501", "a whole number of days from 1 to 36500"),
        ("stale_visit_days", "1.5", "a whole number of days from 1 to 36500"),
        ("batch_messages", "0", "a whole number from 1 to 500000"),
        ("batch_messages", "500001", "a whole number from 1 to 500000"),
        ("batch_messages", "many", "a whole number from 1 to 500000"),
        ("batch_seconds", "0.01", "a number of seconds from 0.05 to 60"),
        ("batch_seconds", "nan", "a number of seconds from 0.05 to 60"),
        ("batch_seconds", "61", "a number of seconds from 0.05 to 60"),
        ("workers", "0", "a whole number from 1 to 64"),
        ("workers", "65", "a whole number from 1 to 64"),
    ],
)
def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, text: str, expected: str) -> None:
    variable = f"WARDLAKE_{name.upper()}"
    monkeypatch.setenv(variable, text)
    assert refused() == f"{variable} is wrong; got {text!r}; expected {expected}; {NEXT}"


@pytest.mark.parametrize(
    "text",
    [
        "patient_id",
        "event_time,ward",
        "patient_id,event_time,ssn",
        "patient_id,event_time,event_time",
        "patient_id,event_time,",
    ],
)
def test_a_wrong_dedup_key_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WARDLAKE_DEDUP_KEY", text)
    assert refused().startswith(
        f"WARDLAKE_DEDUP_KEY is wrong; got {text!r}; expected patient_id and event_time, once each; "
        "beside them only message_id, "
    )


def test_an_error_names_where_the_value_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("wardlake.toml").write_text("batch_messages = true")
    assert refused().startswith("batch_messages in wardlake.toml is wrong; got True; ")
    monkeypatch.setenv("WARDLAKE_BATCH_MESSAGES", "x")
    assert refused().startswith("WARDLAKE_BATCH_MESSAGES is wrong; got 'x'; ")
    assert refused(batch_messages=-1).startswith("--batch-messages is wrong; got -1; ")


def test_a_long_value_is_cut_and_stays_on_one_line() -> None:
    text = refused(topic="a\n" * 1000)
    assert "\n" not in text
    assert len(text) < 400


def test_an_unknown_setting_in_the_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.toml").write_text('polcy = "display"')
    monkeypatch.setenv("WARDLAKE_CONFIG", "mine.toml")
    assert refused() == (
        f"unknown setting in mine.toml; got 'polcy'; expected one of {', '.join(Settings.model_fields)}; "
        "remove or rename it"
    )


def test_an_unknown_flag_is_refused() -> None:
    assert refused(polcy="display").startswith("unknown flag; got 'polcy'; expected one of data, lake, ")


def test_a_named_file_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_CONFIG", "absent.toml")
    assert refused() == (
        "the settings file absent.toml cannot be read; got No such file or directory; "
        "expected a readable TOML file; correct it, or point WARDLAKE_CONFIG at another"
    )


@pytest.mark.parametrize(
    ("raw", "got"),
    [
        (b"topic = ", "got a TOML error: Invalid value (at end of document); "),
        (b'topic = "\xff"', "got bytes that are not UTF-8; "),
    ],
)
def test_a_broken_file_is_refused(raw: bytes, got: str) -> None:
    Path("wardlake.toml").write_bytes(raw)
    assert got in refused()


def test_the_key_is_not_shown() -> None:
    settings = load(key=KEY)
    assert settings.key is not None
    assert settings.key.get_secret_value() == KEY
    shown = f"{settings!r} {settings!s} {settings.model_dump()} {settings.model_dump_json()}"
    assert KEY not in shown


@pytest.mark.parametrize(
    ("key", "got"),
    [
        (KEY[:-4], "30 bytes (not shown)"),
        ("c2VjcmV0LXNlY3JldA==", "13 bytes (not shown)"),
        ("secret-secret", "text that is not base64 (not shown)"),
        ("secr\u00e9t-secret", "text that is not base64 (not shown)"),
    ],
)
@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_a_wrong_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, source: str, key: str, got: str) -> None:
    flags: dict[str, object] = {}
    if source == "flag":
        flags["key"] = key
    elif source == "environment":
        monkeypatch.setenv("WARDLAKE_KEY", key)
    else:
        Path("wardlake.toml").write_text(f'key = "{key}"', "utf-8")
    with pytest.raises(UsageError) as caught:
        load(**flags)
    assert f"is wrong; got {got}; expected 32 bytes in base64; " in str(caught.value)
    assert key not in "".join(traceback.format_exception(caught.value))
    # Nor through the chain, which a crash reporter would follow.
    assert caught.value.__context__ is None


def test_a_wrong_key_is_not_shown_by_pydantic_either() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(key="secret-secret")  # type: ignore[arg-type]
    assert "secret-secret" not in str(caught.value)


def test_a_key_may_end_in_a_newline_as_files_do() -> None:
    assert load(key=f"{KEY}\n").key is not None
