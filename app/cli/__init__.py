"""The ``wardlake`` command line.

Data goes to stdout, progress and messages to stderr. Exit codes: 0 done, 1 a check found a breach or the lake did
not catch up in time, 2 wrong use or configuration, 130 interrupted by Ctrl-C. Of 1 (in time) and 2 there is one line:
what, got, expected, next move.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, Final, cast

import structlog
import typer
from polars.exceptions import PanicException
from typer.core import TyperGroup

from app.failures import where
from lake.errors import WardlakeError

_COMMANDS: Final = {
    "demo": ("demo", "demo"),
    "broker": ("broker", "broker"),
    "produce": ("produce", "app"),
    "stream": ("stream", "stream"),
    "dashboard": ("dashboard", "dashboard"),
    "sql": ("sql", "sql"),
    "status": ("status", "status"),
    "verify": ("verify", "verify"),
    "replay": ("replay", "replay"),
    "quarantine": ("replay", "quarantine"),
    "key": ("key", "key"),
    "flow": ("flow", "one"),
    "flows": ("flow", "all_of_them"),
    "prefect": ("prefect", "prefect"),
}
"""Command → module of this package, and what is called or, where it is a Typer, holds more commands."""


class _WhenCalled(Mapping[str, Any]):
    """The commands, each imported when it is asked for: half of a start was the import of what others need."""

    def __getitem__(self, name: str) -> Any:
        module, attribute = _COMMANDS[name]
        found = getattr(import_module(f"{__name__}.{module}"), attribute)
        alone = typer.Typer()
        if isinstance(found, typer.Typer):
            alone.add_typer(found, name=name)
        else:
            alone.command(name)(found)
        return typer.main.get_group(alone).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"wardlake {version('wardlake')}")  # noqa: T201
        raise typer.Exit


_top: Final = typer.Typer(add_completion=False)


@_top.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What may be said before a command."""


app: Final = TyperGroup(
    name="wardlake",
    params=typer.main.get_group(_top).params,
    help="A hospital's live event feed, as masked, query-ready Delta tables on one machine.",
    no_args_is_help=True,
    commands=cast("dict[str, Any]", _WhenCalled()),
)


def main() -> None:
    """Run the command line; an error that a user can act on is one line and no traceback."""
    _configure_logging()
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except typer.TyperException as error:
        print(_refusal(error), file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except WardlakeError as error:
        print(f"wardlake: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader (head, say) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Exception, PanicException) as error:  # a panic of Polars is no Exception
        print(f"wardlake: internal error: {where(error)}; please report it", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _refusal(error: typer.TyperException) -> str:
    """What Typer would not take, in one line. A group that is called alone has shown its help already."""
    context, said = getattr(error, "ctx", None), " ".join(error.format_message().split()).rstrip(".")
    command = "wardlake" if context is None else context.command_path
    return f"wardlake: {said or 'no command'}; '{command} --help' says what is expected"


def _configure_logging() -> None:
    """One JSON object a line on stderr, ours and the libraries' warnings alike; no exception's locals."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("wardlake").setLevel(logging.INFO)
    # Quix logs a failed row with its contents' repr at ERROR and retries at WARNING: ours says what is safe.
    logging.getLogger("quixstreams").setLevel(logging.CRITICAL)
