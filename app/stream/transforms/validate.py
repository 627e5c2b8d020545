"""Validate: the event contract as named rules; good rows go on, the others leave with the rules they broke."""

from collections.abc import Callable
from typing import Final

import dataframely as dy
import polars as pl

from lake.contracts.event import FIELDS, ICD10_PATTERN, VALUE_SETS
from lake.contracts.tables import UTC

_RFC3339: Final = r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$"
NOT_KEYED: Final = "not_keyed_by_patient"
"""The rule of ``WARDLAKE_DEDUP_SCOPE=partition``."""

_SAID_AS: Final = {"nullability": "missing"}


def _of(field: str) -> dict[str, Callable[[pl.Expr], pl.Expr]]:
    return {"not_allowed": lambda column: column.is_in(VALUE_SETS[field])}


class Event(dy.Schema):
    """A decoded event, blanks made null. A rule is named for what is wrong with a row that breaks it.

    ``event_text`` is the event time as it came, ``event_time`` the instant it denotes (null when it denotes
    none), ``ingested_at`` when the message was first taken in.
    """

    row = dy.UInt32(nullable=False)
    event_index = dy.Int32(nullable=False)
    source_format = dy.String(nullable=False)
    unknown_fields = dy.UInt32(nullable=False)
    ingested_at = dy.Datetime(time_unit="us", time_zone="UTC", nullable=False)
    event_text = dy.String(nullable=True)
    event_time = dy.Datetime(time_unit="us", time_zone="UTC", nullable=True)
    message_id = dy.String(nullable=False)
    event_type = dy.String(nullable=False, check=_of("event_type"))
    patient_id = dy.String(nullable=False)
    visit_id = dy.String(nullable=False)
    patient_name = dy.String(nullable=True)
    ssn = dy.String(nullable=True)
    phone = dy.String(nullable=True)
    email = dy.String(nullable=True)
    address = dy.String(nullable=True)
    date_of_birth = dy.String(nullable=True)
    sex = dy.String(nullable=True, check=_of("sex"))
    facility = dy.String(nullable=False)
    department = dy.String(nullable=False)
    ward = dy.String(nullable=True)
    bed = dy.String(nullable=True)
    doctor_id = dy.String(nullable=True)
    diagnosis_code = dy.String(nullable=True, check={"not_icd10cm": lambda code: code.str.contains(ICD10_PATTERN)})
    diagnosis = dy.String(nullable=True)
    severity = dy.String(nullable=True, check=_of("severity"))
    treatment = dy.String(nullable=True)
    disposition = dy.String(nullable=True, check=_of("disposition"))
    notes = dy.String(nullable=True)

    @dy.rule()
    def event_time_missing(cls) -> pl.Expr:
        """Required."""
        return pl.col("event_text").is_not_null()

    @dy.rule()
    def event_time_not_rfc3339(cls) -> pl.Expr:
        """A date and time that exist, with an offset (RFC 3339, 5.6)."""
        return pl.col("event_text").is_null() | pl.col("event_time").is_not_null()

    @dy.rule()
    def event_time_before_1900(cls) -> pl.Expr:
        """Not before 1900."""
        return pl.col("event_time").dt.year() >= 1900

    @dy.rule()
    def event_time_in_future(cls) -> pl.Expr:
        """At most 24 hours ahead of ingest."""
        return pl.col("event_time") - pl.col("ingested_at") <= pl.duration(hours=24)


def validate(decoded: pl.DataFrame, keys: pl.Series | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split a decoded batch (with ``ingested_at``) into the events of valid messages and the failed messages.

    ``decoded`` has a row per event (``row``, ``event_index``). A message fails as a whole, by the rules that any of its
    events broke. ``keys``, if given, are the Kafka keys (Binary) by ``row``, which have to be the patient's id.

    Returns the events as ``Event`` frames, and the failures as ``row`` and ``reasons`` (List[String], never
    empty). Every message is in exactly one of the two.
    """
    undecoded = decoded.filter(pl.col("reasons").is_not_null()).select("row", "reasons")
    good, failure = Event.filter(_prepare(decoded.filter(pl.col("reasons").is_null())))
    broken = failure.details()
    rules = [name for name in broken.columns if name not in Event.column_names()]
    reasons = [pl.when(pl.col(rule) == "invalid").then(pl.lit(_said(rule))) for rule in rules]
    failed = broken.select("row", reasons=pl.concat_list(reasons).list.drop_nulls())
    failures = [undecoded, failed] if keys is None else [undecoded, failed, _not_keyed_by_patient(good, keys)]
    return _whole(good, pl.concat(failures))


def _whole(good: pl.DataFrame, failures: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Messages that failed once each, with all their reasons; the events of the others."""
    if failures["row"].is_duplicated().any():
        every = failures.explode("reasons").unique(maintain_order=True)
        failures = every.group_by("row", maintain_order=True).agg("reasons")
    return good.join(failures, on="row", how="anti", maintain_order="left"), failures.sort("row")


def _not_keyed_by_patient(events: pl.DataFrame, keys: pl.Series) -> pl.DataFrame:
    wrong = events["patient_id"].cast(pl.Binary).ne_missing(keys.gather(events["row"]))
    return events.filter(wrong).select("row", reasons=pl.lit([NOT_KEYED], pl.List(pl.String)))


def _said(rule: str) -> str:
    """Dataframely's ``field|rule`` as this project says it: ``field_rule``."""
    field, _, name = rule.rpartition("|")
    name = name.removeprefix("check__")
    return f"{field}_{_SAID_AS.get(name, name)}" if field else name


def _prepare(decoded: pl.DataFrame) -> pl.DataFrame:
    """Blanks made null, event time read."""
    blank_to_null = [pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name)).alias(name) for name in FIELDS]
    read = pl.when(pl.col("event_text").str.contains(_RFC3339)).then(
        pl.col("event_text").str.to_uppercase().str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    )
    return (
        decoded.with_columns(blank_to_null)
        .rename({"event_time": "event_text"})
        .with_columns(event_time=read.cast(UTC))
        .select(Event.column_names())
    )
