"""Gold with totals over facilities, departments and diagnoses: the views ``NAME_totals`` (``sql/NAME_totals.sql``).

A total is a sum of Gold's rows; averages and rates are made of such sums. A median has no sum: only units (one
department of one facility) have one.
"""

from typing import Final

ALL: Final = "(all)"
"""Stands for a facility, department or diagnosis where a row counts all of them."""

TOTALS: Final = (
    "admissions_totals",
    "readmissions_totals",
    "occupancy_totals",
    "length_of_stay_totals",
    "outcomes_totals",
    "arrivals_totals",
    "diagnoses_totals",
)
