"""What each KPI means and where its formula comes from: said once, shown wherever the KPI is."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["count", "mean", "days", "percent"]


@dataclass(frozen=True)
class Definition:
    """A KPI as people read it. ``better``: which way is good news, where one is."""

    label: str
    kind: Kind
    meaning: str
    source: str
    better: Literal["up", "down"] | None = None

    @property
    def help(self) -> str:
        """The text behind the question mark."""
        return f"{self.meaning}\n\n*Source: {self.source}*"


_ADT: Final = "HL7 v2 ADT events A01, A03, A11, A13"
_OECD: Final = "OECD Health Statistics, average length of stay"
_CMS: Final = "CMS hospital-wide all-cause readmission measure"
_KH03: Final = "NHS England, bed availability and occupancy (KH03)"
_DEATH: Final = "UB-04 patient discharge status 20 (expired)"
_BOOKS: Final = "Wardlake's own books, ops/ingest"
_APR: Final = "APR-DRG severity of illness"

DEFINITIONS: Final[dict[str, Definition]] = {
    "admissions": Definition(
        "Admissions", "count", "Visits admitted. An admission that was cancelled does not count.", _ADT
    ),
    "admissions_per_day": Definition(
        "Admissions per day", "mean", "Admissions divided by the days of the period.", _ADT
    ),
    "discharges": Definition(
        "Discharges", "count", "Visits discharged, deaths included. A cancelled discharge does not count.", _ADT
    ),
    "occupied_midnight": Definition(
        "Patients at midnight",
        "count",
        "Patients in a bed at 24:00, in the department where they are then. A stay that ends on its first day "
        "counts 0. A visit that nobody closed stops counting when it has had no event for 60 days, or as many as "
        "`WARDLAKE_STALE_VISIT_DAYS` says.",
        _KH03,
    ),
    "staffed_beds": Definition(
        "Staffed beds", "count", "Beds that a department has staff for, from the hospital's reference table.", _KH03
    ),
    "occupancy_rate": Definition(
        "Bed occupancy",
        "percent",
        "Patients at midnight divided by staffed beds. Above 100 % there are more patients than staffed beds. "
        "Without a table of staffed beds there is no rate.",
        _KH03,
    ),
    "full_days": Definition(
        "Days above 92 %",
        "count",
        "Days on which more than 92 % of the staffed beds were occupied at midnight, the most that NHS England plans "
        "for in adult general and acute beds.",
        _KH03,
        "down",
    ),
    "bed_days": Definition("Bed days", "days", "Days stayed by those discharged, fractions included.", _OECD),
    "alos_days": Definition(
        "Average length of stay",
        "days",
        "Days stayed divided by discharges, deaths included. A patient who is still here does not count yet.",
        _OECD,
        "down",
    ),
    "median_los_days": Definition(
        "Median length of stay",
        "days",
        "Half of those discharged stayed shorter, half longer. A few very long stays hardly move it.",
        _OECD,
        "down",
    ),
    "readmission_rate_30d": Definition(
        "30-day readmissions",
        "percent",
        "Index discharges followed by another admission of the same patient within 30 days, divided by all index "
        "discharges: patients who left alive, not against advice, not to another hospital, with 30 days of data "
        "after. So the last month's rate is not known yet.",
        _CMS,
        "down",
    ),
    "index_discharges_30d": Definition(
        "Index discharges",
        "count",
        "Discharges that count for the readmission rate: alive, not against advice, not to another hospital, with 30 "
        "days of data after.",
        _CMS,
    ),
    "readmissions_30d": Definition(
        "Readmitted within 30 days",
        "count",
        "Index discharges followed by an admission of the same patient within 30 days.",
        _CMS,
    ),
    "deaths": Definition("Deaths", "count", "Visits that ended with the disposition expired.", _DEATH),
    "mortality_rate": Definition(
        "In-hospital mortality",
        "percent",
        "Deaths divided by discharges, deaths included. Not adjusted for how ill the patients were: departments and "
        "doctors with sicker patients have more.",
        _DEATH,
        "down",
    ),
    "severity": Definition(
        "Severity of illness", "percent", "Share of admissions by severity, as last stated for the visit.", _APR
    ),
    "disposition": Definition(
        "Outcome",
        "percent",
        "How the visit ended: where the patient went. A discharge that does not say is *not stated*.",
        "UB-04 patient discharge status, grouped",
    ),
    "masking_success_rate": Definition(
        "Masking success",
        "percent",
        "1 minus the stored rows in which a masked value breaks its rule or a raw identifier survives, divided by the "
        "rows looked at. Measured on what is stored.",
        "Wardlake's own measure, docs/explanation/masking.md",
        "up",
    ),
    "rows_broken": Definition(
        "Rows broken",
        "count",
        "Stored rows in which a masked value breaks its rule, or a raw identifier of the row's own message survives. "
        "It should be 0: no share rounds one such row away.",
        "Wardlake's own measure, docs/explanation/masking.md",
        "down",
    ),
    "messages": Definition(
        "Messages", "count", "Messages taken in: each became a Silver row, a quarantined one or a duplicate.", _BOOKS
    ),
    "quarantined_rate": Definition(
        "Quarantined",
        "percent",
        "Messages that broke a rule, divided by messages. What a retry took out of quarantine is subtracted on the day "
        "of the retry.",
        _BOOKS,
        "down",
    ),
    "missing_rate": Definition(
        "PHI missing",
        "percent",
        "Null or blank values of the PHI fields in Silver rows, divided by all of their values.",
        _BOOKS,
        "down",
    ),
    "redacted": Definition(
        "PHI redacted",
        "count",
        "Values that did not fit their masking rule, and were masked whole. Nothing leaks, but something is lost.",
        _BOOKS,
        "down",
    ),
}
