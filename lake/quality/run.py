"""Running checks and keeping what they found.

A run reads and changes nothing but ``ops/quality``. Checks *before* a build (stage ``inputs``) look at the messages
that the last build has not read; those *after* it (stage ``gold``) at the tables that it published, and at the events
that it read. A run of all of them looks at every message.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

import polars as pl
from deltalake.exceptions import DeltaError

from lake.contracts.tables import QUALITY
from lake.errors import LakeError, StepError, WardlakeError, kind_of
from lake.quality.check_kinds import RowKind, Verdict
from lake.quality.declared_checks import Check, Severity, declared
from lake.quality.source import NothingToCheckError, Source
from lake.storage.store import DeltaStore, Lake

Stages = Literal["inputs", "gold", "all"]
Status = Literal["passed", "failed", "skipped"]

_BATCH_ROWS: Final = 100_000


@dataclass(frozen=True)
class Result:
    """What one check found. ``observed`` and ``expected`` hold counts, rates and rule names, never a value."""

    check: str
    table: str
    severity: Severity
    status: Status
    observed: str
    expected: str
    reason: str


@dataclass(frozen=True)
class Report:
    """One run: its results in the order of the declared checks."""

    run_id: str
    checked_at: datetime
    results: list[Result]

    @property
    def passed(self) -> bool:
        """Whether no check of severity ``error`` failed."""
        return not any(result.status == "failed" and result.severity == "error" for result in self.results)


def run(
    lake: Lake,
    now: datetime,
    *,
    dedup_key: Sequence[str],
    dimensions: Mapping[str, frozenset[str]] = MappingProxyType({}),
    stages: Stages = "all",
    checks: Sequence[Check] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run the checks of these stages; ``checks`` are those that come with Wardlake unless others are given.

    ``dedup_key`` names Silver columns; ``dimensions`` has the values of the reference table by column. Raises
    ``LakeError`` where a rebuild was cut short or a table cannot be opened, ``StepError`` where a check could not be
    carried out; neither tells a value.
    """
    source = Source.of(lake, now, dedup_key, dimensions)
    sources = {"inputs": source.only("all" if stages == "all" else "unread"), "gold": source.only("built")}
    chosen = [check for check in (declared() if checks is None else checks) if stages in ("all", check.stage)]
    passes = _Passes(sources, chosen)
    results = []
    for check in chosen:
        progress(check.name)
        results.append(_result(check, sources[check.stage], passes))
    return Report(uuid.uuid4().hex, now, results)


def record(lake: Lake, report: Report) -> None:
    """Append the report to ``ops/quality``, which is made where it is absent; earlier runs stay.

    Raises ``LakeError`` where it cannot be written.
    """
    rows = pl.DataFrame(
        [
            {
                "run_id": report.run_id,
                "check": result.check,
                "table": result.table,
                "severity": result.severity,
                "status": result.status,
                "observed": result.observed,
                "expected": result.expected,
                "checked_at": report.checked_at,
                "date": report.checked_at.date(),
            }
            for result in report.results
        ],
        schema=QUALITY.polars_schema,
    )
    store = DeltaStore(lake.root, QUALITY)
    try:
        store.create()
        store.append(rows, {})
    except (OSError, DeltaError) as error:
        kind = kind_of(error)
    else:
        return
    raise LakeError(
        f"what the checks found cannot be written to {QUALITY.name}",
        got=kind,
        expected="a lake that can be written",
        next_move="free space or mend the disk, then run it again; the old Gold stands",
    )


class _Passes:
    """One pass over a table for all its row checks, made when the first of them asks."""

    def __init__(self, sources: Mapping[str, Source], checks: Sequence[Check]) -> None:
        self._sources = sources
        self._checks = checks
        self._counts: dict[str, Counter[str]] = {}

    def counts(self, asked: Check) -> Counter[str]:
        """What the check counted over its table. Raises ``NothingToCheckError`` as ``Source.rows`` does."""
        if asked.name not in self._counts:
            at = asked.table, asked.stage
            together = [check for check in self._checks if (check.table, check.stage) == at]
            self._counts |= _count(self._sources[asked.stage].rows(asked.table), together)
        return self._counts[asked.name]


def _count(rows: pl.LazyFrame, checks: Sequence[Check]) -> dict[str, Counter[str]]:
    """Check name → its counts over all rows, in one pass in bounded memory."""
    kinds = {check.name: (check.kind, check.table) for check in checks if isinstance(check.kind, RowKind)}
    counts = {name: Counter[str]() for name in kinds}
    for batch in rows.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=False, engine="streaming"):
        for name, (kind, table) in kinds.items():
            counts[name].update(kind.count(batch, table))
    return counts


def _result(check: Check, source: Source, passes: _Passes) -> Result:
    status: Status
    try:
        observed, passed = _verdict(check, source, passes)
        status = "passed" if passed else "failed"
    except NothingToCheckError as nothing:
        observed, status = str(nothing), "skipped"
    return Result(check.name, check.table.name, check.severity, status, observed, check.kind.expected, check.reason)


def _verdict(check: Check, source: Source, passes: _Passes) -> Verdict:
    """The check's verdict; an error that is not ours becomes one without its text, which may hold values."""
    try:
        if isinstance(check.kind, RowKind):
            return check.kind.judge(passes.counts(check))
        return check.kind.observe(source, check.table)
    except (NothingToCheckError, WardlakeError):
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of Polars is no Exception
        kind = type(error).__name__
    raise StepError(
        f"the quality check {check.name!r} could not be carried out",
        got=f"{kind} while reading {check.table.name}",
        expected="a table that can be read",
        next_move="run 'wardlake verify'; if the files are damaged, restore the lake from a backup",
    )
