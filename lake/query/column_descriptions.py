"""What the columns of the tables mean: of Silver and ``ops`` from ``meanings.toml``, of Gold from its SQL files."""

import tomllib
from collections.abc import Iterator
from importlib import resources

from lake.gold import tables as gold
from lake.gold.tables import GOLD, VIEWS


def meanings() -> Iterator[tuple[str, str, str, str]]:
    """Schema, table, column and what the column means."""
    for schema, of in tomllib.loads(
        (resources.files("lake.query") / "column_descriptions.toml").read_text("utf-8")
    ).items():
        for table, columns in of.items():
            yield from ((schema, table, column, meaning) for column, meaning in columns.items())
    for name in (*(table.name.removeprefix("gold/") for table in GOLD), *VIEWS):
        yield from (("gold", name, column, meaning) for column, meaning in gold.meanings(name).items())
