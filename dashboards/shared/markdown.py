"""Text from the data inside Streamlit's Markdown."""

import re
from typing import Final

_MARKS: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>#!|~$&"} | dict.fromkeys("\r\n\t", " "))
_MADE_OF_TEXT: Final = re.compile(r"(?<=:)(?=[\w/])|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)
_NO_BREAK: Final = "\u2060"


def literal(text: str) -> str:
    """Markdown that shows the text as it is.

    A name comes from messages, so from whoever can send one: it may not become an image that the reader's browser
    fetches, nor a link, a heading or a colour. Streamlit makes links and icons (``:name:``) of bare text too, after
    escapes are read: a character that nobody sees stands in their way.
    """
    return _MADE_OF_TEXT.sub(_NO_BREAK, text).translate(_MARKS)
