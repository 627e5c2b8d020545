"""``python -m app``: the ``wardlake`` command line."""

from app.cli import main

main()
