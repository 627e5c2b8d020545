"""Finding the identifiers of one record in a text, and taking them out.

Costs time linear in the text and the identifiers, whatever they hold.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import accumulate
from typing import Final, NamedTuple

from lake.security.identifiers.folding import fold_letter, is_within, words
from lake.security.identifiers.spellings import HEAD, LONGEST, MONTHS, TITLES, Spellings

REDACTED: Final = "[redacted]"

_MONTH_NAMES: Final = frozenset(
    (*MONTHS, "sept", *words("january february march april june july august september october november december"))
)

_ASCII_PIECE: Final = re.compile(r"[A-Z]+[a-z]*|[a-z]+|[0-9]+")
_LAST_ASCII: Final = "\x7f"
_STRETCH: Final = re.compile(r"[A-Z]+[a-z]*|[a-z]+|[0-9]+|[^\x00-\x7f]|[^A-Za-z0-9\x80-\U0010ffff]+")
_BETWEEN: Final = "\n"
_JOINED: Final = 3
"""How many pieces with anything between them may make up a word."""
_MOST_JOINED: Final = 12
"""How many may, with nothing between them: sMiTh."""
_MOST_LOOKS: Final = 4
"""How often a text is looked at: each time less is left."""
_OF_DAY: Final = frozenset(words("st nd rd th of the"))
"""What may be next to a day where the month is a word: 31st, 4th of."""
_MOST_STEPS: Final = 4
_GAP: Final = 3
"""Most characters between the parts of a date."""
Piece = tuple[str, int, int]
"""Folded text, its first place, the place after its last."""


def scrubbed(text: str, spellings: Spellings) -> str:
    """``text`` with each identifier in it replaced by ``[redacted]``."""
    return scrubbed_all([text], spellings)[0]


def scrubbed_all(texts: Sequence[str], spellings: Spellings) -> list[str]:
    """``scrubbed``, of several texts of one record in one go."""
    done = list(texts)
    # What was in one word with an identifier is a word by itself now, and is looked at again.
    for _ in range(_MOST_LOOKS):
        before, done = done, _scrubbed_once(done, spellings)
        if done == before:
            break
    return done


def _scrubbed_once(texts: list[str], spellings: Spellings) -> list[str]:
    # What was redacted before is not looked at: a patient may be called Redacted.
    together = _BETWEEN.join(texts).replace(REDACTED, " " * len(REDACTED))
    spans = sorted(_spans(together, spellings)) if together else []
    if not spans:
        return texts
    done, begin, number = [], 0, 0
    for text in texts:
        end, own = begin + len(text), list[tuple[int, int]]()
        while number < len(spans) and spans[number][0] < end:
            if spans[number][1] > end:  # it began here and ended in the next: two texts that make no word
                return [_scrubbed_once([one], spellings)[0] for one in texts]
            own.append((spans[number][0] - begin, spans[number][1] - begin))
            number += 1
        done.append(_without(text, own))
        begin = end + len(_BETWEEN)
    return done


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    at = 0
    for start, end in spans:
        if start > at or not parts:
            parts += [text[at:start], REDACTED]
        at = max(at, end)
    return "".join([*parts, text[at:]])


def _spans(text: str, spellings: Spellings) -> Iterator[tuple[int, int]]:
    """Where an identifier is: places of its first character and after its last one."""
    pieces = _pieces(text)
    known, shy, heads = spellings.words, spellings.shy, spellings.heads
    birth = _Birth.of(spellings.born)
    longest = max(map(len, known), default=0)
    for number, (piece, start, end) in enumerate(pieces):
        if piece in birth.years:
            yield from birth.about(pieces, number)
        head = piece[:HEAD]
        if len(head) < HEAD and number + 1 < len(pieces):
            head = (head + pieces[number + 1][0])[:HEAD]
        if head not in heads:
            continue
        if piece in known or (piece in shy and _is_name(text, pieces, number)):
            yield start, end
            continue
        joined = piece
        for count, (more, begin, stop) in enumerate(pieces[number + 1 : number + _MOST_JOINED], 1):
            if count >= _JOINED and begin > pieces[number + count - 1][2]:
                break
            joined += more
            if len(joined) > longest:
                break
            if joined in known:
                yield start, stop
    together = "".join(piece for piece, _, _ in pieces)
    if any(needle in together for needle in spellings.inside):
        begins = [0, *accumulate(len(piece) for piece, _, _ in pieces)]
        for needle in spellings.inside:
            yield from _inside(text, pieces, begins, together, needle)


def _inside(text: str, pieces: list[Piece], begins: list[int], together: str, needle: str) -> Iterator[tuple[int, int]]:
    at = together.find(needle)
    while at >= 0:
        after = at + len(needle)
        first, last = bisect_right(begins, at) - 1, bisect_right(begins, after - 1) - 1
        cut = len(needle) == LONGEST  # the rest of a longer one goes with it
        in_one = all(pieces[number][2] == pieces[number + 1][1] for number in range(first, last))
        if in_one or (begins[first] == at and (cut or begins[last + 1] == after)):
            end = pieces[last][2] if cut else _place(text, pieces[last], after - 1 - begins[last])[1]
            yield _place(text, pieces[first], at - begins[first])[0], end
            at = together.find(needle, after)
        else:  # the end of one word and the beginning of another
            at = together.find(needle, at + 1)


def _is_name(text: str, pieces: list[Piece], number: int) -> bool:
    """Whether an ordinary word is meant as a name here."""
    return text[pieces[number][1]].isupper() or (number > 0 and pieces[number - 1][0] in TITLES)


class _Birth(NamedTuple):
    """How the parts of a date of birth may be written, each as one piece."""

    years: frozenset[str]
    months: frozenset[str]
    days: frozenset[str]

    @classmethod
    def of(cls, born: date | None) -> "_Birth":
        """Those of a date; none where there is none."""
        if born is None:
            return cls(frozenset(), frozenset(), frozenset())
        years = str(born.year), f"{born.year % 100:02}", str(born.year % 100)
        name = MONTHS[born.month - 1]
        names = (one for one in _MONTH_NAMES if one.startswith(name))
        return cls(
            frozenset(years),
            frozenset((str(born.month), f"{born.month:02}", *names)),
            frozenset((str(born.day), f"{born.day:02}")),
        )

    def about(self, pieces: list[Piece], year: int) -> Iterator[tuple[int, int]]:
        """Where the piece numbered ``year`` is the year, with a day and a month close to it."""
        around = [*self._next(pieces, year, -1)[::-1], year, *self._next(pieces, year, 1)]
        for places in zip(around, around[1:], around[2:], strict=False):
            if year not in places:
                continue
            one, other = (pieces[place][0] for place in places if place != year)
            in_words = one.isalpha() or other.isalpha()
            if not in_words and (places[2] - places[0] > 2 or len(pieces[year][0]) == 1):
                continue
            if (one in self.days and other in self.months) or (one in self.months and other in self.days):
                yield pieces[places[0]][1], pieces[places[2]][2]

    @staticmethod
    def _next(pieces: list[Piece], place: int, step: int) -> list[int]:
        """The next two pieces on one side that are close by, less those of ``_OF_DAY``."""
        found = list[int]()
        for _ in range(_MOST_STEPS):
            before, place = place, place + step
            if not 0 <= place < len(pieces):
                break
            left, right = sorted((before, place))
            if pieces[right][1] - pieces[left][2] > _GAP:
                break
            if pieces[place][0] not in _OF_DAY:
                found.append(place)
        return found[:2]


def _pieces(text: str) -> list[Piece]:
    if text.isascii():
        return [(match[0].lower(), match.start(), match.end()) for match in _ASCII_PIECE.finditer(text)]
    return _pieces_of_any_script(text)


def _pieces_of_any_script(text: str) -> list[Piece]:
    """As of ASCII; stretches of it are taken as they are, and other letters one by one."""
    found: list[Piece] = []
    parts: list[str] = []
    start, before = 0, ""
    for match in _STRETCH.finditer(text):
        stretch, place = match[0], match.start()
        plain = fold_letter(stretch) if stretch > _LAST_ASCII else stretch.lower() if stretch[0].isalnum() else ""
        if not plain and parts and stretch > _LAST_ASCII and is_within(stretch):
            continue
        if parts and (
            not plain or plain[0].isdigit() != parts[-1][-1].isdigit() or (stretch[0].isupper() and before.islower())
        ):
            found.append(("".join(parts), start, place))
            parts = []
        if plain:
            start = start if parts else place
            parts.append(plain)
            before = stretch[-1]
    if parts:
        found.append(("".join(parts), start, len(text)))
    return found


def _place(text: str, piece: Piece, left: int) -> tuple[int, int]:
    """Where the folded letter comes from that is ``left`` letters into a piece."""
    plain, start, end = piece
    if len(plain) == end - start:
        return start + left, start + left + 1
    for place in range(start, end):
        left -= len(fold_letter(text[place]))
        if left < 0:
            return place, place + 1
    return end - 1, end
