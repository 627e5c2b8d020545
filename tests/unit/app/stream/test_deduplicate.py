"""Deduplicate: what a exact duplicate is, what a conflict is, and what the key is."""

from datetime import UTC, datetime
from typing import Final

import polars as pl
import pytest

from app.settings import DEDUP_OPTIONAL, DEDUP_REQUIRED
from app.stream.transforms.deduplicate import CONFLICT, Deduplicated, deduplicate, key_columns
from lake.contracts.tables import SILVER

KEY: Final = key_columns(DEDUP_REQUIRED)
SCHEMA: Final = SILVER.polars_schema
NINE: Final = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)


def rows(*drawn: tuple[int, int, str, datetime, int]) -> pl.DataFrame:
    """Events, numbered by message in the order in which they are drawn."""
    names = ("kafka_partition", "kafka_offset", "patient_key", "event_time", "content_hash")
    frame = pl.DataFrame(drawn, schema={name: SCHEMA[name] for name in names}, orient="row")
    return frame.with_columns(
        event_index=pl.int_range(pl.len(), dtype=pl.Int32).over("kafka_partition", "kafka_offset")
    )


def known(*drawn: tuple[str, datetime, int]) -> pl.DataFrame:
    return rows(*((0, 0, *one) for one in drawn)).select(*KEY, "content_hash")


def offsets(done: Deduplicated) -> dict[str, list[int]]:
    return {name: part["kafka_offset"].to_list() for name, part in done._asdict().items() if not part.is_empty()}


def test_the_key_is_the_mission_s_and_named_as_silver_names_it() -> None:
    assert KEY == ["patient_key", "event_time"]
    assert set(key_columns([*DEDUP_REQUIRED, *DEDUP_OPTIONAL])) <= set(SCHEMA)


def test_the_conflict_s_rule_is_what_the_quarantine_shows() -> None:
    assert CONFLICT == "duplicate_key_conflict"


def test_an_exact_twin_is_a_duplicate_and_other_content_a_conflict() -> None:
    batch = rows((0, 1, "a", NINE, 7), (0, 2, "a", NINE, 7), (0, 3, "a", NINE, 8), (0, 4, "b", NINE, 7))
    assert offsets(deduplicate(batch, known(), KEY)) == {"fresh": [1, 4], "duplicates": [2], "conflicts": [3]}


def test_what_stands_in_silver_decides() -> None:
    batch = rows((0, 1, "a", NINE, 7), (0, 2, "a", NINE, 8), (0, 3, "a", NINE, 8))
    assert offsets(deduplicate(batch, known(("a", NINE, 8)), KEY)) == {"duplicates": [2, 3], "conflicts": [1]}


def test_a_conflict_s_own_twin_is_a_conflict_too() -> None:
    batch = rows((0, 1, "a", NINE, 7), (0, 2, "a", NINE, 8), (0, 3, "a", NINE, 8))
    assert offsets(deduplicate(batch, known(), KEY)) == {"fresh": [1], "conflicts": [2, 3]}


def test_a_microsecond_makes_another_event() -> None:
    batch = rows((0, 1, "a", NINE, 7), (0, 2, "a", NINE.replace(microsecond=1), 7))
    assert offsets(deduplicate(batch, known(("b", NINE, 7)), KEY)) == {"fresh": [1, 2]}


def test_the_first_by_partition_and_offset_counts_whatever_came_first() -> None:
    batch = rows((1, 1, "a", NINE, 7), (0, 9, "a", NINE, 8), (0, 3, "a", NINE, 7))
    done = deduplicate(batch, known(), KEY)
    assert list(done.fresh.select("kafka_partition", "kafka_offset").iter_rows()) == [(0, 3)]
    assert offsets(done) == {"fresh": [3], "duplicates": [1], "conflicts": [9]}


@pytest.mark.parametrize("standing", [known(), known(("a", NINE, 7))], ids=["nothing known", "something known"])
def test_no_rows_give_no_rows(standing: pl.DataFrame) -> None:
    nothing = rows()
    assert all(part.equals(nothing) for part in deduplicate(nothing, standing, KEY))


def test_null_is_a_value_of_a_widened_key() -> None:
    batch = rows((0, 1, "a", NINE, 7), (0, 2, "a", NINE, 7), (0, 3, "a", NINE, 7)).with_columns(
        bed=pl.Series([None, "B1", None], dtype=pl.String)
    )
    standing = known(("a", NINE, 7)).with_columns(bed=pl.lit("B1"))
    assert offsets(deduplicate(batch, standing, [*KEY, "bed"])) == {"fresh": [1], "duplicates": [2, 3]}


# Messages of several events.


def test_a_message_with_something_new_is_in_silver_without_its_exact_duplicates() -> None:
    batch = rows((0, 1, "a", NINE, 7), (0, 2, "a", NINE, 7), (0, 2, "b", NINE, 7))
    done = deduplicate(batch, known(), KEY)
    assert offsets(done) == {"fresh": [1, 2]}
    assert done.fresh["patient_key"].to_list() == ["a", "b"]


def test_a_message_is_a_duplicate_once_if_all_its_events_are() -> None:
    batch = rows((0, 1, "a", NINE, 7), (0, 1, "b", NINE, 7), (0, 2, "a", NINE, 7), (0, 2, "b", NINE, 7))
    assert offsets(deduplicate(batch, known(), KEY)) == {"fresh": [1, 1], "duplicates": [2]}


def test_a_message_with_a_conflict_is_one_as_a_whole_and_stands_in_nobody_s_way() -> None:
    batch = rows((0, 1, "a", NINE, 7), (0, 2, "a", NINE, 8), (0, 2, "b", NINE, 7), (0, 3, "b", NINE, 9))
    assert offsets(deduplicate(batch, known(), KEY)) == {"fresh": [1, 3], "conflicts": [2]}


def test_a_conflict_that_follows_from_a_conflict_is_none() -> None:
    """3 would be a conflict with the b of 2, were 2 not one itself; so the c of 3 counts, and 4 is its duplicate."""
    batch = rows(
        *[(0, 1, "a", NINE, 7), (0, 2, "a", NINE, 8), (0, 2, "b", NINE, 7)],
        *[(0, 3, "b", NINE, 8), (0, 3, "c", NINE, 7), (0, 4, "c", NINE, 7)],
    )
    assert offsets(deduplicate(batch, known(), KEY)) == {"fresh": [1, 3, 3], "duplicates": [4], "conflicts": [2]}


def test_two_events_of_a_message_with_one_key_are_a_twin_or_a_conflict() -> None:
    batch = rows((0, 1, "a", NINE, 7), (0, 1, "a", NINE, 7), (0, 2, "b", NINE, 7), (0, 2, "b", NINE, 8))
    assert offsets(deduplicate(batch, known(), KEY)) == {"fresh": [1], "conflicts": [2]}
