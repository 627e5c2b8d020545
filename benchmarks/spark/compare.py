"""Is it the same work? Spark's Bronze, Silver and quarantine held against Wardlake's, message by message.

``python -m benchmarks.spark.compare [EVENTS]``, in the project's own environment. Exits 1 where something differs.

The built-in broker names the beginning of a partition's last batch as its end, and Spark believes it: what lies above
the last message that Spark took in is left out on both sides.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

import polars as pl

from app import settings as configuration
from app.services.broker import EmbeddedBroker
from app.stream.decide import Rules
from app.stream.run import run_stream
from benchmarks.harness.measure import publish
from benchmarks.harness.result import Result
from benchmarks.spark import contender
from lake.contracts.tables import BRONZE, QUARANTINE, SILVER, Table
from lake.security import masking_policy
from lake.security.encryption import LakeKey
from lake.storage import bronze, store
from lake.storage.store import Lake

_EVENTS: Final = 50_000
_PLACE: Final = ("kafka_partition", "kafka_offset")
_OWN: Final = {
    "topic_id": "Spark does not tell a topic's id",
    "content_hash": "another hash function",
    "notes": "Spark takes out identifiers as they are written, and fewer patterns",
    "treatment": "the same",
    "diagnosis": "Spark keeps the sender's text",
    "address": "Spark has no list of places",
    "ingested_at": "each has its own clock",
}
"""Columns that are not compared, and why."""


def run(events: int) -> Result:
    """Land ``events`` simulated events with both and compare what they made of them."""
    with tempfile.TemporaryDirectory() as scratch, EmbeddedBroker() as broker:
        publish(broker.bootstrap, events)
        ours, theirs = Path(scratch) / "ours", Path(scratch) / "theirs"
        settings = configuration.load(kafka=broker.bootstrap, data=str(ours))
        lake = store.create(settings.lake, LakeKey(contender.KEY))
        run_stream(settings, lake, Rules(masking_policy.load("display"), settings.dedup_key), until_caught_up=True)
        theirs.mkdir()
        contender.ingest(broker.bootstrap, events, theirs)
        lake.refresh()
        return _compared(settings.lake, _messages(lake), theirs / "lake")


def _messages(lake: Lake) -> pl.DataFrame:
    """Our Bronze, a row per message as Spark's."""
    return pl.concat(bronze.messages(lake)).with_columns(opened="value")


def _compared(ours: Path, messages: pl.DataFrame, theirs: Path) -> Result:
    taken = _rows(theirs, BRONZE).group_by("kafka_partition").agg(last=pl.col("kafka_offset").max())
    mine = {BRONZE: messages, QUARANTINE: _rows(ours, QUARANTINE), SILVER: _rows(ours, SILVER)}
    pairs = {table: (_until(rows, taken), _rows(theirs, table)) for table, rows in mine.items()}
    rows: list[list[str | int]] = [
        [table.name, mine.height, other.height, _missing(mine, other) + _missing(other, mine)]
        for table, (mine, other) in pairs.items()
    ]
    rows.append(["payloads", *_payloads(*pairs[BRONZE])])
    rows.append(["reasons", *_values(*pairs[QUARANTINE], pl.col("reasons").list.unique().list.sort())])
    columns = [name for name in SILVER.polars_schema if name not in (*_PLACE, *_OWN)]
    rows += [[name, *_values(*pairs[SILVER], pl.col(name))] for name in columns]
    notes = [f"Not compared: {name} ({why})." for name, why in _OWN.items()]
    return Result(
        "same_work", "Wardlake's tables and Spark's", ["", "Wardlake", "Spark", "different"], rows, notes=notes
    )


def _rows(root: Path, table: Table) -> pl.DataFrame:
    return pl.read_delta(str(root / table.name))


def _until(rows: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    """The rows up to the last message that was taken in of each partition."""
    return rows.join(taken, on="kafka_partition").filter(pl.col("kafka_offset") <= pl.col("last")).drop("last")


def _missing(rows: pl.DataFrame, among: pl.DataFrame) -> int:
    return rows.join(among, on=_PLACE, how="anti").height


def _values(ours: pl.DataFrame, theirs: pl.DataFrame, value: pl.Expr) -> list[int]:
    """Values that are not null on each side, and places that both have and where they differ."""
    both = ours.select(*_PLACE, ours=value).join(theirs.select(*_PLACE, theirs=value), on=_PLACE)
    differ = both.select((~pl.col("ours").eq_missing(pl.col("theirs"))).sum()).item()
    return [both["ours"].count(), both["theirs"].count(), differ]


def _payloads(ours: pl.DataFrame, theirs: pl.DataFrame) -> list[int]:
    """As ``_values``, of the payloads opened with the lake's key."""
    return _values(ours, _opened(theirs), pl.col("opened"))


def _opened(rows: pl.DataFrame) -> pl.DataFrame:
    """Spark encrypts each message alone, bound to its place."""
    held, key = rows.filter(pl.col("payload").is_not_null()), LakeKey(contender.KEY)
    places = [b"%s:%d:%d" % (topic.encode(), *at) for topic, *at in held.select("topic_id", *_PLACE).iter_rows()]
    opened = key.decrypt(held["payload"].to_list(), places, [key.key_id] * held.height)
    return held.with_columns(opened=pl.Series(opened, dtype=pl.Binary))


def main() -> None:
    """Print the comparison."""
    result = run(int(sys.argv[1]) if len(sys.argv) > 1 else _EVENTS)
    result.print()
    if any(row[-1] for row in result.rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
