"""Refreshes after any appends, in any order of arrival, give the tables of a full build, bit for bit."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.contracts.event import EVENT_TYPES
from tests.support.golds import beds, build, different
from tests.support.lakes import Feeder, Message, event, make_lake

START = datetime(2026, 1, 30, 22, tzinfo=UTC)
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu")


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """An event of one of a few visits of a few patients, somewhere in four months."""
    visit = draw(st.integers(1, 5))
    kind = draw(st.sampled_from(("admit", "admit", "discharge", "discharge", *EVENT_TYPES)))
    at = START + timedelta(hours=draw(st.integers(0, 24 * 100)), microseconds=draw(st.integers(0, 1)))
    return visit % 2, event(
        message_id=f"m-{draw(st.integers(0, 10**9))}",
        event_type=kind,
        event_time=at.isoformat(),
        patient_id=f"MRN{(visit + 1) // 2}",
        visit_id=f"V{visit}",
        department=draw(st.sampled_from(("Surgery", "ICU"))),
        doctor_id=draw(st.sampled_from(("D1", "D2", None))),
        diagnosis_code=draw(st.sampled_from(("I21.4", "J18.9", None))),
        treatment=draw(st.sampled_from(("Stent", None))),
        severity=draw(st.sampled_from(("minor", "extreme", None))),
        disposition=draw(st.sampled_from(("home", "expired", "ama", None))),
    )


# Of the hundred days that the events lie in: open visits become stale, some of them while others have events.
stale = st.sampled_from((1, 10, 30, 60))
appends = st.lists(st.lists(messages(), min_size=1, max_size=8), min_size=2, max_size=4)


def compare(chunks: list[list[Message]], zone: str, stale_days: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reference = beds(Path(folder))
        piecemeal = make_lake(Path(folder) / "piecemeal")
        for chunk in chunks:
            Feeder(piecemeal).land(chunk)
            build(piecemeal, timezone=zone, reference=reference, stale_days=stale_days)
        whole = make_lake(Path(folder) / "whole", *chunks)
        assert build(whole, timezone=zone, reference=reference, stale_days=stale_days).kind == "full"
        assert different(piecemeal.root, whole.root) == []


@settings(max_examples=3)
@given(chunks=appends, zone=st.sampled_from(ZONES), stale_days=stale)
def test_refreshes_are_a_full_build(chunks: list[list[Message]], zone: str, stale_days: int) -> None:
    compare(chunks, zone, stale_days)


@pytest.mark.slow
@settings(max_examples=60, derandomize=False)
@given(chunks=appends, zone=st.sampled_from(ZONES), stale_days=stale)
def test_refreshes_are_a_full_build_at_length(chunks: list[list[Message]], zone: str, stale_days: int) -> None:
    compare(chunks, zone, stale_days)
