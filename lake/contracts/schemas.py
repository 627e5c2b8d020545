"""Dataframely, in which the contracts are written, without the SQL toolkit that it would load to translate them.

It loads SQLAlchemy and two of its dialects wherever that is installed, as it is here for Prefect: half the time that
its own import takes (0.8 → 0.4 s of CPU) and 16 MB in each process, for translations that nothing here asks for.
"""

import sys

_UNASKED = "sqlalchemy"

# A module that is None cannot be imported; dataframely takes it as not installed. Whoever imports it later gets it.
_kept_out = _UNASKED not in sys.modules
if _kept_out:
    sys.modules[_UNASKED] = None  # type: ignore[assignment]
try:
    import dataframely as dy
finally:
    if _kept_out:
        del sys.modules[_UNASKED]

__all__ = ["dy"]
