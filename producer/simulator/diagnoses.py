"""What brings patients in: ICD-10-CM codes by department, with severity, treatments and case mix.

Weights are relative within a department. Severity is APR-DRG's: minor, moderate, major, extreme.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from producer.simulator.hospital import (
    CARDIOLOGY,
    DEPARTMENTS,
    EMERGENCY,
    INTENSIVE,
    MEDICINE,
    OBSTETRICS,
    ORTHOPEDICS,
    PEDIATRICS,
    SURGERY,
    Floats,
    Ints,
)

CHILD, MOTHER, ADULT, ELDER = range(4)
"""Patient groups: under 17, women of 17 to 44, 18 to 64, 65 and over."""

MILD: Final = (60, 33, 6, 1)
COMMON: Final = (30, 45, 21, 4)
GRAVE: Final = (8, 32, 42, 18)
CRITICAL: Final = (0, 8, 42, 50)

_GROUPS: Final = {
    EMERGENCY: (20, 6, 46, 28),
    INTENSIVE: (2, 3, 42, 53),
    MEDICINE: (0, 3, 34, 63),
    CARDIOLOGY: (0, 1, 28, 71),
    SURGERY: (3, 6, 54, 37),
    ORTHOPEDICS: (4, 2, 36, 58),
    OBSTETRICS: (0, 100, 0, 0),
    PEDIATRICS: (100, 0, 0, 0),
}
_NO_CHILDREN: Final = (0, 6, 60, 34)
_OLD: Final = (0, 0, 10, 90)


@dataclass(frozen=True)
class Diagnosis:
    """One ICD-10-CM code as a hospital meets it, with its official title.

    ``again`` is the code that a readmission after it carries, itself when empty; a code of weight 0 is
    met only so. ``groups`` weighs the patient groups, those of the department when empty.
    """

    department: int
    code: str
    text: str
    weight: float
    severity: tuple[int, int, int, int]
    treatments: tuple[str, ...]
    again: str = ""
    groups: tuple[int, ...] = ()


DIAGNOSES: Final = (
    Diagnosis(EMERGENCY, "R07.9", "Chest pain, unspecified", 14, MILD, ("Serial troponin and ECG",), "I20.0",
              _NO_CHILDREN),
    Diagnosis(EMERGENCY, "J06.9", "Acute upper respiratory infection, unspecified", 13, MILD,
              ("Supportive care",)),
    Diagnosis(EMERGENCY, "R10.9", "Unspecified abdominal pain", 12, MILD,
              ("Analgesia and imaging", "Observation")),
    Diagnosis(EMERGENCY, "S93.401A", "Sprain of unspecified ligament of right ankle, initial encounter", 8,
              (85, 14, 1, 0), ("Splint and analgesia",)),
    Diagnosis(EMERGENCY, "N39.0", "Urinary tract infection, site not specified", 9, MILD,
              ("Oral antibiotics",)),
    Diagnosis(EMERGENCY, "K52.9", "Noninfective gastroenteritis and colitis, unspecified", 8, MILD,
              ("Oral rehydration", "IV fluids")),
    Diagnosis(EMERGENCY, "R51.9", "Headache, unspecified", 8, MILD, ("Analgesia", "CT head")),
    Diagnosis(EMERGENCY, "M54.50", "Low back pain, unspecified", 8, MILD, ("Analgesia and physiotherapy",),
              "", _NO_CHILDREN),
    Diagnosis(EMERGENCY, "S61.411A", "Laceration without foreign body of right hand, initial encounter", 6,
              (88, 11, 1, 0), ("Wound repair",)),
    Diagnosis(EMERGENCY, "R55", "Syncope and collapse", 5, COMMON, ("ECG and orthostatic testing",)),
    Diagnosis(EMERGENCY, "S06.0X0A", "Concussion without loss of consciousness, initial encounter", 4, MILD,
              ("Observation", "CT head")),
    Diagnosis(EMERGENCY, "F10.129", "Alcohol abuse with intoxication, unspecified", 4, MILD,
              ("Observation and thiamine",), "", (0, 4, 84, 12)),
    Diagnosis(EMERGENCY, "T78.40XA", "Allergy, unspecified, initial encounter", 3, MILD,
              ("Antihistamine and steroid", "Intramuscular epinephrine")),
    Diagnosis(INTENSIVE, "J96.01", "Acute respiratory failure with hypoxia", 40, CRITICAL,
              ("Mechanical ventilation", "High-flow oxygen")),
    Diagnosis(INTENSIVE, "R65.21", "Severe sepsis with septic shock", 32, CRITICAL,
              ("Vasopressors and antibiotics",), "A41.9"),
    Diagnosis(INTENSIVE, "I46.9", "Cardiac arrest, cause unspecified", 12, CRITICAL,
              ("Targeted temperature management",), "I50.23"),
    Diagnosis(INTENSIVE, "S06.5X0A",
              "Traumatic subdural hemorrhage without loss of consciousness, initial encounter",
              10, GRAVE, ("Craniotomy", "Neurological monitoring"), "R55"),
    Diagnosis(INTENSIVE, "T40.2X1A",
              "Poisoning by other opioids, accidental (unintentional), initial encounter",
              6, GRAVE, ("Naloxone infusion",), "", (0, 6, 88, 6)),
    Diagnosis(MEDICINE, "A41.9", "Sepsis, unspecified organism", 18, GRAVE, ("IV antibiotics and fluids",)),
    Diagnosis(MEDICINE, "J18.9", "Pneumonia, unspecified organism", 15, COMMON,
              ("IV antibiotics", "IV antibiotics and oxygen")),
    Diagnosis(MEDICINE, "J44.1", "Chronic obstructive pulmonary disease with (acute) exacerbation",
              12, COMMON, ("Bronchodilators and steroids", "Non-invasive ventilation")),
    Diagnosis(MEDICINE, "N17.9", "Acute kidney failure, unspecified", 11, GRAVE,
              ("IV fluids", "Hemodialysis")),
    Diagnosis(MEDICINE, "I63.9", "Cerebral infarction, unspecified", 9, GRAVE,
              ("Thrombolysis", "Antiplatelet therapy")),
    Diagnosis(MEDICINE, "E11.65", "Type 2 diabetes mellitus with hyperglycemia", 8, COMMON,
              ("Insulin therapy",)),
    Diagnosis(MEDICINE, "K92.2", "Gastrointestinal hemorrhage, unspecified", 7, COMMON,
              ("Endoscopic hemostasis", "Transfusion")),
    Diagnosis(MEDICINE, "L03.115", "Cellulitis of right lower limb", 6, MILD, ("IV antibiotics",)),
    Diagnosis(MEDICINE, "U07.1", "COVID-19", 5, COMMON, ("Remdesivir and dexamethasone", "Supportive care")),
    Diagnosis(MEDICINE, "E87.1", "Hypo-osmolality and hyponatremia", 5, COMMON, ("Fluid restriction",)),
    Diagnosis(MEDICINE, "K85.90", "Acute pancreatitis without necrosis or infection, unspecified", 4, COMMON,
              ("IV fluids and analgesia",)),
    Diagnosis(CARDIOLOGY, "I50.23", "Acute on chronic systolic (congestive) heart failure", 26, GRAVE,
              ("IV diuretics", "Inotropes")),
    Diagnosis(CARDIOLOGY, "I21.4", "Non-ST elevation (NSTEMI) myocardial infarction", 18, COMMON,
              ("PCI with stent", "Medical therapy"), "I25.110"),
    Diagnosis(CARDIOLOGY, "I50.33", "Acute on chronic diastolic (congestive) heart failure", 14, GRAVE,
              ("IV diuretics",)),
    Diagnosis(CARDIOLOGY, "I48.91", "Unspecified atrial fibrillation", 13, COMMON,
              ("Rate control", "Cardioversion")),
    Diagnosis(CARDIOLOGY, "I21.3", "ST elevation (STEMI) myocardial infarction of unspecified site", 8, GRAVE,
              ("Primary PCI",), "I25.110"),
    Diagnosis(CARDIOLOGY, "I20.0", "Unstable angina", 8, COMMON, ("PCI with stent", "Medical therapy")),
    Diagnosis(CARDIOLOGY, "I25.110",
              "Atherosclerotic heart disease of native coronary artery with unstable angina pectoris",
              6, COMMON, ("Coronary artery bypass graft", "PCI with stent")),
    Diagnosis(CARDIOLOGY, "I26.99", "Other pulmonary embolism without acute cor pulmonale", 4, COMMON,
              ("Anticoagulation",)),
    Diagnosis(CARDIOLOGY, "I35.0", "Nonrheumatic aortic (valve) stenosis", 3, COMMON,
              ("Transcatheter aortic valve replacement",), "I50.23", _OLD),
    Diagnosis(SURGERY, "K80.00", "Calculus of gallbladder with acute cholecystitis without obstruction",
              20, COMMON, ("Laparoscopic cholecystectomy",), "K91.89"),
    Diagnosis(SURGERY, "K35.80", "Unspecified acute appendicitis", 18, MILD, ("Laparoscopic appendectomy",),
              "T81.41XA", (18, 10, 60, 12)),
    Diagnosis(SURGERY, "K56.609",
              "Unspecified intestinal obstruction, unspecified as to partial versus complete obstruction",
              14, COMMON, ("Nasogastric decompression", "Adhesiolysis")),
    Diagnosis(SURGERY, "K57.20",
              "Diverticulitis of large intestine with perforation and abscess without bleeding",
              12, GRAVE, ("Percutaneous drainage", "Sigmoid colectomy")),
    Diagnosis(SURGERY, "C18.9", "Malignant neoplasm of colon, unspecified", 11, COMMON, ("Colectomy",),
              "K91.89", _OLD),
    Diagnosis(SURGERY, "K40.90",
              "Unilateral inguinal hernia, without obstruction or gangrene, not specified as recurrent",
              10, MILD, ("Hernia repair",), "T81.41XA"),
    Diagnosis(SURGERY, "E66.01", "Morbid (severe) obesity due to excess calories", 8, MILD,
              ("Sleeve gastrectomy",), "K91.89", (0, 8, 82, 10)),
    Diagnosis(SURGERY, "K91.89", "Other postprocedural complications and disorders of digestive system",
              0, COMMON, ("Reoperation", "Conservative management")),
    Diagnosis(SURGERY, "T81.41XA",
              "Infection following a procedure, superficial incisional surgical site, initial encounter",
              0, COMMON, ("Wound drainage and antibiotics",)),
    Diagnosis(ORTHOPEDICS, "S72.001A",
              "Fracture of unspecified part of neck of right femur, initial encounter for closed fracture",
              24, COMMON, ("Hemiarthroplasty", "Internal fixation"), "T84.51XA", _OLD),
    Diagnosis(ORTHOPEDICS, "M17.11", "Unilateral primary osteoarthritis, right knee", 24, MILD,
              ("Total knee replacement",), "T84.53XA", (0, 0, 42, 58)),
    Diagnosis(ORTHOPEDICS, "M16.11", "Unilateral primary osteoarthritis, right hip", 18, MILD,
              ("Total hip replacement",), "T84.51XA", (0, 0, 40, 60)),
    Diagnosis(ORTHOPEDICS, "S82.101A",
              "Unspecified fracture of upper end of right tibia, initial encounter for closed fracture",
              12, COMMON, ("Open reduction and internal fixation",), "", (10, 4, 58, 28)),
    Diagnosis(ORTHOPEDICS, "S52.501A",
              "Unspecified fracture of the lower end of right radius, initial encounter for closed fracture",
              12, MILD, ("Closed reduction and cast", "Volar plate fixation"), "", (16, 4, 44, 36)),
    Diagnosis(ORTHOPEDICS, "M48.061", "Spinal stenosis, lumbar region without neurogenic claudication", 10,
              COMMON, ("Lumbar decompression",), "", (0, 0, 38, 62)),
    Diagnosis(ORTHOPEDICS, "T84.51XA",
              "Infection and inflammatory reaction due to internal right hip prosthesis, initial encounter",
              0, GRAVE, ("Debridement and antibiotics",)),
    Diagnosis(ORTHOPEDICS, "T84.53XA",
              "Infection and inflammatory reaction due to internal right knee prosthesis, initial encounter",
              0, GRAVE, ("Debridement and antibiotics",)),
    Diagnosis(OBSTETRICS, "O80", "Encounter for full-term uncomplicated delivery", 55, (88, 11, 1, 0),
              ("Vaginal delivery",), "O72.2"),
    Diagnosis(OBSTETRICS, "O82", "Encounter for cesarean delivery without indication", 20, MILD,
              ("Cesarean delivery",), "O86.00"),
    Diagnosis(OBSTETRICS, "O34.211", "Maternal care for low transverse scar from previous cesarean delivery",
              10, MILD, ("Cesarean delivery", "Vaginal birth after cesarean"), "O86.00"),
    Diagnosis(OBSTETRICS, "O42.02",
              "Full-term premature rupture of membranes, onset of labor within 24 hours of rupture",
              10, MILD, ("Induction of labor",), "O72.2"),
    Diagnosis(OBSTETRICS, "O14.14", "Severe pre-eclampsia complicating childbirth", 5, COMMON,
              ("Magnesium sulfate and delivery",), "O72.2"),
    Diagnosis(OBSTETRICS, "O72.2", "Delayed and secondary postpartum hemorrhage", 0, COMMON,
              ("Uterotonics", "Uterine evacuation")),
    Diagnosis(OBSTETRICS, "O86.00", "Infection of obstetric surgical wound, unspecified", 0, COMMON,
              ("IV antibiotics",)),
    Diagnosis(PEDIATRICS, "J21.0", "Acute bronchiolitis due to respiratory syncytial virus", 28, COMMON,
              ("Oxygen and suction",)),
    Diagnosis(PEDIATRICS, "J45.41", "Moderate persistent asthma with (acute) exacerbation", 20, COMMON,
              ("Bronchodilators and steroids",)),
    Diagnosis(PEDIATRICS, "A08.4", "Viral intestinal infection, unspecified", 16, MILD, ("IV fluids",)),
    Diagnosis(PEDIATRICS, "J05.0", "Acute obstructive laryngitis [croup]", 14, MILD,
              ("Dexamethasone and nebulized epinephrine",)),
    Diagnosis(PEDIATRICS, "E86.0", "Dehydration", 12, MILD, ("IV fluids",)),
    Diagnosis(PEDIATRICS, "R56.00", "Simple febrile convulsions", 10, MILD, ("Observation",)),
)  # fmt: skip

_INDEX: Final = {diagnosis.code: index for index, diagnosis in enumerate(DIAGNOSES)}


class CaseMix:
    """The table above as arrays, for drawing many visits at once; every row of a table sums up to 1."""

    def __init__(self) -> None:
        self.department: Ints = np.array([d.department for d in DIAGNOSES])
        self.again: Ints = np.array([_INDEX[d.again or d.code] for d in DIAGNOSES])
        self.treatments: Ints = np.array([len(d.treatments) for d in DIAGNOSES])
        self.by_department = _cumulative(
            [
                [d.weight if d.department == department else 0 for d in DIAGNOSES]
                for department in range(len(DEPARTMENTS))
            ]
        )
        self.severity = _cumulative([list(d.severity) for d in DIAGNOSES])
        self.groups = _cumulative([list(d.groups or _GROUPS[d.department]) for d in DIAGNOSES])


def _cumulative(weights: list[list[float]] | list[list[int]]) -> Floats:
    table = np.cumsum(np.array(weights, dtype=np.float64), axis=1)
    table /= table[:, -1:]
    return table


def pick(table: Floats, rows: Ints, uniform: Floats) -> Ints:
    """Draw, for each row number into a cumulative ``table``, the column where ``uniform`` falls."""
    columns: Ints = (table[rows] <= uniform[:, None]).sum(axis=1)
    return columns
