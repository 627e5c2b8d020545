"""Pictures of Prefect's UI for the docs: ``python -m tests.e2e.screenshots`` writes ``docs/images/prefect-*.png``."""

import tempfile
from pathlib import Path
from typing import Final

from app.broker import EmbeddedBroker
from producer.publisher import Publisher
from producer.simulator import Simulator, SimulatorSettings
from tests.commands import ROOT, Place
from tests.prefects import Prefect, chromium, prefect

IMAGES: Final = ROOT / "docs" / "images"
EVENTS: Final = 20_000
TOPIC: Final = "healthcare.data"
SETTLED: Final = 3_000
"""Milliseconds; the timeline of a run moves into its place."""


def main() -> None:
    """Run a day of a simulated hospital with Prefect and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, EmbeddedBroker() as broker:
        simulator = Simulator(SimulatorSettings(seed=7, events=EVENTS))
        Publisher(broker.bootstrap, TOPIC).publish(simulator.blocks())
        simulator.write_staffed_beds(Path(folder) / "beds.csv")
        settings = {"WARDLAKE_KAFKA": broker.bootstrap, "WARDLAKE_STAFFED_BEDS": f"{folder}/beds.csv"}
        with prefect(Place(Path(folder), settings)) as found:
            daily = found.ended(found.start("daily"))["id"]
            artifacts = found.artifacts()
            for flow in ("gold", "quality", "maintain", "export"):
                found.ended(found.start(flow))
            checks = found.artifacts()["checks"]
            pages = {
                "deployments": ("/deployments", 1440, 640),
                "daily": (f"/runs/flow-run/{daily}", 1440, 860),
                "kpis": (f"/artifacts/artifact/{artifacts['kpis']}", 1440, 620),
                "checks": (f"/artifacts/artifact/{checks}", 2000, 900),
                "report": (f"/artifacts/artifact/{artifacts['daily-run']}", 1440, 560),
            }
            for name, (path, width, height) in pages.items():
                take(found, path, IMAGES / f"prefect-{name}.png", width, height)


def take(found: Prefect, path: str, image: Path, width: int, height: int) -> None:
    """One page of the UI, when all that it asked for has come."""
    with chromium(width, height) as page:
        page.goto(found.server.ui + path, wait_until="networkidle")
        page.wait_for_timeout(SETTLED)
        page.screenshot(path=image)


if __name__ == "__main__":
    main()
