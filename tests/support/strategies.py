"""What Hypothesis draws: payloads well formed, mangled and random; records that repeat their identifiers."""

import json
from typing import Final

from hypothesis import strategies as st

from lake.contracts.event import FIELDS

_CHARACTERS: Final = st.one_of(
    st.sampled_from('aZ09 \t\n\b\x1f"\\/{}[]:,é\u2028\U0001f600\ud7ff\x7f'),
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"),
)
TEXTS: Final = st.text(_CHARACTERS, max_size=12)

_ORDERS: Final = st.one_of(st.just(FIELDS), st.permutations(FIELDS).map(tuple))
_BLANKS: Final = st.sampled_from(["", " ", "\n", "\t ", "\r\n"])
_ODD: Final = st.sampled_from(
    [
        "1",
        "-0.5e3",
        "1e999",
        "9" * 5000,
        "true",
        "[]",
        '{"a": [1, {}]}',
        "NaN",
        "-Infinity",
        '"\\ud800"',
        '"\\u0000"',
        "01",
    ]
)


@st.composite
def _text_as_json(draw: st.DrawFn) -> str:
    """A JSON string of some text, with as many escapes as it pleases the sender."""
    text = draw(TEXTS)
    if draw(st.booleans()):
        return json.dumps(text, ensure_ascii=draw(st.booleans()))
    escaped = "".join(f"\\u{ord(c):04x}" if c.isalnum() and ord(c) < 0x10000 else json.dumps(c)[1:-1] for c in text)
    return f'"{escaped}"'


@st.composite
def well_formed(draw: st.DrawFn, order: tuple[str, ...] | None = None) -> bytes:
    """A flat object of listed fields, strings or nulls, written in any manner."""
    order = order or draw(_ORDERS)
    names = [name for name in order if draw(st.booleans())]
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), (" :", "\n,"), (":\t", " , ")]))
    pairs = comma.join(f'"{name}"{colon}{draw(_text_as_json() | st.just("null"))}' for name in names)
    return ("{" + pairs + "}").encode()


@st.composite
def off_contract(draw: st.DrawFn) -> bytes:
    """An object with odd values, unlisted fields and repeated keys, or what is nearly one."""
    names = draw(st.lists(st.sampled_from([*FIELDS[:4], "other", "SSN", "\\u0062ed", "bed"]), max_size=6))
    pairs = ", ".join(f'"{name}": {draw(_ODD | _text_as_json() | st.just("null"))}' for name in names)
    around = draw(st.tuples(_BLANKS, st.sampled_from(["{%s}", "[{%s}]", "{%s,}", "{%s", "\ufeff{%s}"]), _BLANKS))
    return (around[0] + around[1] % pairs.replace("%", "%%") + around[2]).encode()


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A well-formed payload with a few bytes cut out, put in or cut off."""
    payload = draw(well_formed())
    start = draw(st.integers(0, len(payload)))
    end = draw(st.one_of(st.just(len(payload)), st.integers(start, min(len(payload), start + 4))))
    return (
        payload[:start] + draw(st.binary(max_size=2) | st.sampled_from([b"", b'"', b",", b"}", b"\n"])) + payload[end:]
    )


@st.composite
def batches(draw: st.DrawFn) -> list[bytes | None]:
    """Payloads of one batch: most by one sender with one order of keys, some by anybody."""
    same = well_formed(draw(_ORDERS))
    anybody = st.one_of(well_formed(), mangled(), off_contract(), st.binary(max_size=20), st.none())
    return draw(st.lists(st.one_of(same, same, anybody), max_size=12))


# Records. Letters and digits whose case mapping is one to one: what it does beyond that has tests by example.
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzàéîõüñçøåABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WORDS: Final = st.text(_LETTERS, min_size=1, max_size=8)
_PADS: Final = st.sampled_from(["", "", " ", "\t", "\u00a0"])


def _digits(size: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=size, max_size=size)


def _joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


_SEPARATORS: Final = st.sampled_from(["", "-", " ", "."])
NAMES: Final = st.one_of(
    _joined(_WORDS, st.sampled_from([" ", "-", "’", ", "]), _WORDS), _WORDS, _joined(_PADS, _WORDS, _PADS), TEXTS
)
SSNS: Final = st.one_of(
    _joined(_PADS, _digits(3), _SEPARATORS, _digits(2), _SEPARATORS, _digits(4), _PADS),
    st.text("0123456789- x", max_size=12),
)
PHONES: Final = st.one_of(
    _joined(st.sampled_from(["", "1", "+1 ", "1-"]), _digits(3), _SEPARATORS, _digits(3), _SEPARATORS, _digits(4)),
    _joined(_PADS, st.just("("), _digits(3), st.just(") "), _digits(3), st.just("-"), _digits(4), _PADS),
    st.text("0123456789-+() x", max_size=16),
)
EMAILS: Final = st.one_of(
    _joined(_PADS, _WORDS, st.just("@"), _WORDS, st.just(".example"), _PADS), st.text("ab.@ +", max_size=8)
)
ADDRESSES: Final = st.one_of(
    _joined(
        _digits(2), st.just(" "), _WORDS, st.sampled_from([" St, ", " Ave\n", ", Apt 3, "]), _WORDS,
        st.sampled_from([", ", ","]), st.sampled_from(["IL", "NY", "il", "Illinois"]),
        st.sampled_from(["", " 62704", " 62704-1234", " 627", ", USA", " 62704, United States"]), _PADS,
    ),
    st.text("ab A,\nIL0", max_size=12),
)  # fmt: skip
BIRTHDAYS: Final = st.one_of(
    _joined(_PADS, st.dates().map(str), _PADS),
    st.dates().map("{0:%m/%d/%Y}".format),
    st.dates().map("{0:%Y%m%d}".format),
    st.sampled_from(["1961-02-30", "04.03.1961", "March 4, 1961", "1961", "1849-12-31", "2026-01-01", "unknown"]),
)
NUMBERS: Final = st.one_of(_joined(st.sampled_from(["MRN", "V-", ""]), _digits(5)), _digits(4), _WORDS)
_PUNCTUATION: Final = st.sampled_from([" ", ", ", ".", "-", "_", "(", ")", "/", ":", "\n", "'", "x", "7"])


@st.composite
def _text_about(draw: st.DrawFn, told: list[str]) -> str:
    """Text in which what is told stands in any case, between words and signs of any kind."""
    cases = st.sampled_from([str, str.upper, str.lower, str.title])
    pieces = st.one_of(_WORDS, _PUNCTUATION, st.tuples(st.sampled_from(told), cases).map(lambda pair: pair[1](pair[0])))
    return "".join(draw(st.lists(pieces, min_size=1, max_size=8)))


@st.composite
def records(draw: st.DrawFn) -> dict[str, str | None]:
    """A valid event as fields, in whose free text its own identifiers may stand."""
    given_fields = {
        "patient_name": NAMES, "ssn": SSNS, "phone": PHONES, "email": EMAILS, "address": ADDRESSES,
        "date_of_birth": BIRTHDAYS,
    }  # fmt: skip
    record = {name: draw(st.none() | one) for name, one in given_fields.items()}
    record |= {name: draw(NUMBERS) for name in ("patient_id", "visit_id")}
    told = [value for value in record.values() if value]
    told += [part for value in told for part in value.replace(",", " ").split()]
    free = ("message_id", "facility", "department", "ward", "bed", "doctor_id", "diagnosis", "treatment", "notes")
    record |= {name: draw(st.one_of(_WORDS, _text_about(told))) for name in free}
    fixed = {
        "event_type": "admit",
        "event_time": "2024-03-01T10:00:00Z",
        "diagnosis_code": draw(st.sampled_from([None, "I21.4"])),
    }
    return dict.fromkeys(FIELDS) | record | fixed
