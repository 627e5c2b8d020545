"""What the fuzz tests share: how many examples, and bytes that are nearly a message."""

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st

from tests.corpus.bad_input import CASES, PER_FIELD, event
from tests.support.strategies import mangled, off_contract, well_formed

_TIMES: Final = 20
"""So many examples for one of a property test: 500 in CI's profile, 20,000 in ``WARDLAKE_HYPOTHESIS=thorough``."""

FUZZ: Final = settings(max_examples=_TIMES * settings.default.max_examples, derandomize=False)
"""Other examples at each run; a failure prints how to see it again."""

_LONGEST: Final = 4_000  # longer ones nest deeper than the naive decoder can follow, and no failure could show them
_SEEDS: Final = st.sampled_from(
    [case.payload for case in (*CASES, *PER_FIELD) if case.payload and len(case.payload) < _LONGEST] + [event()]
)
_TOKENS: Final = st.sampled_from(
    [
        *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"NaN", b"-0", b"1e400", b"\\u0000"),
        *(b"\\ud800", b"\\u0022", b"\xef\xbb\xbf", b"\xff", b"\x00", b"\n", b"\r\n", b"\xe2\x80\xa8", b"\xf0\x9f\x98"),
        *(b'"ssn":', b'"patient_id":', b'"event_time":"', b"2024-02-30T25:61:61Z", b"99999999999999999999", b'""'),
    ]
)


@st.composite
def nearly_messages(draw: st.DrawFn) -> bytes:
    """A payload of the corpus or of the strategies after up to eight cuts, copies, flips, insertions and splices."""
    payload = draw(st.one_of(_SEEDS, _SEEDS, well_formed(), off_contract(), mangled()))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(payload)))
        end = min(len(payload), at + draw(st.integers(0, 40)))
        head, middle, tail = payload[:at], payload[at:end], payload[end:]
        how = draw(st.sampled_from(["cut", "copy", "flip", "insert", "splice", "reverse"]))
        if how == "cut":
            middle = b""
        elif how == "copy":
            middle *= draw(st.integers(2, 5))
        elif how == "flip" and middle:
            middle = bytes([middle[0] ^ (1 << draw(st.integers(0, 7)))]) + middle[1:]
        elif how == "insert":
            middle = draw(_TOKENS | st.binary(max_size=6)) + middle
        elif how == "splice":
            tail = draw(_SEEDS)[at:]
        elif how == "reverse":
            middle = middle[::-1]
        payload = head + middle + tail
    return payload
