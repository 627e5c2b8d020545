"""The dashboards' house rules: one palette, one dictionary of KPIs, every page listed and tested, nothing fetched."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from dashboards import main
from dashboards.screens.diagnoses.queries import ENDINGS
from dashboards.shared import settings, style
from dashboards.shared.definitions import DEFINITIONS
from lake.contracts.event import DISPOSITIONS
from lake.errors import UsageError

ROOT: Final = Path(__file__).resolve().parents[3]
DASHBOARDS: Final = ROOT / "dashboards"
PAGES: Final = [page.name for page in main.PAGES]


def config() -> dict[str, Any]:
    return tomllib.loads((DASHBOARDS / ".streamlit" / "config.toml").read_text())


def test_every_page_is_listed_and_there_is_no_other() -> None:
    assert sorted(PAGES) == sorted(path.parent.name for path in main.FOLDER.glob("*/page.py"))


def test_every_page_has_a_test(subtests: pytest.Subtests) -> None:
    for page in PAGES:
        with subtests.test(page=page):
            tests = (
                path.read_text() for path in (ROOT / "tests" / "integration" / "dashboards").glob("test_dashboard*.py")
            )
            assert any(re.search(rf'open_page\([^)]*"{page}"', text) for text in tests)


def test_no_folder_is_one_that_streamlit_runs_by_itself() -> None:
    # It would run /kpis without main.py, and so without sign-in.
    assert not (DASHBOARDS / "pages").exists()


def test_the_dashboard_tells_nobody_and_listens_to_this_machine_only() -> None:
    found = config()
    assert found["browser"]["gatherUsageStats"] is False
    assert found["server"]["address"] == "127.0.0.1"
    assert found["client"]["showErrorDetails"] == "none"


def test_a_chart_has_the_colours_of_the_theme() -> None:
    names = [str(number) for number in range(8)]
    assert style.colours_of(names) == config()["theme"]["light"]["chartCategoricalColors"]


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2: contrast of two colours, 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_shows_on_both_themes(theme: str) -> None:
    background = config()["theme"][theme]["backgroundColor"]
    faint = [colour for colour in style.colours_of([*"abcdefgh"]) if contrast(colour, background) < 2]
    assert faint == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_are_readable(theme: str) -> None:
    found = config()["theme"][theme]
    assert contrast(found["textColor"], found["backgroundColor"]) > 7


def test_a_name_has_the_same_colour_in_every_chart() -> None:
    both = style.colours(["A", "B"]).to_dict()
    assert dict(zip(both["domain"], both["range"], strict=True))["A"] == style.colours(["A"]).to_dict()["range"][0]


def test_every_kpi_says_what_it_means_and_where_from(subtests: pytest.Subtests) -> None:
    for definition in DEFINITIONS.values():
        with subtests.test(definition=definition):
            assert definition.meaning.endswith(".")
            assert definition.source
            assert definition.source in definition.help


def test_every_outcome_has_a_name_for_people() -> None:
    assert set(ENDINGS) == set(DISPOSITIONS)


def test_nothing_is_done_by_hand_that_streamlit_does(subtests: pytest.Subtests) -> None:
    for path in sorted(DASHBOARDS.rglob("*.py")):
        with subtests.test(path=path):
            text = path.read_text()
            assert not re.search(r"unsafe_allow_html|st\.html\(|components\.|https?://(?!localhost)[a-z]", text)


def test_a_setting_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_DASHBOARD_STALE_HOURS", "-1")
    settings.settings.cache_clear()
    with pytest.raises(UsageError, match=r"WARDLAKE_DASHBOARD_STALE_HOURS is wrong; expected .*greater than 0"):
        settings.settings()
