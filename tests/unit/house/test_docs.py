"""The documentation is complete and points at what is there."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from app.settings import Settings, env_name, flag_name, load
from dashboards.shared.settings import Settings as DashboardSettings

ROOT: Final = Path(__file__).resolve().parents[3]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE: Final = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)[^)]*\)")
HEADING: Final = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
SETTING_ROW: Final = re.compile(r"^\| `WARDLAKE_(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


NO_FLAG: Final = (
    *("key", "new_key", "timezone", "staffed_beds", "stale_visit_days", "heartbeat"),
    *("kafka_security_protocol", "kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password"),
    *("kafka_ssl_ca", "kafka_ssl_certificate", "kafka_ssl_key", "ner"),
)


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(prose(page))}


def test_every_relative_link_leads_somewhere(subtests: pytest.Subtests) -> None:
    for page in PAGES:
        with subtests.test(page=page):
            broken = []
            for found in LINK.finditer(prose(page)):
                path, _, anchor = found["target"].partition("#")
                if re.match(r"[a-z]+:", path):
                    continue
                target = (page.parent / path) if path else page
                if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
                    broken.append(found["target"])
            assert broken == []


def documented_settings() -> dict[str, tuple[str, str]]:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8").split("## Dashboard settings")[0]
    return {name.lower(): (flag.strip("`"), default.strip("`")) for name, flag, default, _ in SETTING_ROW.findall(page)}


def defaults(settings: Settings) -> dict[str, str]:
    """Return the defaults as the page writes them, taken from settings that nobody set."""
    plain = {name: str(value or "none") for name, value in settings}
    return plain | {
        "data": f"{settings.data.name}/",
        "lake": f"$WARDLAKE_DATA/{settings.lake.relative_to(settings.data)}",
        "kafka": settings.bootstrap,
        "key_file": f"$WARDLAKE_DATA/{settings.key_path.relative_to(settings.data)}",
        "dedup_key": ",".join(settings.dedup_key),
        "staffed_beds": f"$WARDLAKE_DATA/{settings.staffed_beds_path.relative_to(settings.data)}",
        "export": f"$WARDLAKE_DATA/{settings.export.relative_to(settings.data)}",
    }


def test_every_setting_has_its_row_and_there_is_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    shown = defaults(load())
    assert documented_settings() == {
        name: ("none" if name in NO_FLAG else flag_name(name), shown[name]) for name in Settings.model_fields
    }


def test_every_variable_that_the_docs_name_is_read() -> None:
    known = {env_name(name) for name in (*Settings.model_fields, *DashboardSettings.model_fields)}
    known |= set(re.findall(r"^#?(WARDLAKE_[A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    known |= {
        "WARDLAKE_DASHBOARD_URL",
        "WARDLAKE_PREFECT_AUTH_FILE",
        "WARDLAKE_TEST_COMPOSE",
        "WARDLAKE_CONFIG",
        "WARDLAKE_TEST_KAFKA",
        "WARDLAKE_HYPOTHESIS",
        "WARDLAKE_TOGETHER_MINUTES",
    }
    named = {name for page in PAGES for name in re.findall(r"\bWARDLAKE_[A-Z_]+\b", page.read_text("utf-8"))}
    assert named <= known


def test_every_setting_of_the_dashboards_is_in_their_docs() -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8").split("## Dashboard settings")[1]
    named = [name for name, field in DashboardSettings.model_fields.items() if field.validation_alias is None]
    own = {env_name(name) for name in named if name not in Settings.model_fields}
    assert own
    assert own == set(re.findall(r"^\| `(WARDLAKE_[A-Z_]+)` \|", page, re.MULTILINE))


def test_every_variable_of_compose_is_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+):-", (ROOT / "compose.yaml").read_text("utf-8")))
    shown = re.findall(r"^#(\w+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
    assert used == {name for name, _ in shown} - {"COMPOSE_PROFILES"}
    told = dict(re.findall(r"\$\{(\w+):-([^}@]*)[^}]*\}", (ROOT / "compose.yaml").read_text("utf-8")))
    assert told == {name: default for name, default in shown if name in told}


def root_command() -> Any:
    """Return the whole command line."""
    return importlib.import_module("app.cli").app  # here, not above: only these tests need it, and it starts slowly


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with the words that call it."""
    below = getattr(command, "commands", None)
    if not below:
        yield name, command
        return
    for word, child in below.items():
        if not child.hidden:
            yield from commands(child, f"{name} {word}")


def test_every_command_is_in_the_docs() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    names = [name for name, _ in commands(root_command(), "wardlake")]
    assert names
    assert [name for name in names if not re.search(rf"{re.escape(name)}\b", text)] == []


def test_every_flag_of_a_setting_is_a_flag_of_some_command() -> None:
    flags = {
        flag
        for _, command in commands(root_command(), "wardlake")
        for parameter in command.params
        for flag in parameter.opts
    }
    assert {flag for flag, _ in documented_settings().values()} - {"none"} <= flags
