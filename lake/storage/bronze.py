"""Reading Bronze: its messages, opened in memory, in frames of bounded size."""

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl

from lake.contracts.tables import BRONZE, KAFKA_COORDINATES
from lake.storage import record_batch
from lake.storage.chunked_scan import PARTITION, Positions
from lake.storage.store import Lake

_MOST_MESSAGES: Final = 50_000
_MOST_BYTES: Final = 32 * 1024 * 1024

_PLACE: Final = (*PARTITION, "first_offset", "last_offset", "messages")


def slices(
    lake: Lake,
    *,
    where: pl.Expr | None = None,
    above: Positions | None = None,
    of: pl.DataFrame | None = None,
) -> Iterator[pl.DataFrame]:
    """Bronze rows of one partition at a time, by offset, in frames of 50,000 messages and 32 MiB, or of one row.

    Partitions come topic by topic, in the order in which those came into use. Only record batches that ``where`` holds
    for, that have a message above the offset ``above`` of their partition, that hold one of the messages ``of``
    (``KAFKA_COORDINATES``).
    """
    rows = lake.store(BRONZE).scan()
    rows = rows if where is None else rows.filter(where)
    known = rows.select(*_PLACE, "ingested_at").collect(engine="streaming")
    known = known if above is None else known.filter(_above(above))
    known = known if of is None else _holding(known, of)
    since = known.with_columns(pl.col("ingested_at").min().over("topic_id")).sort("ingested_at", *_PLACE)
    step = _rows_at_once(lake)
    for (topic_id, partition), part in since.group_by(PARTITION, maintain_order=True):
        for firsts in _turns(part, step):
            within = pl.col("first_offset").is_between(firsts[0], firsts[-1])
            here = (pl.col("topic_id") == topic_id) & (pl.col("kafka_partition") == partition)
            read = rows.filter(here, within).collect()
            yield read.filter(pl.col("first_offset").is_in(firsts.implode())).sort("first_offset")


def messages(lake: Lake, *, above: Positions | None = None, of: pl.DataFrame | None = None) -> Iterator[pl.DataFrame]:
    """The messages of Bronze (``record_batch.MESSAGES``), those ``above`` and ``of`` if given, as ``slices`` has them.

    In frames of 50,000 messages and some 32 MiB, or of one record batch. Raises ``LakeError`` where one does not open.
    """
    for rows in slices(lake, above=above, of=of):
        for frame in together(record_batch.opened(rows[n : n + 1], lake.key) for n in range(rows.height)):
            at = (above or {}).get((frame["topic_id"][0], frame["kafka_partition"][0]), -1)
            wanted = frame.filter(pl.col("kafka_offset") > at)
            wanted = wanted if of is None else wanted.join(of, on=KAFKA_COORDINATES, how="semi", maintain_order="left")
            if not wanted.is_empty():
                yield wanted


def together(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The frames' messages in fewer frames, of some 32 MiB or of one frame."""
    held: list[pl.DataFrame] = []
    size = 0
    for frame in frames:
        more = int(frame.estimated_size())
        if held and size + more > _MOST_BYTES:
            yield pl.concat(held)
            held, size = [], 0
        held.append(frame)
        size += more
    if held:
        yield pl.concat(held)


def total(lake: Lake) -> int:
    """How many messages Bronze holds."""
    return int(lake.store(BRONZE).scan().select(pl.col("messages").sum()).collect().item())


def ends(lake: Lake) -> dict[tuple[str, int], int]:
    """(Topic id, partition) → the last offset of it that Bronze holds."""
    last = lake.store(BRONZE).scan().group_by(PARTITION).agg(pl.col("last_offset").max()).collect()
    return {(topic_id, partition): offset for topic_id, partition, offset in last.iter_rows()}


def _holding(known: pl.DataFrame, of: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``known`` (``_PLACE``) that hold one of these messages."""
    wanted = of.select(KAFKA_COORDINATES).unique().sort("kafka_offset")
    found = wanted.join_asof(
        known.sort("first_offset"),
        left_on="kafka_offset",
        right_on="first_offset",
        by=PARTITION,
        strategy="backward",
        check_sortedness=False,
    ).filter(pl.col("kafka_offset") <= pl.col("last_offset"))
    return known.join(found, on=[*PARTITION, "first_offset"], how="semi")


def _above(positions: Positions) -> pl.Expr:
    below = (
        (pl.col("topic_id") == topic_id) & (pl.col("kafka_partition") == partition) & (pl.col("last_offset") <= offset)
        for (topic_id, partition), offset in positions.items()
    )
    return ~pl.any_horizontal(pl.lit(value=False), *below)


def _rows_at_once(lake: Lake) -> int:
    """How many record batches are read at a time, by their average size."""
    files = lake.store(BRONZE).files()
    if files.is_empty():
        return 1
    size, rows = files.select("size_bytes", "num_records").sum().row(0)
    return max(1, int(_MOST_BYTES * rows // max(size, 1)))


def _turns(rows: pl.DataFrame, step: int) -> Iterator[pl.Series]:
    """The first offsets of the rows, in parts of ``_MOST_MESSAGES`` messages and ``step`` rows, or of one row."""
    start = held = 0
    for number, messages in enumerate(rows["messages"]):
        if number > start and (held + messages > _MOST_MESSAGES or number - start >= step):
            yield rows["first_offset"][start:number]
            start, held = number, 0
        held += messages
    yield rows["first_offset"][start:]
