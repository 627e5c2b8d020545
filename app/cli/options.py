"""Options that several commands share, and settings read from them."""

from pathlib import Path
from typing import Annotated

import typer

DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of lake and key.  [env: WARDLAKE_DATA]")]
LakeOption = Annotated[Path | None, typer.Option("--lake", help="Folder of the lake.  [env: WARDLAKE_LAKE]")]
KafkaOption = Annotated[str | None, typer.Option("--kafka", help="Broker, host:port.  [env: WARDLAKE_KAFKA]")]
TopicOption = Annotated[str | None, typer.Option("--topic", help="Topic of the events.  [env: WARDLAKE_TOPIC]")]
GroupOption = Annotated[str | None, typer.Option("--group", help="Consumer group.  [env: WARDLAKE_GROUP]")]
PolicyOption = Annotated[str | None, typer.Option("--policy", help="Masking policy.  [env: WARDLAKE_POLICY]")]
KeyFileOption = Annotated[
    Path | None, typer.Option("--key-file", help="File with the lake's key.  [env: WARDLAKE_KEY_FILE]")
]
DedupKeyOption = Annotated[
    str | None,
    typer.Option("--dedup-key", help="Fields of the deduplication key.  [env: WARDLAKE_DEDUP_KEY]"),
]
AudienceOption = Annotated[
    str | None, typer.Option("--audience", help="Whose figures: internal or public.  [env: WARDLAKE_AUDIENCE]")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Same seed and version, same hospital, byte by byte.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
