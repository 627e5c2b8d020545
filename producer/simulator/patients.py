"""The people: identities from bounded Faker pools, and who may be admitted next.

A patient is one integer, ``number << 20 | home << 18 | birth << 2 | sex``: a running number, the facility
near home, the day of birth counted from 1900-01-01, and the sex's place in ``SEXES``. Every other
attribute is a pure function of it and the seed, so that no patient has to be kept in memory, and
millions cost what thousands do.
"""

import json
import unicodedata
from collections import deque
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from faker import Faker

from lake.contracts.event import SEXES
from producer.simulator.hospital import FACILITIES, Floats, Ints
from producer.simulator.towns import TOWNS

Words = npt.NDArray[np.uint64]

BIRTH_EPOCH: Final = date(1900, 1, 1)
DAY: Final = 86_400
FOLLOW_UP: Final = 31 * DAY
"""A patient comes back sooner only when readmitted on purpose: it keeps the readmission rate as set."""

_NUMBERS: Final = 100_000_000
_MRN_STEP: Final = 64_532_817
_SSNS: Final = 665 * 99 * 9_999
_SSN_STEP: Final = 423_711_401
_RETURNING: Final = 0.5
_KEPT_PER_GROUP: Final = 20_000


def hashed(values: Words | Ints, salt: int) -> Words:
    """SplitMix64 of each value: 64 well-mixed bits that depend on the value and the salt alone."""
    with np.errstate(over="ignore"):
        x = values.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def uniform(values: Words | Ints, salt: int) -> Floats:
    """Numbers in [0, 1] that depend on each value and the salt alone."""
    return hashed(values, salt) / 2.0**64


def _below(limit: int, words: Words, salt: int) -> Ints:
    """Draw whole numbers from 0 to under the limit that depend on each word and the salt alone."""
    result: Ints = (hashed(words, salt) % np.uint64(limit)).astype(np.int64)
    return result


class PatientBook:
    """Names, numbers and addresses of patients, drawn from pools that Faker fills once per seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        english, spanish = Faker("en_US"), Faker("es_MX")
        english.seed_instance(seed)
        spanish.seed_instance(seed)
        self._first = _series(
            [english.first_name_female() for _ in range(300)]
            + [spanish.first_name_female() for _ in range(40)]
            + [english.first_name_male() for _ in range(300)]
            + [spanish.first_name_male() for _ in range(40)]
        )
        self._last = _series([english.last_name() for _ in range(700)] + [spanish.last_name() for _ in range(120)])
        self._slugs = _slugs(self._first), _slugs(self._last)
        self._initial = pl.Series([""] * 40 + [f"{letter}. " for letter in "ABCDEFGHJKLMNPRSTW"])
        self._street = _series([english.street_address() for _ in range(800)])
        self._town = _series(
            [
                f"{city}, {facility.state} {zip_code}"
                for facility in FACILITIES
                for city, zip_code in TOWNS[facility.state]
            ]
        )
        self._area = pl.Series([code for facility in FACILITIES for code in facility.area_codes])

    def patient_ids(self, patients: Ints) -> pl.Series:
        """Medical record numbers: unique among the patients of one seed."""
        numbers = ((patients >> 20) * _MRN_STEP + self._seed % _NUMBERS * 7_919) % _NUMBERS
        return "MRN" + _digits(numbers, 8)

    def details(self, patients: Ints) -> pl.DataFrame:
        """One row per patient: patient_id, surname, title, the PHI fields and sex, as JSON string bodies.

        Every text can be put between JSON quotes as it is; none is null.
        """
        numbers = patients >> 20
        words = hashed(numbers, self._seed)
        sex = patients & 3
        home = patients >> 18 & 3
        male = np.where(sex > 1, numbers & 1, sex).astype(bool)
        half = len(self._first) // 2
        offset = _below(half, words, 1) + np.where(male, half, 0)
        surname = _below(len(self._last), words, 2)
        town = _below(40, words, 3) + home * 40
        area = _below(3, words, 4) + home * 3
        return pl.DataFrame(
            {
                "first": self._first.gather(offset),
                "surname": self._last.gather(surname),
                "initial": self._initial.gather(_below(len(self._initial), words, 5)),
                "first_slug": self._slugs[0].gather(offset),
                "last_slug": self._slugs[1].gather(surname),
                "street": self._street.gather(_below(len(self._street), words, 6)),
                "town": self._town.gather(town),
                "area": self._area.gather(area),
                "line": _digits(_below(10_000, words, 7), 4),
                "style": _below(8, words, 8),
                "tag": _below(100, words, 10),
                "title": pl.Series(["Ms.", "Mr."]).gather(male.astype(np.int64)),
                "sex": pl.Series(SEXES).gather(sex),
                "birth": (patients >> 2 & 0xFFFF) + BIRTH_EPOCH.toordinal() - date(1970, 1, 1).toordinal(),
                **_ssn_parts((numbers * _SSN_STEP + self._seed % _NUMBERS * 104_729) % _SSNS),
            }
        ).select(
            "surname",
            "title",
            "sex",
            patient_id=self.patient_ids(patients),
            patient_name=pl.concat_str("first", pl.lit(" "), "initial", "surname"),
            ssn=_styled(
                {7: ("ssn_area", "ssn_group", "ssn_serial")},
                ("ssn_area", "-", "ssn_group", "-", "ssn_serial"),
            ),
            phone=_styled(
                {
                    0: ("(", "area", ") 555-", "line"),
                    1: ("+1 ", "area", "-555-", "line"),
                    2: ("area", "555", "line"),
                    3: ("area", ".555.", "line"),
                },
                ("area", "-555-", "line"),
            ),
            email=pl.concat_str("first_slug", pl.lit("."), "last_slug", "tag", pl.lit("@example.com")),
            address=pl.concat_str("street", pl.lit(", "), "town"),
            date_of_birth=pl.col("birth").cast(pl.Int32).cast(pl.Date).dt.to_string("%Y-%m-%d"),
        )


class Registry:
    """Who may be admitted afresh: alive, not in hospital, and out of it for 31 days or more.

    Holds the last ``FOLLOW_UP`` of discharges and a bounded number of earlier patients.
    """

    def __init__(self) -> None:
        self._minted = 0
        self._resting: deque[tuple[int, int, int]] = deque()
        self._known: dict[tuple[int, int], list[int]] = {}

    def admit(self, now: int, home: int, group: int, newcomer: int, chance: float) -> int:
        """Choose a patient of the group near that facility: a known one, or ``newcomer`` under a number."""
        while self._resting and self._resting[0][0] <= now:
            _, rested, patient = self._resting.popleft()
            kept = self._known.setdefault((patient >> 18 & 3, rested), [])
            if len(kept) < _KEPT_PER_GROUP:
                kept.append(patient)
        known = self._known.get((home, group))
        if known and chance < _RETURNING:
            place = int(chance / _RETURNING * len(known))
            known[place], known[-1] = known[-1], known[place]
            return known.pop()
        self._minted += 1
        return self._minted << 20 | home << 18 | newcomer

    def leave(self, now: int, group: int, patient: int) -> None:
        """Note that the patient left hospital alive at ``now``, which never goes backwards."""
        self._resting.append((now + FOLLOW_UP, group, patient))


def _series(values: list[str]) -> pl.Series:
    """Make the texts JSON string bodies, so that rendering never has to escape."""
    return pl.Series([json.dumps(value, ensure_ascii=False)[1:-1] for value in values])


def _slugs(names: pl.Series) -> pl.Series:
    plain = (unicodedata.normalize("NFKD", name) for name in names)
    return pl.Series(["".join(c for c in name if c.isascii() and c.isalpha()).lower() for name in plain])


def _digits(values: Ints, width: int) -> pl.Series:
    return pl.Series(values).cast(pl.String).str.zfill(width)


def _ssn_parts(index: Ints) -> dict[str, pl.Series]:
    """Map one to one from 0 … _SSNS - 1 to numbers of the issued form: no part is all zeros, no area 666."""
    return {
        "ssn_area": _digits(index // (99 * 9_999) + 1, 3),
        "ssn_group": _digits(index // 9_999 % 99 + 1, 2),
        "ssn_serial": _digits(index % 9_999 + 1, 4),
    }


def _styled(styles: dict[int, tuple[str, ...]], usual: tuple[str, ...]) -> pl.Expr:
    """Put the pieces together as the patient's ``style`` says: people write numbers in many ways."""
    result = _joined(usual)
    for style, pieces in styles.items():
        result = pl.when(pl.col("style") == style).then(_joined(pieces)).otherwise(result)
    return result


def _joined(pieces: tuple[str, ...]) -> pl.Expr:
    return pl.concat_str([pl.col(p) if p.isidentifier() and p != "555" else pl.lit(p) for p in pieces])
