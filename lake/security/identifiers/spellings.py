"""How a person's identifiers may be spelled: the one definition of what masking takes out.

Two spellings are one where they agree after *folding*: case, accents and compatibility forms are dropped, and so is
everything that is neither a letter nor a digit. A text is taken apart into *pieces*, at whatever is neither letter nor
digit, between letters and digits, and before a capital after a small letter. On these,

- a **word** is found where one to three neighbouring pieces make it up (``O'Brien``, ``Mc Donald``);
- an **inside** is found within one longer piece too (``johnsmith34``, ``ADT`` + MRN + date), or where any number of
  whole pieces make it up (an SSN with any separators);
- a **date of birth** is found as day, month and year in any order, the month by number or name.

``lake.security.identifiers.finding`` looks for them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise, permutations
from typing import Final, NamedTuple

from lake.contracts.event import PHI
from lake.security.identifiers.folding import folded, spelled_out, words

IDENTIFIERS: Final = (*PHI, "patient_id", "visit_id")
"""The event fields that identify the person or the visit."""

TITLES: Final = frozenset(words("mr mrs ms miss mx dr prof sir"))
"""What is written before a name."""
SUFFIXES: Final = frozenset(words("jr sr ii iii iv md phd rn esq"))
"""What is written after a name."""

SHY: Final = frozenset(
    words(
        "al am an as at ba be bin by da das de del der des di do dos du el en ha he hi ho i if in is it la las le les "
        "lo los ma may md me my no of oh on or per so st the to tu ty up us van von was we will yu"
    )
)
"""Parts of names that are ordinary words too: found only with a capital, after a title, or next to the other name."""
NOBODY: Final = frozenset(words("anonymous baby boy female girl male none patient test unknown"))
"""What is written for a name that is not known."""

MONTHS: Final = words("jan feb mar apr may jun jul aug sep oct nov dec")
_FAMILIES: Final = (
    "street st str", "avenue ave av", "road rd", "boulevard blvd", "drive dr drv", "lane ln", "court ct", "place pl",
    "terrace ter terr", "circle cir", "parkway pkwy pky", "highway hwy", "square sq", "trail trl", "way wy",
    "crescent cres", "alley aly", "point pt", "ridge rdg", "heights hts", "plaza plz", "path", "row", "walk", "loop",
    "expressway expy", "turnpike tpke", "freeway fwy", "crossing xing", "causeway cswy", "route rte rt", "grove grv",
    "hill hl", "hills hls", "creek crk", "extension ext", "landing lndg", "manor mnr", "meadow mdw", "meadows mdws",
    "cove cv", "center ctr", "bend bnd", "view vw", "valley vly", "garden gdn", "gardens gdns", "estate est",
    "estates ests", "green grn", "lake lk", "mountain mtn", "spring spg", "springs spgs", "station sta", "village vlg",
    "island is", "junction jct", "canyon cyn", "bridge brg", "falls fls", "forest frst", "harbor hbr", "haven hvn",
    "orchard orch", "river riv", "shore shr", "summit smt", "mill ml", "mission msn", "trace trce", "bluff blf",
)  # fmt: skip
_FULL_DIRECTIONS: Final = words("north south east west northeast northwest southeast southwest")
_DIRECTIONS: Final = words("n s e w ne nw se sw")
STREET_KINDS: Final = {word: words(family) for family in _FAMILIES for word in words(family)}
"""A word for a kind of street → the words that people use for it."""
DIRECTIONS: Final = {word: (*pair, "") for pair in zip(_FULL_DIRECTIONS, _DIRECTIONS, strict=True) for word in pair}
"""A word for a direction → what people write for it: it may be left out."""
SAINTS: Final = {word: pair for pair in (("saint", "st"), ("mount", "mt"), ("fort", "ft")) for word in pair}
"""The first word of a street's name → what people write for it."""
_NO_NAME: Final = frozenset((*DIRECTIONS, *SAINTS))
_NUMBERED_ROADS: Final = (
    *(
        of + kind
        for of in ("us", "state", "st", "county", "co", "cty", "old", "")
        for kind in words("route rte rt highway hwy road rd")
        if of or kind not in ("road", "rd")
    ),
    *words("cr sr sh us fm fmroad fmrd"),
)
"""What people write before the number of a road (County Road 42, US-9), run together."""
ROAD: Final = r"(?:route|rte|rt|highway|hwy|road|rd|cr|sr|sh|us|fm)"
_UNIT: Final = re.compile(r"(?i) (?:apt|apartment|suite|ste|unit|floor|fl|room|rm|#)\.? ?#? ?[\w-]*$")

_NAME_SPLIT: Final = re.compile(r"[\s,;/()\"“”^._]+")
_PART_SPLIT: Final = re.compile(r"\W+")
_HYPHENS: Final = re.compile(r"[-\u2010-\u2015\u2212]+")
_CITY_AND_STATE: Final = re.compile(r"[^,\n0-9]+, ?[A-Z]{2}(?: [0-9]{5}(?:-[0-9]{4})?)?")
_ZIP: Final = re.compile(r"\b(\d{5})(?:-(\d{4}))?(?:,? ?(?:USA|US|United States))?$")
_STREET_SPLIT: Final = re.compile(r"[\s.]+")
_ROAD_LINE: Final = re.compile(
    rf"(?:(\d+[a-z]?) )?(?:old )?(?:(?:us|state|st|county|co|cty|farm to market) ?)?{ROAD} ?(?:road |rd )?"
    r"(\d+[a-z]?)\b.*"
)
NUMBERS: Final = frozenset(words("one two three four five six seven eight nine ten eleven twelve"))
_PO_BOX: Final = re.compile(
    r"(?i)(?:p[ ./-]*o[ ./-]*(?:box|bx|drawer|b\.?)|post office box)[ .:#]*(?:no\b|number)?[ .:#]*"
    r"((?:[a-z]-?)?\d+[a-z]?)"
)
_COUNTRY: Final = frozenset(words("usa us unitedstates"))
_EXTENSION: Final = re.compile(r"(?i)\s*(?:ext|x|#|;).*")
_BIRTH_FORMS: Final = ("%Y-%m-%d", "%m/%d/%Y", "%Y%m%d", "%m/%d/%y", "%d.%m.%Y", "%B %d, %Y", "%d %B %Y", "%d-%b-%Y")

LONGEST: Final = 64
"""Longest needle: what agrees for so long is found."""
_LONGEST_ADDRESS: Final = 500
_SHORT_ID: Final = 3
_INSIDE_ID: Final = 5
_INSIDE_NUMBER: Final = 5
_INSIDE_NAME: Final = 6
_ID_WORDS: Final = tuple(
    name + more for name in words("mrn mr id ptid patientid chart") for more in ("", "no", "number")
)
TELLING: Final = 4
"""Digits of an id, without zeros before them, that are looked for at all."""
TELLING_LOCAL: Final = 8
"""Letters before the @ that are looked for within a longer word: fewer may be a word themselves."""
_LONGEST_PHONE: Final = 15
_DIALLED: Final = 7
"""Digits of a phone number within its area."""
_MOST_PARTS: Final = 32
_MOST_KINDS: Final = 3
HEAD: Final = 2


class Spellings(NamedTuple):
    """What to look for in a text of one record, folded."""

    words: frozenset[str]
    shy: frozenset[str]
    heads: frozenset[str]
    """How the words and the shy ones begin: their first two letters."""
    inside: tuple[str, ...]
    born: date | None


def spellings_of(record: Mapping[str, str | None]) -> Spellings:
    """The spellings of a record's ``IDENTIFIERS``, each text or None."""
    found, inside = set[str](), set[str]()
    shy = _add_name(record.get("patient_name") or "", found, inside)
    _add_number(record.get("ssn") or "", found, inside)
    _add_phone(record.get("phone") or "", inside)
    _add_email(record.get("email") or "", found, inside)
    _add_address(record.get("address") or "", found, inside)
    for field in ("patient_id", "visit_id"):
        _add_id(record.get(field) or "", found, inside)
    _add_short_number(record.get("patient_id") or "", found)
    born = _add_birth(record.get("date_of_birth") or "", found, inside)
    heads = frozenset(word[:HEAD] for word in found | shy)
    return Spellings(frozenset(found), shy, heads, tuple(needle[:LONGEST] for needle in inside), born)


def _add_name(name: str, found: set[str], inside: set[str]) -> frozenset[str]:
    """Each part of the name; the parts run together; initials with a part."""
    tokens = list(dict.fromkeys(token for token in _NAME_SPLIT.split(name) if folded(token)))
    tokens = _without_titles(tokens)
    if all(folded(token) in NOBODY for token in tokens):
        return frozenset()
    shy = set[str]()
    for number, token in enumerate(tokens):
        for word in _words_of(token) | (set() if token.isascii() else _words_of(spelled_out(token))):
            if word in SHY:
                shy.add(word)
            elif word.isalpha() and _unspaced(word) and len(token) > 1 and number < _MOST_PARTS:
                inside.add(word)
            elif len(word) > 1:
                found.update((word, word + "s") if len(word) > _SHORT_ID else (word,))
    for spelled in {tuple(tokens)} | (set() if name.isascii() else {tuple(map(spelled_out, tokens))}):
        _add_glued(spelled, found, inside)
    return frozenset(shy)


def _without_titles(tokens: list[str]) -> list[str]:
    """The parts of a name less a title before and suffixes after it."""
    first = 1 if len(tokens) > 1 and folded(tokens[0]) in TITLES else 0
    return tokens[first : first + 1] + [token for token in tokens[first + 1 :] if folded(token) not in SUFFIXES]


def _words_of(token: str) -> set[str]:
    if token.isalpha():
        return {folded(token)}
    return {folded(token), *map(folded, _PART_SPLIT.split(token)), *map(folded, _HYPHENS.split(token))} - {""}


def _add_glued(tokens: Sequence[str], found: set[str], inside: set[str]) -> None:
    """Parts run together in pairs and all, and initials with a part: johnsmith, smithj, jqsmith, delacruz."""
    parts = list(map(folded, tokens))
    ends = [folded(half) for token in (*tokens[:1], *tokens[-1:]) for half in _HYPHENS.split(token)[:2]]
    main = list(dict.fromkeys(filter(None, [*parts[:3], *parts[-2:], *ends])))
    for first in main:
        for second in main:
            pair = first + second
            if first != second and (len(pair) >= _SHORT_ID or _unspaced(pair)):
                long = len(pair) >= _INSIDE_NAME and min(len(first), len(second)) > 1
                (inside if long or _unspaced(pair) else found).add(pair)
    if len(parts) < 2:
        return
    halves = [folded(half) for token in tokens[:_MOST_PARTS] for half in _HYPHENS.split(token) if folded(half)]
    initials = "".join(half[0] for half in halves)
    letters = {*initials, *(one + other for one, other in pairwise(initials)), initials[:-1], initials[1:]}
    for part in {*halves, *parts[:_MOST_PARTS]}:
        if len(part) > 1:
            found.update(one for few in letters for one in (few + part, part + few, parts[0] + few + part))
    for number, part in enumerate(parts[1:_MOST_PARTS], 1):  # particles go with what follows
        begin = number
        while begin and parts[begin - 1] in SHY:
            begin -= 1
        if begin < number:
            run = parts[begin:number]
            whole = "".join(run) + part
            (inside if len(whole) >= _INSIDE_NAME else found).add(whole)
            found.add("".join(one[0] for one in run) + part)
            found.update(letter + whole for letter in letters)
    if len(parts) > 2:
        inside.add("".join(parts[:4]))


def _unspaced(word: str) -> bool:
    """Whether it is of a script that puts no spaces between words, or endings behind names: Chinese, Korean, Thai."""
    return any(
        "\u0e00" <= letter <= "\u0eff"
        or "\u1100" <= letter <= "\u11ff"
        or "\u2e80" <= letter <= "\u9fff"
        or letter >= "\uac00"
        for letter in word
    )


def _add_number(value: str, found: set[str], inside: set[str]) -> None:
    digits = re.sub(r"\D", "", folded(value))
    if len(digits) >= _INSIDE_NUMBER:
        inside.add(digits)
    elif len(digits) >= _SHORT_ID:
        found.add(digits)


def _add_phone(value: str, inside: set[str]) -> None:
    digits = re.sub(r"\D", "", folded(_EXTENSION.sub("", value)))
    if len(digits) >= _DIALLED:
        # With and without what is dialled before it: a country, an area.
        inside.update(digits[-count:] for count in range(_DIALLED, min(len(digits), _LONGEST_PHONE) + 1))


def _add_email(value: str, found: set[str], inside: set[str]) -> None:
    whole, local = folded(value), folded(value.partition("@")[0])
    if len(whole) >= _INSIDE_NAME:
        inside.update((whole, folded(value.replace("@", "at"))))
    if len(local) >= _INSIDE_ID and not (local.isalpha() and len(local) < TELLING_LOCAL):
        inside.add(local)
    elif len(local) >= _SHORT_ID:
        found.add(local)


def _add_id(value: str, found: set[str], inside: set[str]) -> None:
    plain = folded(value)
    if len(plain) >= _INSIDE_ID:
        inside.add(plain)
    elif len(plain) >= _SHORT_ID:
        found.add(plain)
    digits = re.sub(r"\D", "", plain)
    for number in (digits, digits.lstrip("0")):
        if len(digits.lstrip("0")) < TELLING:
            continue  # a count with zeros before it says nothing
        if len(number) >= _INSIDE_NUMBER:
            inside.add(number)
        else:
            found.add(number)


def _add_short_number(value: str, found: set[str]) -> None:
    """A few figures with zeros before them say something next to their keyword alone: MRN 455 of 00455."""
    number = folded(value).lstrip("0")
    if number.isdigit() and _SHORT_ID <= len(number) < TELLING:
        found.update(word + number for word in _ID_WORDS)


def _add_birth(value: str, found: set[str], inside: set[str]) -> date | None:
    text = value.strip()
    for form in _BIRTH_FORMS:
        try:
            # The usual form is read in a tenth of the time; a time of day may follow it.
            born = date.fromisoformat(text[:10]) if form == _BIRTH_FORMS[0] else datetime.strptime(text, form).date()  # noqa: DTZ007
        except ValueError:
            continue
        year, month, day = f"{born.year:04}", f"{born.month:02}", f"{born.day:02}"
        inside.update((year + month + day, month + day + year, day + month + year))
        inside.add(year + day + month)
        found.update(map("".join, permutations((year[2:], month, day))))
        days = {day, str(born.day)}
        for name in {MONTHS[born.month - 1], born.strftime("%B").lower()}:
            for one in (year, year[2:]):
                found.update(
                    part for d in days for part in (name + d + one, d + one + name, one + d + name, name + one + d)
                )
        return born
    if len(plain := folded(text)) > _INSIDE_NUMBER:
        inside.add(plain)
    return None


def _add_address(value: str, found: set[str], inside: set[str]) -> None:
    lines = [" ".join(line.split()) for line in re.split(r"[,\n]", value[:_LONGEST_ADDRESS])]
    if zip_code := _ZIP.search(" ".join(value[-_LONGEST_ADDRESS:].split())):
        found.add(zip_code[1])
        inside.update((zip_code[1] + zip_code[2],) if zip_code[2] else ())
    for line in street_lines([line for line in lines if line]):
        _add_street(line, found, inside)


def _add_street(line: str, found: set[str], inside: set[str]) -> None:
    if box := _PO_BOX.fullmatch(line):
        found.update(name + folded(box[1]) for name in ("pobox", "box", "pob", "pobx", "podrawer"))
        return
    tokens = _tokens_of(line)
    if road := _ROAD_LINE.fullmatch(" ".join(tokens)):
        ways = [way + road[2] for way in _NUMBERED_ROADS]
        found.update(ways)
        inside.update(road[1] + way for way in ways if road[1])
        return
    if not _kinds_in(tokens):
        tokens = _tokens_of(_UNIT.sub("", line))
    if len(tokens) > 1 and tokens[-1].isdigit() and not tokens[0][0].isdigit():
        tokens = [tokens[-1], *tokens[:-1]]  # the number last, as in much of Europe
    number = tokens.pop(0) if tokens and tokens[0][0].isdigit() else ""
    if not number and len(tokens) > 2 and tokens[0] in NUMBERS:
        tokens.pop(0)
    while len(tokens) > 1 and tokens[0].isdigit():  # a fraction
        tokens.pop(0)
    if len(tokens) > 1 and tokens[-1] in DIRECTIONS:
        tokens.pop()
    if not tokens or (not number and len(tokens) < 2):
        return
    for name, kinds in _names_of(tokens):
        if number:
            (inside if len(number + name) >= _INSIDE_ID else found).update((number + name, name + number))
        for kind in kinds:
            (inside if len(name + kind) > _INSIDE_NAME else found).add(name + kind)


def _tokens_of(line: str) -> list[str]:
    return [token for token in map(folded, _STREET_SPLIT.split(line)) if token]


def _kinds_in(tokens: Sequence[str]) -> list[int]:
    """Where a word for a kind of street has a name before it; the first few."""
    places, named = list[int](), False
    for place, token in enumerate(tokens):
        if token in STREET_KINDS and named:
            places.append(place)
        named = named or not (token in STREET_KINDS or token in _NO_NAME or (place == 0 and token[0].isdigit()))
    return places[:_MOST_KINDS]


def _names_of(tokens: list[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """The ways to write the street's name, each with those of its kind.

    What follows a word for a kind is left off (Ave 2nd Fl), but that word may belong to the name (Old Mill Road): each
    is taken for the last one.
    """
    last = len(tokens) - 1
    no_kind = tokens[last] not in STREET_KINDS and all(token in _NO_NAME for token in tokens[:last])
    for end in _kinds_in(tokens) or [len(tokens) if no_kind else last]:
        kinds = STREET_KINDS.get(tokens[end], (tokens[end],)) if end <= last else ()
        yield from ((name, kinds) for name in _written(tokens[: max(1, end)]))


def _written(named: list[str]) -> set[str]:
    """A street's name run together, its direction and first word in each way."""
    begin = 0
    while begin < len(named) - 1 and named[begin] in DIRECTIONS:
        begin += 1
    direction, first, rest = "".join(named[:begin]), named[begin], "".join(named[begin + 1 :])
    firsts = SAINTS.get(first) or STREET_KINDS.get(first) or (first,)
    return {before + one + rest for before in DIRECTIONS.get(direction, (direction, "")) for one in firsts}


def street_lines(lines: Sequence[str]) -> list[str]:
    """The lines of an address that are not shown: all before the city; none where it has only a city and a state."""
    if len(lines) > 1 and folded(lines[-1]) in _COUNTRY:
        lines = lines[:-1]
    if _CITY_AND_STATE.fullmatch(", ".join(lines)):
        return []
    return list(lines[: max(1, len(lines) - 2)])
