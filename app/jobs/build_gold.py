"""Building Gold from the lake that the settings name."""

from collections.abc import Callable
from datetime import UTC, datetime

from app.jobs.lake_session import open_with_key
from app.jobs.masking_audit import measure_masking
from app.settings import Settings
from lake.disclosure import public_gold
from lake.disclosure.audience import Audience
from lake.gold import build as building
from lake.gold import staffed_beds
from lake.gold.build import Built
from lake.gold.published import last
from lake.storage import audit_log


def build(settings: Settings, *, full: bool = False, progress: Callable[[str], None] = lambda _: None) -> Built:
    """Bring Gold up to date with Silver, or with ``full`` make it anew; publishes it and returns what it came to.

    For a public audience it writes ``gold_public.duckdb`` as well, also where nothing was new and it is missing.
    Needs the lake's key: masking is measured on what is stored, against the opened messages. Raises ``UsageError``
    where no message has landed or the staffed beds cannot be used, ``LakeError`` for other trouble.
    """
    beds = staffed_beds.read(settings.staffed_beds_path, required=settings.staffed_beds is not None)
    if beds.rows is None:
        progress(f"no staffed beds at {settings.staffed_beds_path}: occupancy rates are null")
    lake = open_with_key(settings)
    ask = building.BuildOptions(
        beds=beds,
        timezone=settings.timezone,
        stale_visit_days=settings.stale_visit_days,
        measure=lambda above: measure_masking(lake, above, settings.timezone, beds.dimensions()),
        now=lambda: datetime.now(UTC),
        full=full,
        progress=progress,
    )
    built = building.build(lake, ask)
    if built.kind != "unchanged":
        detail = f"build {built.build_id} ({built.kind}); encrypted messages opened in memory to measure masking"
        audit_log.append(lake.root, "gold_build", detail, built.new_events)
    if settings.audience is Audience.PUBLIC and (published := last(lake.root)):
        progress("rounding for the public")
        public_gold.write(lake.root, published)
    return built
