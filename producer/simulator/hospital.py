"""The simulated hospital group as data: facilities, departments, wards, beds, doctors.

Three facilities of eight departments each. A *unit* is one department of one facility; its number is
``facility * len(DEPARTMENTS) + department``. A *bed* is a number into ``Hospital.beds``, unique over
the whole group. Times of a facility are written with one fixed offset: no daylight saving, so that an
hour of the clock is never missing or doubled.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

EMERGENCY, INTENSIVE, MEDICINE, CARDIOLOGY, SURGERY, ORTHOPEDICS, OBSTETRICS, PEDIATRICS = range(8)

BEDS_PER_WARD: Final = 24


@dataclass(frozen=True)
class Facility:
    """One hospital: its name, state, area codes, hours from UTC, and share of the group's arrivals."""

    name: str
    state: str
    area_codes: tuple[str, ...]
    utc_offset_hours: int
    share: float


@dataclass(frozen=True)
class Department:
    """A department: staffed beds per facility and log-normal length of stay (median days, sigma).

    ``direct`` is the group's arrivals a day that come here without passing the emergency department.
    """

    name: str
    ward: str
    staffed: tuple[int, int, int]
    median_days: float
    sigma: float
    direct: float
    doctors: int


FACILITIES: Final = (
    Facility("Lakeside General", "IL", ("217", "309", "618"), -6, 0.45),
    Facility("Mercy Harbor", "IN", ("317", "765", "812"), -5, 0.33),
    Facility("Northfield Community", "WI", ("414", "608", "920"), -6, 0.22),
)

DEPARTMENTS: Final = (
    Department("Emergency", "ED", (26, 19, 14), 0.16, 0.55, 84.0, 9),
    Department("Intensive Care", "ICU", (15, 12, 9), 2.2, 0.70, 0.0, 6),
    Department("Internal Medicine", "MED", (72, 54, 37), 3.6, 0.65, 3.0, 10),
    Department("Cardiology", "CAR", (38, 29, 21), 3.0, 0.60, 6.5, 7),
    Department("Surgery", "SUR", (46, 34, 25), 2.8, 0.70, 11.0, 9),
    Department("Orthopedics", "ORT", (30, 23, 17), 2.6, 0.55, 10.0, 6),
    Department("Obstetrics", "OBS", (21, 16, 12), 2.1, 0.40, 12.0, 6),
    Department("Pediatrics", "PED", (14, 11, 8), 1.9, 0.65, 3.5, 5),
)

UNITS: Final = len(FACILITIES) * len(DEPARTMENTS)


@dataclass(frozen=True)
class Bed:
    """A staffed bed; ``label`` is unique within facility and ward."""

    facility: int
    department: int
    ward: str
    label: str


class Hospital:
    """The group at a scale: 1.0 is about 145 visits a day on 603 staffed beds.

    ``beds`` lists every staffed bed; ``beds_of[unit]`` the numbers of a unit's beds.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.beds: list[Bed] = []
        self.beds_of: list[range] = []
        for facility in range(len(FACILITIES)):
            for department in range(len(DEPARTMENTS)):
                first = len(self.beds)
                self.beds.extend(_beds_of_unit(facility, department, scale))
                self.beds_of.append(range(first, len(self.beds)))

    def write_staffed_beds(self, path: Path, valid_from: str = "2000-01-01") -> None:
        """Write the staffed beds as CSV: facility, department, staffed_beds, valid_from (ISO date), wards."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("facility", "department", "staffed_beds", "valid_from", "wards"))
            for unit, beds in enumerate(self.beds_of):
                facility, department = divmod(unit, len(DEPARTMENTS))
                names = FACILITIES[facility].name, DEPARTMENTS[department].name
                wards = sorted({self.beds[bed].ward for bed in beds})
                writer.writerow((*names, len(beds), valid_from, ";".join(wards)))


def _beds_of_unit(facility: int, department: int, scale: float) -> list[Bed]:
    kind = DEPARTMENTS[department]
    count = _scaled(kind.staffed[facility], scale)
    if count <= BEDS_PER_WARD:
        return [Bed(facility, department, kind.ward, f"{number:02d}") for number in range(1, count + 1)]
    wards = math.ceil(count / BEDS_PER_WARD)
    return [
        Bed(facility, department, f"{kind.ward}-{index % wards + 1}", f"{index // wards + 1:02d}")
        for index in range(count)
    ]


def _scaled(staffed: int, scale: float) -> int:
    """Beds at a scale; a smaller unit needs relatively more of them, for its arrivals are burstier."""
    if scale >= 1:
        return math.ceil(staffed * scale)
    return max(2, math.ceil(staffed * scale + 0.8 * math.sqrt(staffed * scale) * (1 - scale)))
