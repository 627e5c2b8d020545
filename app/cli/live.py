"""The demo's live feed, a process of its own: ``python -m app.cli.live KAFKA TOPIC SEED RATE``.

What a secured broker asks for is in the environment or the settings file.
"""

import sys
from typing import Final

from app import settings as configuration
from app.cli.produce import start_day
from producer.publisher import Publisher
from producer.simulator import Simulator, SimulatorSettings

_EVENTS: Final = 200_000


def main(kafka: str, topic: str, seed: str, rate: str) -> None:
    """Publish a simulated hospital's events at ``rate`` a second until stopped or out of events."""
    settings = SimulatorSettings(seed=int(seed), events=_EVENTS, start=start_day(_EVENTS, None))
    connection = configuration.load(kafka=kafka).connection
    Publisher(connection, topic, rate=float(rate)).publish(Simulator(settings).blocks())


if __name__ == "__main__":
    main(*sys.argv[1:5])
