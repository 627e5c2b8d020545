"""``wardlake status``: looking at the lake."""

from app.cli.options import JsonOption, with_settings
from app.cli.output import conservation, out, print_json, table_of
from app.jobs.lake_session import open_without_key
from app.jobs.status import lag_by_partition, table_states
from app.settings import Settings
from lake.query import lake_sql


@with_settings("data", "lake", "kafka", "topic", find_demo=True)
def status(
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Tables, versions, sizes, lag and the last landed batch."""
    opened = open_without_key(settings)
    tables = table_states(opened)
    lag = lag_by_partition(opened, settings.connection, settings.topic)
    accounting = lake_sql.named(settings.lake, "accounting").row(0, named=True)
    last = lake_sql.run(settings.lake, "SELECT max(ingested_at) AS last_landed FROM ops.ingest")
    if json:
        print_json(
            {
                "lake": str(settings.lake),
                "tables": tables,
                "lag": lag,
                "messages": accounting,
                "last_landed": last.item(),
            }
        )
        return
    out.print(f"lake {settings.lake}", markup=False)
    out.print(table_of(["table", "version", "files", "bytes", "rows"], [row.values() for row in tables]))
    if lag is None:
        out.print(f"lag unknown: no broker answers at {settings.bootstrap}, or it has no topic {settings.topic}")
    else:
        out.print(table_of(["partition", "landed offset", "end offset", "lag"], [row.values() for row in lag]))
    out.print(conservation(accounting))
    out.print(f"last landed {last.item().isoformat() if last.item() else 'never'}")
