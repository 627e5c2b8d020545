"""The ``wardlake`` command line.

Data goes to stdout, progress and messages to stderr. Exit codes: 0 done, 1 a check found a breach, 2 wrong use or
configuration (one line: what, got, expected, next move).
"""

import logging
import os
import sys

import structlog
import typer
from polars.exceptions import PanicException

from app.cli import dashboard, demo, flow, integrity, key, look, produce, stream
from app.failures import where
from lake.errors import WardlakeError

app = typer.Typer(
    name="wardlake",
    help="A hospital's live event feed, as masked, query-ready Delta tables on one machine.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables would show patient values.
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("broker")(stream.broker)
app.add_typer(produce.app, name="produce")
app.command("stream")(stream.stream)
app.command("dashboard")(dashboard.dashboard)
app.command("sql")(look.sql)
app.command("status")(look.status)
app.command("verify")(integrity.verify)
app.command("replay")(integrity.replay)
app.add_typer(integrity.quarantine, name="quarantine")
app.add_typer(key.key, name="key")
app.add_typer(flow.one, name="flow")
app.add_typer(flow.all_of_them, name="flows")


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
