"""``wardlake flow``: run one flow now; ``wardlake flows serve``: run them on their schedules.

The flows are imported when one runs: the other commands start without them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.status import Status

from app.cli.options import JsonOption, with_settings
from app.cli.output import err, out, print_json, table_of
from app.settings import Settings

if TYPE_CHECKING:
    from flows.definitions import FlowResult, StepResult

one = typer.Typer(help="Run one flow now.", no_args_is_help=True)
all_of_them = typer.Typer(help="The flows on their schedules.", no_args_is_help=True)


@one.command("daily")
@with_settings(
    *("data", "lake", "kafka", "topic", "group", "policy", "key_file", "dedup_key", "export"), find_demo=True
)
def daily(settings: Settings, json: JsonOption = False) -> None:
    """Sync the stream, validate the tables, build Gold, check it, export it.

    A failed check of severity error ends it, with exit code 1: before Gold, the last build stays published. So does a
    sync that does not complete: when nothing of what the topic held at the start lands for 300 s.
    """
    _run("daily", settings, json)


@one.command("gold")
@with_settings("data", "lake", "key_file", "dedup_key", find_demo=True)
def gold(
    settings: Settings,
    full: Annotated[bool, typer.Option("--full", help="Build from scratch.")] = False,
    json: JsonOption = False,
) -> None:
    """Validate what is new and build Gold: only what is new, unless --full.

    A failed check of severity error ends it, with exit code 1: the last build stays published.
    """
    _run("gold", settings, json, full=full)


@one.command("quality")
@with_settings("data", "lake", "dedup_key", find_demo=True)
def quality(settings: Settings, json: JsonOption = False) -> None:
    """Run every quality check and keep what it found in ops/quality. Exits 1 when one of severity error failed."""
    _run("quality", settings, json)


@one.command("maintain")
@with_settings("data", "lake", find_demo=True)
def maintain(settings: Settings, json: JsonOption = False) -> None:
    """Compact the tables and remove what no reader needs."""
    _run("maintain", settings, json)


@one.command("export")
@with_settings("data", "lake", "export", "audience", find_demo=True)
def export(settings: Settings, json: JsonOption = False) -> None:
    """Write the published Gold as Parquet and CSV for BI tools.

    Public figures, unless --audience internal: counts of 1 to 10 hidden, others rounded to 5.
    """
    _run("export", settings, json)


@all_of_them.command("serve")
@with_settings("data", "lake", "kafka", "export", find_demo=True)
def serve(
    settings: Settings,
    allow_open_server: Annotated[
        bool,
        typer.Option(
            "--allow-open-server", help="Serve with a server without sign-in: whoever reaches it runs commands here."
        ),
    ] = False,
) -> None:
    """Register the flows with the Prefect server that PREFECT_API_URL names, and run what falls due.

    Until Ctrl-C or SIGTERM, which cancel what runs and pause the schedules. It signs in with PREFECT_API_AUTH_STRING,
    or with the line in the file that WARDLAKE_PREFECT_AUTH_FILE names.
    """
    from flows import environment, server

    api = server.require(allow_open=allow_open_server)
    environment.export_environment(settings)
    environment.prepare()
    from flows import serve as serving

    _line(f"serving {', '.join(serving.PLANS)} with {api}; Ctrl-C stops it")
    serving.serve(settings)


def _run(name: str, settings: Settings, as_json: bool, **options: bool) -> None:
    from flows.run import run_now

    with _detail_shown() as detail:
        result = run_now(name, settings, _line, detail, **options)
    if as_json:
        print_json(_document(result))
    else:
        _print(result)
    if not result.ending.passed:
        raise typer.Exit(1)


def _line(text: str) -> None:
    err.print(text, markup=False, soft_wrap=True)


@contextmanager
def _detail_shown() -> Iterator[Callable[[str], None]]:
    """What shows the detail that a step is at, where stderr is a terminal."""
    if not err.is_terminal:
        yield lambda _: None
        return
    with Status("", console=err) as status:
        yield lambda text: status.update(escape(text))


def _document(result: "FlowResult") -> dict[str, Any]:
    steps = [
        {"step": one.step, "seconds": one.seconds, "message": one.message, "result": _plain(one.result)}
        for one in result.steps
    ]
    return {"flow": result.flow, "passed": result.ending.passed, "message": result.ending.message, "steps": steps}


def _print(result: "FlowResult") -> None:
    if result.steps:
        out.print(
            table_of(["step", "seconds", "result"], [(d.step, f"{d.seconds:.1f}", d.message) for d in result.steps])
        )
    for one in result.steps:
        _print_rows(_details(one))
    out.print(result.ending.message, markup=False, soft_wrap=True)


def _details(step: "StepResult") -> list[dict[str, Any]]:
    """The rows that say more than the step's own line: tables, files, the checks that did not pass."""
    result = _plain(step.result)
    if isinstance(result, list):
        return result
    return [
        {name: check[name] for name in ("check", "table", "severity", "status", "observed", "expected")}
        for check in result.get("results", [])
        if check["status"] == "failed"
    ]


def _print_rows(rows: list[dict[str, Any]]) -> None:
    if rows:
        out.print(table_of(rows[0], [row.values() for row in rows]))


def _plain(result: Any) -> Any:
    """A step's result, a dataclass or a list of them, as JSON has it."""
    return [asdict(item) for item in result] if isinstance(result, Iterable) else asdict(result)
