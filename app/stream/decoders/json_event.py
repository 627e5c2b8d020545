"""Decode: payload bytes → one text column per field of the contract, and the reasons of what could not be.

Three speeds, one answer. A payload that is lean (one flat object of known fields, each once and a plain string) is
known by a simple pattern and its own length, and parsed by Polars with all others of the batch. So is what is well
formed with nulls or escapes, by a pattern of twice the cost. The rest are taken one by one with the standard library,
which can say what is wrong. Spacing and the order of keys are the sender's business, so the patterns take them from
the batch itself.
"""

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, cast

import polars as pl

from lake.contracts.event import FIELDS, MAX_FIELD_BYTES

_TEXT: Final = (
    r'"(?:[^"\\\x00-\x1f\x{FFFD}]|\\(?:["\\/nrt]'
    # Escaped control characters break a rule and escaped surrogates come in pairs: both take the careful path.
    r"|u(?:[1-9a-cA-CeEfF][0-9a-fA-F]{3}|0[1-9a-fA-F][0-9a-fA-F]{2}|00[2-9a-fA-F][0-9a-fA-F]"
    r"|[dD][0-7][0-9a-fA-F]{2})))*\""
)
_FIRST_COLON: Final = re.compile(rb'\{"[a-z_]+":( ?)"')
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SCHEMA: Final = dict.fromkeys(FIELDS, pl.String())


def decode(payloads: Sequence[bytes | None]) -> pl.DataFrame:
    """Decode a batch of payloads.

    Returns one row per payload, in order: ``row`` (UInt32), ``event_index`` (Int32, 0), ``source_format``, a String
    column per contract field, ``unknown_fields`` (UInt32, how many fields were not listed: never their names, which a
    sender chose) and ``reasons`` (List[String]; null when it decoded). A payload with reasons has the fields that could
    be read.
    """
    return _decoded(payloads).select(
        "row", pl.lit(0, pl.Int32).alias("event_index"), pl.lit("event").alias("source_format"), pl.exclude("row")
    )


def _decoded(payloads: Sequence[bytes | None]) -> pl.DataFrame:
    texts = _texts(payloads)
    lean = _lean(texts, payloads)
    if lean.height == len(payloads):
        return lean
    formed = _formed(_others(len(payloads), lean), texts, payloads)
    careful = _decode_carefully(_others(len(payloads), lean, formed).to_list(), payloads)
    return pl.concat([lean, formed, careful]).sort("row")


def _texts(payloads: Sequence[bytes | None]) -> pl.Series:
    """The payloads as text; what is not UTF-8 gets a U+FFFD, which the pattern does not let through."""
    return pl.Series([None if p is None else p.decode("utf-8", "replace") for p in payloads], dtype=pl.String)


def _lean(texts: pl.Series, payloads: Sequence[bytes | None]) -> pl.DataFrame:
    """Rows that hold known fields, each once and a plain string, and not a byte more.

    The pattern shows a flat object of plain strings. Each column that the parser filled accounts for one pair of it;
    a pair that no column accounts for (an unknown field, a second one of a name) would make the text longer.
    """
    space = _spacing(payloads)
    parsed = _parse(_where(texts.str.contains(_lean_pattern(space)), texts), payloads)
    around = len('"":"",') + 2 * len(space)
    told = pl.sum_horizontal((pl.col(name).str.len_bytes() + (len(name) + around)).fill_null(0) for name in FIELDS)
    whole = told + (len("{}") - len(",") - len(space)) == texts.gather(parsed["row"]).str.len_bytes()
    return parsed.filter(whole)


def _formed(rows: pl.Series, texts: pl.Series, payloads: Sequence[bytes | None]) -> pl.DataFrame:
    """Those of ``rows`` that hold known fields in one order, each at most once, strings or nulls."""
    # The pattern lets a text end after a comma, as one that was cut off may: hence the second condition.
    found = texts.gather(rows)
    formed = found.str.contains(_formed_pattern(_key_order(payloads))) & found.str.ends_with("}")
    return _parse(rows.gather(_where(formed, found)), payloads)


def _others(count: int, *frames: pl.DataFrame) -> pl.Series:
    """Numbers of the rows that none of ``frames`` has."""
    left = pl.repeat(value=True, n=count, eager=True)
    for frame in frames:
        left = left.scatter(frame["row"], values=False)
    return left.arg_true()


def _where(holds: pl.Series, texts: pl.Series) -> pl.Series:
    """Numbers of the texts of which it ``holds`` and which are not too long for a field."""
    return (holds & (texts.str.len_bytes() <= MAX_FIELD_BYTES)).fill_null(value=False).arg_true()


def _parse(rows: pl.Series, payloads: Sequence[bytes | None]) -> pl.DataFrame:
    """These rows, parsed; none of them should the parser refuse one after all."""
    lines = b"\n".join(cast("Iterable[bytes]", map(payloads.__getitem__, rows.to_list())))
    try:
        fields = pl.scan_ndjson(lines, schema=_SCHEMA).collect() if lines else _decode_carefully([], payloads)
    except pl.exceptions.ComputeError:
        fields = _decode_carefully([], payloads)
    if fields.height != rows.len():
        return _decode_carefully([], payloads)
    return fields.select(
        rows.cast(pl.UInt32).alias("row"),
        *FIELDS,
        unknown_fields=pl.lit(0, pl.UInt32),
        reasons=pl.lit(None, pl.List(pl.String)),
    )


def _spacing(payloads: Sequence[bytes | None]) -> str:
    """What stands after each colon and comma of the batch's first object: nothing, or a space."""
    found = next(filter(None, (_FIRST_COLON.match(payload or b"") for payload in payloads[:16])), None)
    return found[1].decode() if found else ""


@lru_cache(maxsize=2)
def _lean_pattern(space: str) -> str:
    pair = rf'"[a-z_]+":{space}"[^"\\\x00-\x1f\x{{FFFD}}]*"'
    return rf"^\{{{pair}(?:,{space}{pair})*\}}$"


def _key_order(payloads: Sequence[bytes | None]) -> tuple[str, ...]:
    """Contract fields in the order of the batch's longest object among the first few, then the others."""
    best: list[str] = []
    for payload in payloads[:16]:
        document, _ = _load(payload)
        names = [name for name, _ in document or [] if name in _SCHEMA]
        if len(names) > len(best) and len(set(names)) == len(names):
            best = names
    return _merge(best)


def _merge(seen: list[str]) -> tuple[str, ...]:
    """``seen`` with each missing field put after its neighbour of the contract, where senders tend to have it."""
    order = list(seen)
    for i, name in enumerate(FIELDS):
        if name not in order:
            at = order.index(FIELDS[i - 1]) + 1 if i else 0
            order.insert(at, name)
    return tuple(order)


@lru_cache(maxsize=64)
def _formed_pattern(order: tuple[str, ...]) -> str:
    pairs = "".join(rf'(?:"{name}": ?(?:null|{_TEXT})(?:, ?|\}}$))?' for name in order)
    return r"^\{" + pairs + r"$"


def _decode_carefully(rows: list[int], payloads: Sequence[bytes | None]) -> pl.DataFrame:
    columns: dict[str, list[str | None]] = {name: [] for name in FIELDS}
    unknown: list[int] = []
    reasons: list[list[str] | None] = []
    for row in rows:
        document, problem = _load(payloads[row])
        values, extra, wrong = _read(document or [])
        for name in FIELDS:
            columns[name].append(values.get(name))
        unknown.append(extra)
        reasons.append(([problem] if problem else []) + wrong or None)
    return pl.DataFrame(
        {"row": rows, **columns, "unknown_fields": unknown, "reasons": reasons},
        schema={"row": pl.UInt32, **_SCHEMA, "unknown_fields": pl.UInt32, "reasons": pl.List(pl.String)},
    )


def _load(payload: bytes | None) -> tuple[list[tuple[str, object]] | None, str | None]:
    """The pairs of a JSON object, or the name of the rule that the payload breaks."""
    if payload is None:
        return None, "tombstone"
    if not payload.strip():
        return None, "empty_message"
    try:
        document = json.loads(
            payload.decode("utf-8-sig"), object_pairs_hook=_Pairs, parse_int=_number, parse_constant=_refuse
        )
    except UnicodeDecodeError:
        return None, "not_utf8"
    except (ValueError, RecursionError):
        return None, "not_json"
    return (document.pairs, None) if isinstance(document, _Pairs) else (None, "not_an_object")


class _Pairs:
    """A JSON object as its pairs, so that a repeated key is seen."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self.pairs = pairs


def _number(_: str) -> float:
    """An integer of any length: no field is a number, so its value is not needed (and may be huge)."""
    return 0.0


def _refuse(_: str) -> float:
    """NaN and Infinity are not JSON (RFC 8259, section 6)."""
    raise ValueError


def _read(pairs: list[tuple[str, object]]) -> tuple[dict[str, str], int, list[str]]:
    """Field texts, number of unlisted fields, and the rules that single fields break."""
    values: dict[str, str] = {}
    seen: set[str] = set()
    unknown, wrong = 0, []
    for name, value in pairs:
        if name in seen:
            wrong.append("duplicate_json_key")
        seen.add(name)
        if name not in _SCHEMA:
            unknown += 1
        elif isinstance(value, str):
            faults = _text_faults(name, value)
            wrong += faults
            if not faults:
                values[name] = value
        elif isinstance(value, _Pairs | list):
            wrong.append(f"{name}_nested")
        elif value is not None:
            wrong.append(f"{name}_not_text")
    return values, unknown, list(dict.fromkeys(wrong))


def _text_faults(name: str, value: str) -> list[str]:
    """The rules that a field's text breaks whatever the field; it is not read then."""
    faults = []
    if not _encodable(value):
        faults.append(f"{name}_not_unicode")
    elif len(value.encode()) > MAX_FIELD_BYTES:
        faults.append("field_too_long")
    if _CONTROL.search(value):
        faults.append("control_character")
    return faults


def _encodable(value: str) -> bool:
    """Whether the text is Unicode: JSON can escape half a surrogate pair, which no column can hold."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
