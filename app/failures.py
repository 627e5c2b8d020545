"""What may be said of an error that nobody foresaw: its text can quote the values it stumbled over."""

import traceback
from pathlib import Path


def where(error: BaseException) -> str:
    """The kind of an error and the places it passed, innermost last, without its text."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return type(error).__name__ + " at " + " > ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames)
