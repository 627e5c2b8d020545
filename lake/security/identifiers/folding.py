"""Folding: what two spellings of one name or number have in common."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

# Letters whose stroke or ligature is no accent that Unicode would take off.
_LIGATURES: Final = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "\u0131": "i",
        "ħ": "h",
        "ς": "\u03c3",
        "ə": "e",
        "ƙ": "k",
        "ɗ": "d",
        "ɓ": "b",
        "ŋ": "n",
        "ŧ": "t",
    }
)
_SPELLED_OUT: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"}
)
_WITHIN: Final = frozenset(("Mn", "Mc", "Me", "Cf", "Lm"))
"""Kinds of signs that are no letters of their own: accents, vowel signs, invisible signs, letter-like apostrophes."""
_PIECE: Final = re.compile(r"[^\W\d_]+|\d+")


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


def folded(text: str) -> str:
    """Letters and digits of ``text`` alone, without case, accents or compatibility forms."""
    if text.isascii():
        return "".join(_PIECE.findall(text)).lower()
    return "".join(map(fold_letter, text))


@lru_cache(maxsize=4_096)
def fold_letter(letter: str) -> str:
    """One letter folded: none, one or several letters and digits."""
    if unicodedata.category(letter) in _WITHIN:
        return ""
    if (digit := unicodedata.digit(letter, None)) is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKD", letter.casefold().translate(_LIGATURES))
    kept = (c for c in plain.casefold() if c.isalnum() and unicodedata.category(c) not in _WITHIN)
    return "".join(kept).translate(_LIGATURES)


def is_within(letter: str) -> bool:
    """Whether a sign belongs to the word around it, though folding drops it."""
    return unicodedata.category(letter) in _WITHIN


def spelled_out(text: str) -> str:
    """The text with umlauts and their like in two letters: Mueller for Müller."""
    return unicodedata.normalize("NFC", text).translate(_SPELLED_OUT)
