"""Dashboards in a test: their lakes, and what is on a page. Fixtures: ``tests.support.board_fixtures``."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards.shared.settings import settings
from lake.disclosure import public_gold
from lake.gold import duckdb_file, published
from producer.simulator.simulator import SimulatorSettings
from tests.support import golds, lakes

ROOT: Final = Path(__file__).resolve().parents[2]
MAIN: Final = ROOT / "dashboards" / "main.py"
SIMULATED: Final = SimulatorSettings(seed=7, events=20_000, start=datetime(2026, 1, 15, tzinfo=UTC))

Open = Callable[..., AppTest]
"""``open_page(lake, "kpis", facility="North")``: a page run on a lake, with these in its URL."""


def build(lake: lakes.Lake) -> None:
    """Build the lake's Gold just now, and its public file."""
    golds.build(lake, now=lambda: datetime.now(UTC))
    found = published.last(lake.root)
    assert found is not None
    public_gold.write(lake.root, found)


def few_visits() -> Iterator[bytes]:
    """60 days: 2 admissions a day and 15 on each seventh one, each for 2 days."""
    start = datetime(2026, 6, 1, 8, tzinfo=UTC)
    number = 0
    for day in range(60):
        for nth in range(15 if day % 7 == 0 else 2):
            number += 1
            came = start + timedelta(days=day, minutes=nth)
            plain: dict[str, str | None] = {
                "patient_id": f"MRN{number:07}",
                "visit_id": f"V-{number:07}",
                "doctor_id": "D1",
                "diagnosis_code": "J18.9",
                "diagnosis": "Pneumonia",
                "severity": "major",
                "treatment": "Antibiotics",
            }
            yield lakes.event(message_id=f"a{number}", event_time=came.isoformat(), **plain)
            left = (came + timedelta(days=2)).isoformat()
            more = {"event_type": "discharge", "disposition": "expired" if nth == 1 else "home"}
            yield lakes.event(message_id=f"d{number}", event_time=left, **plain, **more)


def swap_to(lake: Path, build_id: int) -> None:
    """Let the lake's dashboards show a build again that was shown before."""
    aside = lake / ".aside"
    aside.symlink_to(duckdb_file.path_of(lake, build_id).name)
    aside.replace(lake / duckdb_file.LINK)


def forget() -> None:
    """Empty Streamlit's caches."""
    settings.cache_clear()
    st.cache_data.clear()
    st.cache_resource.clear()


def text_of(test: AppTest) -> str:
    """All words on a page that are not in a chart."""
    kinds = (test.title, test.markdown, test.caption, test.info, test.warning, test.error, test.code, test.metric)
    return "\n".join(
        f"{found.label} {found.value}" if kind is test.metric else str(found.value) for kind in kinds for found in kind
    )
