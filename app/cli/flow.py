"""``wardlake flow``: run one flow now; ``wardlake flows serve``: run them on their schedules.

The flows are imported when one runs: the other commands start without them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.status import Status

from app import settings as configuration
from app.cli.options import (
    AudienceOption,
    DataOption,
    DedupKeyOption,
    GroupOption,
    JsonOption,
    KafkaOption,
    KeyFileOption,
    LakeOption,
    PolicyOption,
    TopicOption,
)
from app.cli.output import err, out, print_json, table_of

if TYPE_CHECKING:
    from flows.sequences import Done, Outcome

one = typer.Typer(help="Run one flow now.", no_args_is_help=True)
all_of_them = typer.Typer(help="The flows on their schedules.", no_args_is_help=True)

ExportOption = Annotated[Path | None, typer.Option("--export", help="Folder to export to.  [env: WARDLAKE_EXPORT]")]


@one.command("daily")
def daily(
    json: JsonOption = False,
    data: DataOption = None,
    lake: LakeOption = None,
    kafka: KafkaOption = None,
    topic: TopicOption = None,
    group: GroupOption = None,
    policy: PolicyOption = None,
    key_file: KeyFileOption = None,
    dedup_key: DedupKeyOption = None,
    export: ExportOption = None,
) -> None:
    """Sync the stream, validate the tables, build Gold, check it, export it.

    A failed check of severity error ends it, with exit code 1: before Gold, the last build stays published. So does a
    sync that does not complete: when nothing of what the topic held at the start lands for 300 s.
    """
    _run(
        "daily",
        json,
        {},
        data=data,
        lake=lake,
        kafka=kafka,
        topic=topic,
        group=group,
        policy=policy,
        key_file=key_file,
        dedup_key=dedup_key,
        export=export,
    )


@one.command("gold")
def gold(
    full: Annotated[bool, typer.Option("--full", help="Build from scratch.")] = False,
    json: JsonOption = False,
    data: DataOption = None,
    lake: LakeOption = None,
    key_file: KeyFileOption = None,
    dedup_key: DedupKeyOption = None,
) -> None:
    """Validate what is new and build Gold: only what is new, unless --full.

    A failed check of severity error ends it, with exit code 1: the last build stays published.
    """
    _run("gold", json, {"full": full}, data=data, lake=lake, key_file=key_file, dedup_key=dedup_key)


@one.command("quality")
def quality(
    json: JsonOption = False, data: DataOption = None, lake: LakeOption = None, dedup_key: DedupKeyOption = None
) -> None:
    """Run every quality check and keep what it found in ops/quality. Exits 1 when one of severity error failed."""
    _run("quality", json, {}, data=data, lake=lake, dedup_key=dedup_key)


@one.command("maintain")
def maintain(json: JsonOption = False, data: DataOption = None, lake: LakeOption = None) -> None:
    """Compact the tables and clear away what no reader needs."""
    _run("maintain", json, {}, data=data, lake=lake)


@one.command("export")
def export(
    json: JsonOption = False,
    data: DataOption = None,
    lake: LakeOption = None,
    export: ExportOption = None,
    audience: AudienceOption = None,
) -> None:
    """Write the published Gold as Parquet and CSV for BI tools.

    Public figures, unless --audience internal: counts of 1 to 10 hidden, others rounded to 5.
    """
    _run("export", json, {}, data=data, lake=lake, export=export, audience=audience)


@all_of_them.command("serve")
def serve(
    data: DataOption = None,
    lake: LakeOption = None,
    kafka: KafkaOption = None,
    export: ExportOption = None,
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
    settings = configuration.load(find_demo=True, data=data, lake=lake, kafka=kafka, export=export)
    from flows import environment, server

    api = server.require(allow_open=allow_open_server)
    environment.export_environment(settings)
    environment.prepare()
    from flows import serve as serving

    _line(f"serving {', '.join(serving.PLANS)} with {api}; Ctrl-C stops it")
    serving.serve(settings)


def _run(name: str, as_json: bool, options: Mapping[str, bool], **flags: object) -> None:
    from flows.run import run_now

    settings = configuration.load(find_demo=True, **flags)
    with _detail_shown() as detail:
        outcome = run_now(name, settings, _line, detail, **options)
    if as_json:
        print_json(_document(outcome))
    else:
        _print(outcome)
    if not outcome.ending.passed:
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


def _document(outcome: "Outcome") -> dict[str, Any]:
    steps = [
        {"step": done.step, "seconds": done.seconds, "said": done.said, "result": _plain(done.result)}
        for done in outcome.done
    ]
    return {"flow": outcome.flow, "passed": outcome.ending.passed, "said": outcome.ending.said, "steps": steps}


def _print(outcome: "Outcome") -> None:
    if outcome.done:
        out.print(table_of(["step", "seconds", "result"], [(d.step, f"{d.seconds:.1f}", d.said) for d in outcome.done]))
    for done in outcome.done:
        _print_rows(_details(done))
    out.print(outcome.ending.said, markup=False, soft_wrap=True)


def _details(done: "Done") -> list[dict[str, Any]]:
    """The rows that say more than the step's own line: tables, files, the checks that did not pass."""
    result = _plain(done.result)
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
