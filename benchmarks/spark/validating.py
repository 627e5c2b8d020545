"""Kafka rows → the contract's fields as text, and the names of the rules that a message broke; native functions only.

A message that is lean (one flat object of known fields, each once and a plain string) is known by its length, as in
``app.stream.decoders.json_event``; only the others are taken apart as a variant, which tells a number from a text.
"""

from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as everyone writes it
from pyspark.sql import types as T  # noqa: N812

from lake.contracts.event import FIELDS, ICD10_PATTERN, MAX_FIELD_BYTES, REQUIRED, VALUE_SETS

_SCHEMA: Final = T.StructType([T.StructField(name, T.StringType()) for name in FIELDS])
_RFC3339: Final = r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$"
_CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
_AROUND: Final = len('"":"",')


def decoded(rows: DataFrame) -> DataFrame:
    """Add a text column per field and ``faults``, the rules of decoding that the ``value`` broke (null for none)."""
    told = rows.withColumn("text", F.col("value").cast("string")).withColumn("e", F.from_json("text", _SCHEMA))
    return told.select(
        *rows.columns,
        *(F.col(f"e.{name}").alias(name) for name in FIELDS),
        F.when(~_lean(), _faults()).alias("faults"),
    )


def _lean() -> Column:
    """The fields account for every byte, each value begins with a quote, and nothing is escaped."""
    lengths = (F.coalesce(F.octet_length(f"e.{name}") + (len(name) + _AROUND), F.lit(0)) for name in FIELDS)
    whole = reduce(Column.__add__, lengths) + 1 == F.octet_length("value")
    plain = ~F.col("text").rlike('":[^"]') & (F.instr("text", "\\") == 0) & F.is_valid_utf8("text")
    lean = (F.octet_length("value") > len("{}")) & (F.octet_length("value") <= MAX_FIELD_BYTES) & whole & plain
    return F.coalesce(lean, F.lit(False))


def _faults() -> Column:
    text, parsed = F.col("text"), F.try_parse_json("text")
    return (
        F.when(F.col("value").isNull(), F.array(F.lit("tombstone")))
        .when(~text.rlike(r"\S"), F.array(F.lit("empty_message")))
        .when(~F.is_valid_utf8(text), F.array(F.lit("not_utf8")))
        .when(parsed.isNull(), F.array(F.lit("not_json")))
        .when(~F.schema_of_variant(parsed).startswith("OBJECT"), F.array(F.lit("not_an_object")))
        .otherwise(_field_faults(F.map_entries(parsed.cast("map<string,variant>"))))
    )


def _field_faults(entries: Column) -> Column:
    """The rules that fields break whatever they mean; null for none."""
    known = F.filter(entries, lambda entry: entry["key"].isin(*FIELDS))
    faults = F.array_distinct(F.array_compact(F.transform(known, _fault)))
    return F.when(F.size(faults) > 0, faults)


def _fault(entry: Column) -> Column:
    name, kind, text = entry["key"], F.schema_of_variant(entry["value"]), entry["value"].try_cast("string")
    return (
        F.when(kind.rlike("^(OBJECT|ARRAY)"), F.concat(name, F.lit("_nested")))
        .when(~kind.isin("STRING", "VOID"), F.concat(name, F.lit("_not_text")))
        .when(F.octet_length(text) > MAX_FIELD_BYTES, F.lit("field_too_long"))
        .when(text.rlike(_CONTROL), F.lit("control_character"))
    )


def _listed(names: list[Column]) -> Column:
    """The names that are not null, as a list; null for none. Spark interprets functions of arrays: text is faster."""
    joined = F.concat_ws(",", *names)
    return F.when(joined != "", F.array_distinct(F.split(joined, ",")))


def validated(rows: DataFrame) -> DataFrame:
    """Blanks made null, ``event_time`` read as an instant, and ``reasons``: all rules broken, null for a valid event.

    ``rows`` as ``decoded`` makes them, with ``ingested_at``.
    """
    blank_to_null = {name: F.when(F.col(name).rlike(r"(?U)\S"), F.col(name)) for name in FIELDS}
    read = F.when(F.col("event_time").rlike(_RFC3339), F.upper("event_time").try_cast("timestamp"))
    named = rows.withColumns(blank_to_null)
    timed = named.withColumn("event_text", F.col("event_time")).withColumn("event_time", read)
    reasons = F.coalesce("faults", _listed(_rules()))
    return timed.withColumn("reasons", reasons).drop("faults", "event_text")


def _rules() -> list[Column]:
    """Each rule's name where it is broken, else null."""
    time, day = F.col("event_time"), F.expr("INTERVAL 24 HOURS")
    broken = {f"{name}_missing": F.col(name).isNull() for name in REQUIRED if name != "event_time"}
    broken |= {f"{name}_not_allowed": ~F.col(name).isin(*allowed) for name, allowed in VALUE_SETS.items()}
    broken |= {
        "diagnosis_code_not_icd10cm": ~F.col("diagnosis_code").rlike(ICD10_PATTERN),
        "event_time_missing": F.col("event_text").isNull(),
        "event_time_not_rfc3339": F.col("event_text").isNotNull() & time.isNull(),
        "event_time_before_1900": F.year(time) < 1900,
        "event_time_in_future": time > F.col("ingested_at") + day,
    }
    return [F.when(is_broken, F.lit(name)) for name, is_broken in broken.items()]
