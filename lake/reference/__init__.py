"""Reference tables that come with Wardlake: what a shown value is checked against.

``icd10cm.parquet``: code, title (ICD-10-CM of April 2026, 98,147 codes; CDC, public domain).
``places.parquet``: city, state (39,360 names that the US Postal Service takes for its ZIP codes).
``make reference`` makes both again.
"""

from functools import cache
from importlib import resources

import polars as pl


@cache
def diagnosis_titles() -> pl.DataFrame:
    """Official titles: code (String, unique and in order, with its dot), title (String)."""
    return _table("icd10cm").sort("code")


@cache
def places() -> pl.Series:
    """Places of the United States as ``place_of`` writes them: String, unique and in order."""
    table = _table("places")
    return place_of(table["city"], table["state"]).unique().sort()


@cache
def states() -> frozenset[str]:
    """Two letters of each state and territory that has places."""
    return frozenset(_table("places")["state"])


def titles_of(codes: pl.Series) -> pl.Series:
    """The official title of each code (String), null where there is none."""
    table = diagnosis_titles()
    # Found in order, by halves: a join would go through the whole table for a batch of one.
    at, there = _found(codes, table["code"])
    return table["title"].gather(at).set(~there, None)


def are_places(cities: pl.Series, of: pl.Series) -> pl.Series:
    """Whether each is a place of that state (Boolean); null counts as none."""
    return _found(place_of(cities, of), places())[1]


def place_of(cities: pl.Series, of: pl.Series) -> pl.Series:
    """State and ``place_name``: what two spellings of one place have in common."""
    return of + " " + place_name(cities)


def _found(values: pl.Series, table: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Where in a sorted table each value would be, and whether it is there."""
    at = table.search_sorted(values.fill_null("")).clip(0, table.len() - 1)
    return at, (table.gather(at) == values).fill_null(value=False)


def place_name(cities: pl.Series) -> pl.Series:
    """What two spellings of a place's name have in common: its letters, with Saint, Fort and Mount in full."""
    words = cities.str.normalize("NFKD").str.to_lowercase()
    for short, full in (("st", "saint"), ("ste", "sainte"), ("ft", "fort"), ("mt", "mount")):
        words = words.str.replace_all(rf"\b{short}\b", full)
    return words.str.replace_all("[^a-z]", "")


def _table(name: str) -> pl.DataFrame:
    with resources.as_file(resources.files("lake") / "reference" / f"{name}.parquet") as path:
        return pl.read_parquet(path)
