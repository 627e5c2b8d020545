"""The compliance page: its figures are Gold's and the books', and it says where there is nothing."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.screens.compliance import masking_rules, queries
from dashboards.shared.filters import CUSTOM, Period
from lake.contracts.tables import INGEST
from lake.quality import run as quality
from lake.query import lake_sql
from lake.security import masking_policy
from lake.storage import audit_log
from lake.storage.store import Lake
from tests.support import boards, lakes
from tests.support.boards import Open, text_of

pytest_plugins = ("tests.support.board_fixtures",)

FIRST = datetime(2026, 9, 28, 12, tzinfo=UTC)
DAYS = 4
BROKEN = (b"{", b"", lakes.event(sex="robot", message_id="x"))


@pytest.fixture(scope="session")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of intake of events from March: each day 20 good messages, half without an SSN, and 3 broken ones."""
    root = tmp_path_factory.mktemp("books") / "lake"
    lake = lakes.make_lake(root)
    feeder = lakes.Feeder(lake)
    with pytest.MonkeyPatch.context() as patch:
        for day in range(DAYS):
            patch.setattr(lakes, "NOW", FIRST + timedelta(days=day))
            feeder.land([(0, _good(day, number)) for number in range(20)] + [(1, message) for message in BROKEN])
    boards.build(lake)
    return root


def _good(day: int, number: int) -> bytes:
    came = datetime(2026, 3, 1 + day, 8, number, tzinfo=UTC)
    name = f"{day}{number:03}"
    ssn = "123456789" if number % 2 else None
    return lakes.event(message_id=name, visit_id=name, patient_id=name, event_time=came.isoformat(), ssn=ssn, phone="1")


@pytest.fixture
def own_books(books: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(books, tmp_path / "lake", symlinks=True))


def tile(page: AppTest, label: str) -> str:
    return next(str(one.value) for one in page.metric if one.label == label)


def frames(page: AppTest) -> list[pl.DataFrame]:
    return [pl.from_pandas(one.value) for one in page.dataframe]


def frame_with(page: AppTest, *columns: str) -> pl.DataFrame:
    return next(found for found in frames(page) if set(columns) <= set(found.columns))


def test_figures_equal_gold(books: Path, open_page: Open) -> None:
    page = open_page(books, "compliance")
    assert not page.exception
    gold = lake_sql.run(
        books,
        "SELECT sum(messages)::BIGINT AS messages, sum(quarantined) / sum(messages) AS share, sum(rows_broken)::BIGINT "
        "AS broken, sum(rows_scanned)::BIGINT AS scanned FROM gold.compliance",
    ).row(0, named=True)
    assert gold["scanned"] == 20 * DAYS
    assert tile(page, "Messages") == f"{gold['messages']:,}"
    assert tile(page, "Quarantined") == f"{float(gold['share']):.1%}".replace("%", " %")
    assert tile(page, "Rows broken") == f"{gold['broken']}"
    assert tile(page, "Masking success") == "100.0 %"
    assert f"measured on {gold['scanned']:,} rows" in text_of(page)
    per_field = lake_sql.run(
        books,
        "SELECT field, sum(masked)::BIGINT AS masked, sum(redacted)::BIGINT AS redacted, "
        "sum(missing)::BIGINT AS missing FROM gold.compliance_fields GROUP BY field ORDER BY field",
    )
    shown = frame_with(page, "field", "masked").select(per_field.columns).cast(dict(per_field.schema))
    assert shown.equals(per_field)
    assert tile(page, "PHI redacted") == str(20 * DAYS), "the phone number fits no rule"
    per_rule = lake_sql.run(
        books, "SELECT rule, sum(invalid)::BIGINT AS n FROM gold.compliance_rules GROUP BY rule ORDER BY rule"
    )
    found = frame_with(page, "rule", "invalid").sort("rule")
    assert found["rule"].to_list() == [name.replace("_", " ") for name in per_rule["rule"]]
    assert found["invalid"].to_list() == per_rule["n"].to_list()


def test_a_period_counts_back_from_the_last_day_of_intake(books: Path, open_page: Open) -> None:
    page = open_page(books, "compliance", period="Last 7 days")
    assert tile(page, "Messages") == str(23 * DAYS), "taken in in September, months after the events"
    page = open_page(books, "compliance", period=CUSTOM, dates=["2026-03-01", "2026-03-02"])
    assert not page.exception
    assert "No message was taken in, 1 Mar 2026 to 2 Mar 2026." in text_of(page)
    assert "1 Oct 2026" in text_of(page)


def test_it_says_what_has_not_happened_yet(books: Path, open_page: Open) -> None:
    text = text_of(open_page(books, "compliance"))
    assert "Never verified. Run `wardlake verify`" in text
    assert "No quality check has run yet" in text
    assert "No access to patient-derived data, 28 Sep 2026 to 1 Oct 2026." in text
    assert "passed" not in text


def test_verify_checks_and_audit(own_books: Path, open_page: Open) -> None:
    lake = Lake(own_books, lakes.KEY)
    audit_log.append(own_books, "verify", "17 checks, 0 broken; encrypted messages opened in memory", 92)
    audit_log.append(own_books, "sql", "SELECT … FROM silver.visits WHERE ssn = '…' -- CANARY", 5)
    quality.record(lake, quality.run(lake, datetime.now(UTC), dedup_key=("patient_key", "event_time")))
    page = open_page(own_books, "compliance")
    text = text_of(page)
    assert not page.exception
    assert "Never verified" not in text
    [told] = page.success
    assert "over 92 rows: 17 checks, 0 broken" in told.value
    assert any(one.value.startswith("**Quality checks: ") for one in page.markdown)
    done = frame_with(page, "name", "who", "accesses")
    assert dict(done.select("name", "accesses").iter_rows()) == {"sql": 1, "verify": 1}
    assert "CANARY" not in text + "".join(found.write_csv() for found in frames(page))


def test_the_policy_in_force_and_one_that_differs(own_books: Path, open_page: Open) -> None:
    used = masking_policy.load("display").fingerprint
    text = text_of(open_page(own_books, "compliance"))
    assert f"In force: **display**, fingerprint `{used}`" in text
    assert "another fingerprint" not in text
    rows = lakes.rows(own_books, INGEST)
    older = pl.when(pl.int_range(pl.len()) < 2).then(pl.lit(used)).otherwise(pl.lit("0" * 16))
    lakes.overwrite(own_books, INGEST, rows.sort("ingested_at").with_columns(policy_fingerprint=older))
    page = open_page(own_books, "compliance")
    assert f"installed here has another fingerprint, `{used}`" in text_of(page)
    assert frame_with(page, "policy", "policy_fingerprint")["policy_fingerprint"].to_list() == [used, "0" * 16]
    lakes.overwrite(own_books, INGEST, rows.with_columns(policy=pl.lit("mine")))
    page = open_page(own_books, "compliance")
    assert not page.exception
    assert "It does not come with Wardlake" in text_of(page)


def test_quarantine_open_and_resolved(own_books: Path, open_page: Open) -> None:
    rows = lakes.rows(own_books, INGEST)
    retried = rows.head(1).with_columns(
        kind=pl.lit("quarantine_replay"),
        messages=pl.lit(0, pl.Int64),
        silver=pl.lit(2, pl.Int64),
        duplicates=pl.lit(0, pl.Int64),
        quarantined=pl.lit(-2, pl.Int64),
    )
    lakes.overwrite(own_books, INGEST, pl.concat([rows, retried]))
    page = open_page(own_books, "compliance")
    into = 3 * DAYS
    assert tile(page, "Went in, this period") == str(into)
    assert tile(page, "Resolved, this period") == "2"
    assert tile(page, "Open now") == str(into - 2)


def test_an_empty_lake_says_what_to_do(empty_lake: Path, open_page: Open) -> None:
    page = open_page(empty_lake, "compliance")
    assert not page.exception
    assert not page.metric
    assert page.info


def test_stale_gold_is_told_and_places_do_not_apply(
    books: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDLAKE_DASHBOARD_STALE_HOURS", "0.0000001")
    page = open_page(books, "compliance", facility="North", department="Surgery")
    assert any("were built" in warning.value for warning in page.warning)
    assert tile(page, "Messages") == str(23 * DAYS)
    assert {box.label for box in page.sidebar.selectbox if box.disabled} == {"Facility", "Department"}


SPAN = Period(date(2026, 1, 1), date(2026, 10, 1))


def test_custom_dates_are_taken_as_they_are() -> None:
    dates = Period(date(2026, 2, 1), date(2026, 2, 3))
    assert queries.period(CUSTOM, dates, SPAN) == dates
    assert queries.period("Last 7 days", dates, SPAN) == Period(date(2026, 9, 25), SPAN.last)


def test_the_rules_broken_least_are_put_together() -> None:
    names = [f"rule{number}" for number in range(10)]
    rules = pl.DataFrame({"day": [SPAN.first] * 10, "rule": names, "invalid": list(range(10, 0, -1))})
    top = queries.top_rules(rules)
    assert top["rule"].to_list() == [*names[:7], *["other rules"] * 3]
    course = queries.by_time(top, "month", ["rule"])
    assert course.filter(rule="other rules")["invalid"].to_list() == [6]
    assert course["invalid"].sum() == rules["invalid"].sum()


def test_shares_of_nothing_do_not_exist() -> None:
    days = pl.DataFrame(schema=dict.fromkeys(("messages", "quarantined", "rows_scanned", "rows_broken"), pl.Int64))
    fields = pl.DataFrame(schema=dict.fromkeys(("present", "redacted", "missing"), pl.Int64))
    found = queries.totals(days, fields)
    assert found["masking_success_rate"].text("percent") == "n/a"
    assert found["messages"].text() == "0"


def test_every_field_of_an_event_has_a_rule_or_is_dropped() -> None:
    rules = masking_rules.rules("display")
    assert rules["field"].n_unique() == rules.height == 23
    assert rules.filter(field="ssn").row(0) == (
        "ssn",
        "ssn",
        "last 4 digits",
        "last four digits, as on a billing screen",
    )
    assert rules["rule"].to_list().count(masking_rules.DROPPED) == 0
    assert rules["reason"].null_count() == 0
    assert masking_rules.fingerprint("nobody's") is None


def test_a_breach_that_verify_found_is_an_error(own_books: Path, open_page: Open) -> None:
    audit_log.append(own_books, "verify", "17 checks, 10 broken; encrypted messages opened in memory", 92)
    test = open_page(own_books, "compliance")
    assert [found.value for found in test.error if "10 broken" in found.value]
