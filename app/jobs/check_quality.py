"""The quality checks over the lake that the settings name."""

from collections.abc import Callable
from datetime import UTC, datetime

from app.jobs.active_policy import masking_policy
from app.jobs.lake_session import open_without_key
from app.settings import Settings
from app.stream.transforms.deduplicate import key_columns
from lake.quality.run import Report, Stages, record, run


def check(settings: Settings, progress: Callable[[str], None] = lambda _: None, *, stage: Stages = "all") -> Report:
    """Run the checks of a stage and keep what they found in ``ops/quality``.

    ``inputs``: before a build, over the messages that the last one has not read. ``gold``: after it, over what it
    published. ``all``: both, over every message. Raises ``LakeError`` where there is no lake or it cannot be read,
    ``StepError`` where a check could not be carried out. A check that fails raises nothing: see ``Report.passed``.
    """
    lake = open_without_key(settings)
    report = run(
        lake,
        datetime.now(UTC),
        dedup_key=key_columns(settings.dedup_key),
        dimensions=masking_policy(settings).dimensions,
        stages=stage,
        progress=progress,
    )
    record(lake, report)
    return report
