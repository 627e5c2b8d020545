"""The tables of the lake and their contracts. Times are UTC microseconds.

========================  ==========================================  =================
table                     a row is                                    partitioned by
========================  ==========================================  =================
``bronze/events``         one encrypted record batch of messages      ``ingest_date``
``bronze/quarantine``     one message that failed                     ``ingest_date``
``silver/events``         one valid, masked, deduplicated event       ``event_date``
``ops/ingest``            one landed batch of one Kafka partition     ``ingest_date``
``ops/audit``             one access to or change of patient data     ``date``
``silver/visits``         one visit, folded from its events           ``admit_month``
``silver/stays``          one stretch of a visit in one place         ``from_month``
``silver/incomplete``     one visit id that no admission stands for   ``first_month``
``ops/builds``            one build of Gold, and what it read         ``date``
``ops/quality``           one check of one quality run                ``date``
========================  ==========================================  =================

The first five are made with the lake; the others by the flows, when they first write them. Gold: ``lake.gold.tables``.
"""

from dataclasses import dataclass
from typing import Final

import dataframely as dy
import polars as pl

from lake.contracts import event

KAFKA_COORDINATES: Final = ("topic_id", "kafka_partition", "kafka_offset")
"""What names a message for ever: the topic's id at the broker, the partition and the offset."""

EVENT_COORDINATES: Final = (*KAFKA_COORDINATES, "event_index")
"""What names an event for ever: its message, and which of the message's events it is."""

UTC: Final = pl.Datetime("us", "UTC")


def _utc(*, nullable: bool = False) -> dy.Datetime:
    return dy.Datetime(time_unit="us", time_zone="UTC", nullable=nullable)


class KafkaCoordinates(dy.Schema):
    """Where a message stood in Kafka; with ``topic_id`` (the broker's) it is unique for ever."""

    topic_id = dy.String(nullable=False, min_length=1)
    kafka_partition = dy.Int32(nullable=False, min=0)
    kafka_offset = dy.Int64(nullable=False, min=0)


class Bronze(dy.Schema):
    """``bronze/events``: consecutive messages of one partition as they were received, encrypted as one.

    ``payload`` is a record batch (``lake.storage.record_batch``) with the Kafka keys, headers, times, offsets and
    values of its ``messages``, encrypted with the key ``key_id`` (AES-256-GCM). Offsets between the first and the last
    may be missing: Kafka has such gaps after transactions and compaction. Outside of the payload there is no Kafka
    key: it is the MRN.
    """

    topic = dy.String(nullable=False)
    topic_id = dy.String(nullable=False, min_length=1)
    kafka_partition = dy.Int32(nullable=False, min=0)
    first_offset = dy.Int64(nullable=False, min=0)
    last_offset = dy.Int64(nullable=False, min=0)
    messages = dy.Int64(nullable=False, min=1)
    ingested_at = _utc()
    key_id = dy.String(nullable=False, regex="^[0-9a-f]{16}$")
    payload = dy.Binary(nullable=False)
    ingest_date = dy.Date(nullable=False)

    @dy.rule()
    def messages_fit_their_offsets(cls) -> pl.Expr:
        """No more messages than offsets."""
        return pl.col("messages") <= pl.col("last_offset") - pl.col("first_offset") + 1


class Quarantine(KafkaCoordinates):
    """``bronze/quarantine``: a message that failed, with the names of the rules it broke, never a value.

    Its payload is in Bronze alone. ``resolved_at`` is when a later ``quarantine replay`` or ``replay`` took it in;
    until then it is null.
    """

    topic = dy.String(nullable=False)
    ingested_at = _utc()
    reasons = dy.List(dy.String(nullable=False), nullable=False, min_length=1)
    resolved_at = _utc(nullable=True)
    ingest_date = dy.Date(nullable=False)


class Silver(KafkaCoordinates):
    """``silver/events``: one event, masked under ``policy``.

    ``event_index`` numbers the events of one message from 0; ``source_format`` is the format it was sent in.
    ``event_time`` is an instant; ``event_date`` its UTC date. ``content_hash`` is a keyed fingerprint of the
    record as received, less ``message_id``: it tells an exact duplicate from a conflict.
    """

    event_index = dy.Int32(nullable=False, min=0)
    source_format = dy.String(nullable=False)
    message_id = dy.String(nullable=False)
    event_type = dy.String(nullable=False)
    event_time = _utc()
    patient_key = dy.String(nullable=False)
    visit_key = dy.String(nullable=False)
    patient_name = dy.String(nullable=True)
    ssn = dy.String(nullable=True)
    phone = dy.String(nullable=True)
    email = dy.String(nullable=True)
    address = dy.String(nullable=True)
    birth_year = dy.Int32(nullable=True)
    sex = dy.String(nullable=True)
    facility = dy.String(nullable=False)
    department = dy.String(nullable=False)
    ward = dy.String(nullable=True)
    bed = dy.String(nullable=True)
    doctor_id = dy.String(nullable=True)
    diagnosis_code = dy.String(nullable=True)
    diagnosis = dy.String(nullable=True)
    severity = dy.String(nullable=True)
    treatment = dy.String(nullable=True)
    disposition = dy.String(nullable=True)
    notes = dy.String(nullable=True)
    policy = dy.String(nullable=False, min_length=1)
    policy_fingerprint = dy.String(nullable=False, regex="^[0-9a-f]{16}$")
    content_hash = dy.Int64(nullable=False)
    ingested_at = _utc()
    event_date = dy.Date(nullable=False)

    @dy.rule()
    def event_type_allowed(cls) -> pl.Expr:
        """The seven event types of the contract."""
        return pl.col("event_type").is_in(event.EVENT_TYPES)

    @dy.rule()
    def source_format_allowed(cls) -> pl.Expr:
        """A format that the stream decodes."""
        return pl.col("source_format").is_in(event.SOURCE_FORMATS)

    @dy.rule()
    def coded_values_allowed(cls) -> pl.Expr:
        """Sex, severity and disposition are null or of their value set."""
        coded = ("sex", "severity", "disposition")
        return pl.all_horizontal(pl.col(c).is_in(event.VALUE_SETS[c]) | pl.col(c).is_null() for c in coded)

    @dy.rule()
    def event_date_is_of_event_time(cls) -> pl.Expr:
        """The partition is the one the event belongs in."""
        return pl.col("event_date") == pl.col("event_time").dt.date()

    @dy.rule()
    def pseudonyms_well_formed(cls) -> pl.Expr:
        """Keys are 32 hex characters, never an MRN or account number."""
        form = r"^[0-9a-f]{32}$"
        return pl.col("patient_key").str.contains(form) & pl.col("visit_key").str.contains(form)


FIELD_COUNTS: Final = ("field", "present", "masked", "redacted", "missing")


class Ingest(dy.Schema):
    """``ops/ingest``: what one batch of one partition came to; counts and seconds only.

    ``messages = silver + quarantined + duplicates + ignored``, all four in messages; ``events`` counts the Silver rows.
    A message of several events is decided as a whole: quarantined if one of them breaks a rule, ignored if it holds
    none, a duplicate if all are exact duplicates, else silver. ``rules`` counts broken rules (a message can break
    several), ``fields`` counts PHI fields of the Silver rows: present = masked + redacted. ``kind`` is
    ``stream``, or ``replay`` and ``quarantine_replay`` for rows which those wrote (messages 0 in the latter).
    """

    batch_id = dy.String(nullable=False)
    kind = dy.String(nullable=False)
    topic_id = dy.String(nullable=False)
    kafka_partition = dy.Int32(nullable=False)
    first_offset = dy.Int64(nullable=False)
    last_offset = dy.Int64(nullable=False)
    messages = dy.Int64(nullable=False)
    silver = dy.Int64(nullable=False)
    quarantined = dy.Int64(nullable=False)
    duplicates = dy.Int64(nullable=False)
    ignored = dy.Int64(nullable=False)
    events = dy.Int64(nullable=False)
    unknown_fields = dy.Int64(nullable=False)
    rules = dy.List(dy.Struct({"rule": dy.String(nullable=True), "messages": dy.Int64(nullable=True)}), nullable=False)
    fields = dy.List(
        dy.Struct({"field": dy.String(nullable=True)} | {n: dy.Int64(nullable=True) for n in FIELD_COUNTS[1:]}),
        nullable=False,
    )
    seconds = dy.List(
        dy.Struct({"step": dy.String(nullable=True), "seconds": dy.Float64(nullable=True)}), nullable=False
    )
    policy = dy.String(nullable=False)
    policy_fingerprint = dy.String(nullable=False)
    ingested_at = _utc()
    ingest_date = dy.Date(nullable=False)

    @dy.rule()
    def every_message_is_accounted_for(cls) -> pl.Expr:
        """The conservation law, per row."""
        return pl.col("messages") == pl.sum_horizontal(event.OUTCOMES)


class Audit(dy.Schema):
    """``ops/audit``: who touched patient-derived data, when and how; ``detail`` is query text or counts."""

    audited_at = _utc()
    who = dy.String(nullable=False)
    action = dy.String(nullable=False)
    detail = dy.String(nullable=False)
    rows = dy.Int64(nullable=True)
    date = dy.Date(nullable=False)


class Visit(dy.Schema):
    """``silver/visits``: one visit as its events tell it now, cancels honoured, in whatever order they came.

    Every row has an admission that stands. ``facility`` to ``bed`` are where the patient is or last was,
    ``admit_facility`` and ``admit_department`` where the visit began. ``los_days`` is days from admission to
    discharge, fractions included, null while the visit is open. ``flags`` names what is odd about its history.
    ``stale``: open, and without an event for ``Build.stale_visit_days`` before the end of the data.
    """

    visit_key = dy.String(nullable=False, primary_key=True)
    patient_key = dy.String(nullable=False)
    admitted_at = _utc()
    discharged_at = _utc(nullable=True)
    los_days = dy.Float64(nullable=True, min=0)
    facility = dy.String(nullable=False)
    department = dy.String(nullable=False)
    ward = dy.String(nullable=True)
    bed = dy.String(nullable=True)
    admit_facility = dy.String(nullable=False)
    admit_department = dy.String(nullable=False)
    doctor_id = dy.String(nullable=True)
    diagnosis_code = dy.String(nullable=True)
    diagnosis = dy.String(nullable=True)
    severity = dy.String(nullable=True)
    treatment = dy.String(nullable=True)
    disposition = dy.String(nullable=True)
    sex = dy.String(nullable=True)
    birth_year = dy.Int32(nullable=True)
    flags = dy.List(dy.String(nullable=False), nullable=False)
    stale = dy.Bool(nullable=False)
    events = dy.Int64(nullable=False, min=1)
    first_event_at = _utc()
    last_event_at = _utc()
    admit_month = dy.Date(nullable=False)

    @dy.rule()
    def left_after_it_came(cls) -> pl.Expr:
        """A discharge is not before its admission."""
        return pl.col("discharged_at").is_null() | (pl.col("discharged_at") >= pl.col("admitted_at"))

    @dy.rule()
    def disposition_of_discharged(cls) -> pl.Expr:
        """Every discharged visit has a disposition, ``unknown`` where nobody said; an open one has none."""
        return pl.col("disposition").is_null() == pl.col("discharged_at").is_null()

    @dy.rule()
    def stale_is_open(cls) -> pl.Expr:
        """A discharged visit waits for nobody."""
        return ~pl.col("stale") | pl.col("discharged_at").is_null()


class Incomplete(dy.Schema):
    """``silver/incomplete``: a visit id of which no admission stands. It counts in no KPI.

    ``flags`` says why: ``cancelled`` (its admission was taken back and nothing else is left), ``no_admission``
    (events, and never an admission), ``discharge_before_admission`` (a history that cannot be).
    """

    visit_key = dy.String(nullable=False, primary_key=True)
    patient_key = dy.String(nullable=False)
    flags = dy.List(dy.String(nullable=False), nullable=False, min_length=1)
    events = dy.Int64(nullable=False, min=1)
    first_event_at = _utc()
    last_event_at = _utc()
    first_month = dy.Date(nullable=False)


class Stay(dy.Schema):
    """``silver/stays``: one stretch of a visit in one place, between admission, transfers and discharge.

    ``to_time`` is null while the patient is there. ``transfer_in``: began with a move from another department.
    ``ends_visit``: ``to_time`` is the discharge.
    """

    visit_key = dy.String(nullable=False)
    patient_key = dy.String(nullable=False)
    facility = dy.String(nullable=False)
    department = dy.String(nullable=False)
    ward = dy.String(nullable=True)
    bed = dy.String(nullable=True)
    from_time = _utc()
    to_time = _utc(nullable=True)
    transfer_in = dy.Bool(nullable=False)
    ends_visit = dy.Bool(nullable=False)
    from_month = dy.Date(nullable=False)


class Build(dy.Schema):
    """``ops/builds``: one build of Gold: what it read, and the version of each table that belongs to it.

    The row is written last: it publishes the build. Readers take the tables at the versions of the last row.
    """

    build_id = dy.Int64(nullable=False, primary_key=True, min=1)
    kind = dy.String(nullable=False, check=lambda column: column.is_in(["full", "refresh"]))
    built_at = _utc()
    gold_format = dy.Int32(nullable=False)
    timezone = dy.String(nullable=False)
    silver_version = dy.Int64(nullable=False)
    ingest_version = dy.Int64(nullable=False)
    rebuild = dy.Int64(nullable=False)
    positions = dy.List(
        dy.Struct(
            {
                "topic_id": dy.String(nullable=True),
                "kafka_partition": dy.Int32(nullable=True),
                "kafka_offset": dy.Int64(nullable=True),
            }
        ),
        nullable=False,
    )
    tables = dy.List(dy.Struct({"table": dy.String(nullable=True), "version": dy.Int64(nullable=True)}), nullable=False)
    staffed_beds = dy.String(nullable=True)
    stale_visit_days = dy.Int64(nullable=False, min=1)
    data_start = _utc(nullable=True)
    data_end = _utc(nullable=True)
    new_events = dy.Int64(nullable=False)
    months = dy.Int64(nullable=False)
    seconds = dy.List(
        dy.Struct({"step": dy.String(nullable=True), "seconds": dy.Float64(nullable=True)}), nullable=False
    )
    date = dy.Date(nullable=False)


class Quality(dy.Schema):
    """``ops/quality``: one check of one run; counts and rule names only, never a value.

    ``status`` is ``passed``, ``failed`` or ``skipped`` (nothing to check yet). ``observed`` and ``expected`` are
    short texts for people. A failed check of severity ``error`` keeps Gold from being published.
    """

    run_id = dy.String(nullable=False, primary_key=True)
    check = dy.String(nullable=False, primary_key=True)
    table = dy.String(nullable=False)
    severity = dy.String(nullable=False, check=lambda column: column.is_in(["error", "warning"]))
    status = dy.String(nullable=False, check=lambda column: column.is_in(["passed", "failed", "skipped"]))
    observed = dy.String(nullable=False)
    expected = dy.String(nullable=False)
    checked_at = _utc()
    date = dy.Date(nullable=False)


@dataclass(frozen=True)
class Table:
    """A table's name (its path under the lake root), contract and partition column."""

    name: str
    schema: type[dy.Schema]
    partition: str

    @property
    def polars_schema(self) -> pl.Schema:
        """Column → Polars dtype, in order."""
        return pl.Schema({name: column.dtype for name, column in self.schema.columns().items()})

    def empty(self) -> pl.DataFrame:
        """A frame of the table's shape with no row."""
        return pl.DataFrame(schema=self.polars_schema)


BRONZE: Final = Table("bronze/events", Bronze, "ingest_date")
QUARANTINE: Final = Table("bronze/quarantine", Quarantine, "ingest_date")
SILVER: Final = Table("silver/events", Silver, "event_date")
INGEST: Final = Table("ops/ingest", Ingest, "ingest_date")
AUDIT: Final = Table("ops/audit", Audit, "date")
VISITS: Final = Table("silver/visits", Visit, "admit_month")
STAYS: Final = Table("silver/stays", Stay, "from_month")
INCOMPLETE: Final = Table("silver/incomplete", Incomplete, "first_month")
BUILDS: Final = Table("ops/builds", Build, "date")
QUALITY: Final = Table("ops/quality", Quality, "date")

TABLES: Final = (BRONZE, QUARANTINE, SILVER, INGEST, AUDIT)

DERIVED: Final = (VISITS, STAYS, INCOMPLETE, BUILDS, QUALITY)
"""What the flows make, when they first write it: older lakes get these tables too."""

LANDED: Final = (BRONZE, QUARANTINE, INGEST, SILVER)
"""What a batch lands in, in the order of the commits: Silver last."""
