"""``wardlake broker``: the embedded Kafka broker alone."""

from typing import Annotated

import typer

from app.services import broker as embedded


def broker(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 is any free one.")] = 9092,
) -> None:
    """Run the embedded Kafka broker alone, until Ctrl-C or SIGTERM. It holds messages in memory only."""
    embedded.run_forever(port)
