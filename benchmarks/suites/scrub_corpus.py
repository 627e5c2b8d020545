"""A labelled corpus for scrubbing: invented patients, their identifiers in many spellings, others' in many forms.

Every note is made of clinical words that are no identifier, with one identifier between them, so that both what is
missed and what is lost too much can be counted. Everything follows from the lists here and a seed.
"""

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

_NAMES: Final = (
    "Jane Roe", "Siobhán O'Brien", "José García López", "Nguyễn Thị Minh", "Zoë Müller-Straßer",
    "Seán Mac Giolla", "Anne-Marie D’Angelo", "Robert Long", "Will May", "Hung Le", "Li Wu", "Mercy Harbor",
    "Jean van der Berg", "Juan de la Cruz", "Łukasz Żółkiewski", "Ipek Y\u0131ld\u0131z", "Søren Kierkegård",
    "Aoife Ní Dhomhnaill", "Mohammed Al-Sayed", "Fatima bint Rashid", "Björk Guðmundsdóttir",
    "Kwame Nkrumah-Mensah", "Aleksandra Petrović", "Dimitris Papadopoulos", "Chloé Lefèvre",
    "François L'Hôte", "Inés Núñez", "Noah St. James", "Mary Smith-Jones", "Carlos Peña", "Ming Chen",
    "Priya Ramanathan", "Rose Bell", "Kai Nakamura", "Olga Ivanova", "Emeka Okafor", "Thanh Do",
    "Peter Parker Jr.", "Grace Hopper", "Max Small", "王伟", "Ana Sofía Hernández-Cruz",
)  # fmt: skip
_STREETS: Final = ("Evergreen Terrace", "N Oak Street", "Élan Avenue", "Old Mill Road", "Martin Luther King Boulevard")
_TOWNS: Final = ("Springfield, IL 62704", "Madison, WI 53703", "Bloomington, IN 47401", "St. Louis, MO 63101")

BEFORE: Final = (
    "Seen on rounds with", "Discussed the plan of care with", "Results were sent on to", "Please ask for",
    "Letter to", "Chest clear on auscultation, spoke to", "Handover given about",
    "Wound dry and clean, contact", "Reviewed labs for",
)  # fmt: skip
AFTER: Final = (
    "and pain was well controlled overnight.", "before the morning dose was given.",
    "who tolerates oral fluids.", "with no change of treatment.", "after the imaging was reviewed.",
    "while vital signs stayed stable.",
)  # fmt: skip

CLINICAL: Final = (
    "BP 120/80, HR 72, RR 16, SpO2 97 % on room air.", "Temp 37.5 C, then 98.6 F after acetaminophen.",
    "Metformin 500-1000 mg twice daily with meals.", "Na 140, K 4.1, Cl 101, CO2 24, BUN 14, Cr 0.9.",
    "WBC 12.3, Hgb 11.9, Plt 250, INR 1.1.", "HbA1c 7.5 %, LDL 132 mg/dL.",
    "ICD-10 I21.4 confirmed; E11.65 noted.", "S93.401A, sprain of the right ankle.",
    "Pain 4/5 at rest, 7/10 on movement.", "GCS 15, pupils equal and reactive.",
    "L4-L5 fusion planned; T2-weighted MRI reviewed.", "Give 1/2 tablet at night, 2 tablets in the morning.",
    "1000 mL normal saline over 24 hours at 42 mL/h.", "Ejection fraction 35-40 %, NYHA class III.",
    "Wound 5 cm x 3 cm, depth 1.5 cm.", "Patient is 62 years old and lives alone.",
    "An 89-year-old with a hip fracture.", "Oxygen 2 L/min by nasal cannula.",
    "Troponin 0.04, repeat in 6 hours.", "CT head without contrast: no bleed.",
    "Vitamin B12 1000 mcg monthly.", "COVID-19 and influenza A negative.", "Fall risk score 45, Braden 18.",
    "Insulin glargine 20 units at bedtime.", "Heparin 5000 units every 8 hours.", "PT 12.3 s, aPTT 31 s.",
    "Morphine 2-4 mg IV every 4 hours as needed.", "May be discharged when stable.",
    "Will march the halls with therapy.", "Weight 92 kg, height 178 cm, BMI 29.",
    "Urine output 90 mL over 2 hours.", "pH 7.35, pCO2 45, pO2 90.", "Follow-up in clinic in 2 weeks.",
    "Culture grew E. coli, 100000 CFU/mL.", "Apgar 8 and 9.", "Bed 12, ward MED-1, room 4.",
    "Amoxicillin 875 mg for 10 days.", "Sutures out in 7 to 10 days.", "G2P1 at 39 weeks, cervix 4 cm.",
    "Ca 9.2, Mg 1.9, Phos 3.4.", "Blood loss about 300 mL.",
)  # fmt: skip
"""Sentences that hold no identifier: all of each has to stay."""


@dataclass(frozen=True)
class Note:
    """A note of one patient. ``hidden`` may not be shown; ``kept`` are the words that are to stay."""

    patient: dict[str, str]
    kind: str
    text: str
    hidden: str
    kept: tuple[str, ...]


def corpus(seed: int = 7) -> list[Note]:
    """All notes: own identifiers (kind ``own: …``), forms of anybody's (``form: …``) and ``clinical``."""
    dice = random.Random(seed)  # noqa: S311 - to choose words
    notes = []
    for number, name in enumerate(_NAMES):
        patient = _patient(number, name, dice)
        notes += [_note(patient, f"own: {kind}", told, dice) for kind, told in _own(patient)]
        notes += [_note(patient, f"form: {kind}", told, dice) for kind, told in _forms(dice)]
        notes += [Note(patient, "clinical", text, "", tuple(text.split())) for text in dice.sample(CLINICAL, 12)]
    return notes


def of_others(seed: int = 7) -> list[Note]:
    """Notes that name somebody else: nothing in the record says who."""
    dice = random.Random(seed)  # noqa: S311 - to choose words
    people = [_patient(number, name, dice) for number, name in enumerate(_NAMES)]
    others = [name for name in _NAMES if name.isascii() and " " in name]
    return [
        _note(patient, "name of another", f"{dice.choice(('his wife', 'her son', 'Dr.', 'nurse'))} {other}", dice)
        for patient in people
        for other in dice.sample(others, 6)
        if not {*other.split()} & {*patient["patient_name"].split()}
    ]


def _note(patient: dict[str, str], kind: str, told: str, dice: random.Random) -> Note:
    before, after = dice.choice(BEFORE), dice.choice(AFTER)
    return Note(patient, kind, f"{before} {told} {after}", told, (*before.split(), *after.split()))


def _patient(number: int, name: str, dice: random.Random) -> dict[str, str]:
    digits = dice.sample(range(10_000_000, 99_999_999), 4)
    return {
        "patient_name": name,
        "ssn": f"{dice.randint(101, 665)}-{dice.randint(10, 99)}-{dice.randint(1000, 9999)}",
        "phone": f"({dice.randint(201, 989)}) 555-{dice.randint(1000, 9999)}",
        "email": f"{_plain(name)}{dice.randint(10, 99)}@mail.example",
        "address": f"{dice.randint(11, 9_899)} {_STREETS[number % len(_STREETS)]}, {_TOWNS[number % len(_TOWNS)]}",
        "date_of_birth": date(dice.randint(1925, 2015), dice.randint(1, 12), dice.randint(13, 28)).isoformat(),
        "patient_id": f"MRN{digits[0]}",
        "visit_id": f"V-{digits[1]}",
    }


def _plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss").replace("ł", "l").replace("ø", "o"))
    return "".join(c for c in apart if c.isascii() and c.isalpha()) or "patient"


def _own(patient: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The patient's identifiers, as people write them."""
    name = patient["patient_name"].removesuffix(" Jr.")
    first, *middle, last = name.split() if " " in name else (name, name)
    for told in (name, name.upper(), name.lower(), unicodedata.normalize("NFD", name)):
        yield "name", told
    if first != last:
        for told in (f"{last}, {first}", f"{last.upper()}, {first[0]}.", f"{first[0]}. {last}", f"Ms. {last}"):
            yield "name, turned round or shortened", told
        yield "name, glued", "".join((first, *middle, last))
        yield "name, glued", _plain("".join((first, *middle, last))) + "34" if last.isascii() else first + last
    yield "name, without accents", _without_accents(name)
    for field in ("ssn", "phone", "patient_id", "visit_id"):
        digits = "".join(c for c in patient[field] if c.isdigit())
        kind = {"patient_id": "MRN", "visit_id": "visit number"}.get(field, field)
        yield kind, patient[field]
        yield kind, digits
        yield kind, "\u00a0".join((digits[:3], digits[3:6], digits[6:]))
        yield kind, " \u2013 ".join((digits[:3], digits[3:]))
        if field in ("patient_id", "visit_id"):
            yield kind, f"ADT{digits}20240301"
    yield "phone", patient["phone"][-8:].replace("-", ".")
    local = patient["email"].split("@")[0]
    for told in (patient["email"], patient["email"].upper(), f"{local} (at) mail.example"):
        yield "e-mail", told
    street = patient["address"].split(",")[0]
    yield "street", street
    yield "street", street.upper()
    yield "street", street.replace("Terrace", "Ter.").replace("Street", "St").replace("Road", "Rd")
    born = date.fromisoformat(patient["date_of_birth"])
    for form in ("%Y-%m-%d", "%m/%d/%Y", "%d.%m.%y", "%d %B %Y", "%b %d, %Y", "%d%b%Y", "%Y%m%d", "%m%d%Y", "%m%d%y"):
        yield "date of birth", born.strftime(form)


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ł", "l").replace("Ł", "L").replace("ø", "o"))
    return "".join(c for c in apart if not unicodedata.combining(c)).replace("\u0131", "i").replace("ð", "d")


def _forms(dice: random.Random) -> Iterator[tuple[str, str]]:
    """Identifiers of nobody in particular."""

    def digits(count: int) -> str:
        return "".join(dice.choices("23456789", k=count))

    yield "SSN", f"{digits(3)}-{digits(2)}-{digits(4)}"
    yield "SSN", f"{digits(3)} {digits(2)} {digits(4)}"
    yield "SSN", f"SSN:{digits(9)}"
    yield "phone", f"({digits(3)}) {digits(3)}-{digits(4)}"
    yield "phone", f"+1 {digits(3)}.{digits(3)}.{digits(4)} ext. {digits(3)}"
    yield "phone", f"+44 20 {digits(4)} {digits(4)}"
    yield "phone", f"pager {digits(3)}-{digits(4)}"
    yield "phone", f"{digits(3)}\u2011{digits(3)}\u2011{digits(4)}"
    yield "e-mail", f"m.o'neil{digits(2)}@clinic.example"
    yield "e-mail", f"kim{digits(2)} (at) clinic.example"
    year, month, day = dice.randint(1930, 2024), dice.randint(1, 12), dice.randint(13, 28)
    when = date(year, month, day)
    for form in ("%Y-%m-%d", "%m/%d/%y", "%d.%m.%Y", "%Y%m%d", "%B %d, %Y", "%d-%b-%y", "%d%b%Y", "%B %d", "%b %Y"):
        yield "date", when.strftime(form)
    yield "street", f"{digits(3)} {dice.choice(('Oak', 'Maple', 'Lincoln'))} {dice.choice(('Street', 'Ave', 'Blvd.'))}"
    yield "street", f"P.O. Box {digits(4)}"
    yield "ZIP after a state", f"IL {digits(5)}"
    yield "URL", f"https://chart.example/p/{digits(5)}"
    yield "IP address", f"10.{digits(2)}.{digits(1)}.{digits(2)}"
    yield "card", f"{digits(4)} {digits(4)} {digits(4)} {digits(4)}"
    yield "Medicare", f"1EG4-TE5-MK{digits(2)}"
    yield "number after its keyword", f"policy # AB-{digits(6)}"
    yield "number after its keyword", f"MRN {digits(7)}"
    yield "plate", f"license plate {digits(1)}ABC{digits(3)}"
    yield "age of 90 or more", f"{dice.randint(90, 109)}-year-old"
    yield "age of 90 or more", f"aged {dice.randint(90, 109)}"
