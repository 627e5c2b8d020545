"""The event contract: one flat JSON object on the topic ``healthcare.data``, one hospital ADT message.

Field names, which are required, which are PHI, and the value sets they are held to. Everything that
reads or writes an event takes it from here: the simulator, the file sources, validation, masking.

Sources of the value sets: HL7 v2 event types (table 0003: A01, A02, A03, A08, A11, A12, A13), APR-DRG
severity of illness, UB-04 discharge status grouped to ten dispositions, ICD-10-CM code structure
(letter, digit, alphanumeric, then up to four alphanumerics after the dot).
"""

from typing import Final

TOPIC: Final = "healthcare.data"

EVENT_TYPES: Final = (
    "admit",
    "transfer",
    "discharge",
    "update",
    "cancel_admit",
    "cancel_transfer",
    "cancel_discharge",
)
SEXES: Final = ("female", "male", "other", "unknown")
SEVERITIES: Final = ("minor", "moderate", "major", "extreme")
DISPOSITIONS: Final = (
    "home",
    "home_health",
    "skilled_nursing",
    "rehab",
    "transfer",
    "ama",
    "hospice",
    "expired",
    "other",
    "unknown",
)
"""How a visit ended. A discharge without one counts as ``unknown``. The simulator numbers them: new ones go last."""

VALUE_SETS: Final = {
    "event_type": EVENT_TYPES,
    "sex": SEXES,
    "severity": SEVERITIES,
    "disposition": DISPOSITIONS,
}
"""Coded fields and the values they may take."""

SOURCE_FORMATS: Final = ("event", "hl7v2", "fhir")
"""What a message can be: this contract's own JSON, HL7 v2, FHIR R4."""

OUTCOMES: Final = ("silver", "quarantined", "duplicates", "ignored")
"""What becomes of a message: one of these four, which add up to the messages."""

ICD10_PATTERN: Final = r"^[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?$"
"""ICD-10-CM code with its dot, as in ``I21.4`` or ``U07.1``."""

FIELDS: Final = (
    "message_id",
    "event_type",
    "event_time",
    "patient_id",
    "visit_id",
    "patient_name",
    "ssn",
    "phone",
    "email",
    "address",
    "date_of_birth",
    "sex",
    "facility",
    "department",
    "ward",
    "bed",
    "doctor_id",
    "diagnosis_code",
    "diagnosis",
    "severity",
    "treatment",
    "disposition",
    "notes",
)
"""Every field of an event, in the order of the contract. Each is a JSON string or absent/null."""

REQUIRED: Final = (
    "message_id",
    "event_type",
    "event_time",
    "patient_id",
    "visit_id",
    "facility",
    "department",
)

PHI: Final = ("patient_name", "ssn", "phone", "email", "address", "date_of_birth")
"""Direct identifiers whose presence is counted per field: a null or blank one is *missing*."""

MAX_FIELD_BYTES: Final = 64 * 1024
"""Longest value of any field, in bytes of UTF-8; a longer one is a mistake, not a note."""
