"""Make the reference tables: ``make reference`` writes lake/reference/*.parquet.

Titles of ICD-10-CM come from ``simple-icd-10-cm``, which carries the tabular list of the CDC; places of the United
States from ``zipcodes``, which carries those of the Postal Service. Neither is needed to run anything.
"""

from pathlib import Path
from typing import Final

import polars as pl
import simple_icd_10_cm as icd
import zipcodes

FOLDER: Final = Path("lake/reference")


def titles() -> pl.DataFrame:
    """Every code that has a title: categories, subcategories and codes with their seventh character."""
    codes = [code for code in icd.get_all_codes(with_dots=True) if not icd.is_chapter_or_block(code)]
    return pl.DataFrame({"code": codes, "title": [icd.get_description(code) for code in codes]}).sort("code")


def places() -> pl.DataFrame:
    """City and state of every ZIP code that is in use, and the other names that the Postal Service takes for it."""
    rows = [
        (city, entry["state"])
        for entry in zipcodes.list_all()
        if entry["active"] and entry["zip_code_type"] != "MILITARY"
        for city in (entry["city"], *entry["acceptable_cities"])
    ]
    return pl.DataFrame(rows, schema=["city", "state"], orient="row").unique().sort("state", "city")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, table in (("icd10cm", titles()), ("places", places())):
        table.write_parquet(FOLDER / f"{name}.parquet", compression="zstd", compression_level=19)
        print(f"{name}: {table.height:,} rows")  # noqa: T201
