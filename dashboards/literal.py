"""Text from the data inside Streamlit's Markdown."""

import re
import string
from typing import Final

_MARKS: Final = str.maketrans({mark: f"\\{mark}" for mark in string.punctuation} | dict.fromkeys("\r\n\t", " "))
_MADE_LINKS: Final = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)
_NO_BREAK: Final = "\u2060"


def literal(text: str) -> str:
    """Markdown that shows the text as it is.

    A name comes from messages, so from whoever can send one: it may not become an image that the reader's browser
    fetches, nor a link, a heading or a colour. Streamlit makes links of bare addresses too, after escapes are read: a
    character that nobody sees stands in their way.
    """
    return _MADE_LINKS.sub(_NO_BREAK, text).translate(_MARKS)
