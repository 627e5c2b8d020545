"""Options that several commands share, and the settings that commands get from them."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of lake and key.  [env: WARDLAKE_DATA]")]
LakeOption = Annotated[Path | None, typer.Option("--lake", help="Folder of the lake.  [env: WARDLAKE_LAKE]")]
SeedOption = Annotated[int, typer.Option("--seed", help="Same seed and version, same hospital, byte by byte.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_SETTINGS: Final[dict[str, Any]] = {
    "data": DataOption,
    "lake": LakeOption,
    "kafka": Annotated[str | None, typer.Option("--kafka", help="Broker, host:port.  [env: WARDLAKE_KAFKA]")],
    "topic": Annotated[str | None, typer.Option("--topic", help="Topic of the events.  [env: WARDLAKE_TOPIC]")],
    "group": Annotated[str | None, typer.Option("--group", help="Consumer group.  [env: WARDLAKE_GROUP]")],
    "policy": Annotated[str | None, typer.Option("--policy", help="Masking policy.  [env: WARDLAKE_POLICY]")],
    "key_file": Annotated[
        Path | None, typer.Option("--key-file", help="File with the lake's key.  [env: WARDLAKE_KEY_FILE]")
    ],
    "dedup_key": Annotated[
        str | None, typer.Option("--dedup-key", help="Fields of the deduplication key.  [env: WARDLAKE_DEDUP_KEY]")
    ],
    "dedup_scope": Annotated[
        str | None,
        typer.Option(
            "--dedup-scope", help="Where duplicates are found: lake or partition.  [env: WARDLAKE_DEDUP_SCOPE]"
        ),
    ],
    "export": Annotated[Path | None, typer.Option("--export", help="Folder to export to.  [env: WARDLAKE_EXPORT]")],
    "audience": Annotated[
        str | None, typer.Option("--audience", help="Whose figures: internal or public.  [env: WARDLAKE_AUDIENCE]")
    ],
    "batch_messages": Annotated[
        int | None, typer.Option("--batch-messages", help="Messages in a micro-batch, at most.")
    ],
    "batch_seconds": Annotated[
        float | None, typer.Option("--batch-seconds", help="Seconds until a micro-batch is landed, at most.")
    ],
    "workers": Annotated[
        int | None,
        typer.Option(
            "--workers",
            help="Processes that share the partitions. They take turns to land, unless WARDLAKE_DEDUP_SCOPE is "
            "partition.  [env: WARDLAKE_WORKERS]",
        ),
    ],
}
"""Setting → its option."""


def with_settings(*names: str, find_demo: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of these settings, and hand it ``settings`` made from them.

    With ``find_demo``, where no broker is named and a demo runs in the data folder, its broker is meant.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            from app import settings as configuration

            flags = {name: given.pop(name) for name in names}
            command(settings=configuration.load(find_demo=find_demo, **flags), **given)

        signature = inspect.signature(command, eval_str=True)
        own = [one for name, one in signature.parameters.items() if name != "settings"]
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_SETTINGS[name])
            for name in names
        ]
        run.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
        return run

    return decorate
