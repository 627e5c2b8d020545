"""Pictures for the docs: ``python -m tests.e2e.screenshots`` writes ``docs/images/{prefect,dashboard}-*.png``."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.cli.dashboard import of
from app.services.broker import EmbeddedBroker
from app.settings import load
from dashboards.main import PAGES
from flows.server import PrefectServer
from lake.kafka import Kafka
from producer.publisher import Publisher
from producer.simulator.simulator import Simulator, SimulatorSettings
from tests.support.browser import chromium
from tests.support.commands import ROOT, Place
from tests.support.prefects import prefect, sign_in

IMAGES: Final = ROOT / "docs" / "images"
EVENTS: Final = 20_000
TOPIC: Final = "healthcare.data"
SETTLED: Final = 3_000
"""Milliseconds; the timeline of a run moves into its place."""


# A hospital of some size, a year and a half.
HOSPITAL: Final = SimulatorSettings(seed=7, events=300_000, days=500, start=datetime(2025, 6, 15, tzinfo=UTC))
DASHBOARDS: Final = {
    "admissions": 1560,
    "diagnoses": 1900,
    "kpis": 1900,
    "compliance": 1500,
    "pipeline": 1500,
    "sql": 1000,
}
"""Page → how much of it is in the picture, in pixels."""


def main() -> None:
    """Take the pictures of both."""
    of_prefect()
    of_dashboards()


def of_dashboards() -> None:
    """Have a hospital's events land and be built, and take a picture of each page."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedBroker() as broker:
        simulator = Simulator(HOSPITAL)
        Publisher(Kafka(broker.bootstrap), TOPIC).publish(simulator.blocks())
        simulator.write_staffed_beds(Path(folder) / "data" / "staffed_beds.csv")
        place = Place(Path(folder), {"WARDLAKE_KAFKA": broker.bootstrap})
        for command in ("stream --until-caught-up", "flow quality", "flow gold", "verify", "flow export"):
            place.works(*command.split())
        with of(load(data=Path(folder) / "data", kafka=broker.bootstrap), port=0) as server:
            server.wait()
            for page in PAGES:
                address = server.address if page is PAGES[0] else f"{server.address}/{page.name}"
                take(address, IMAGES / f"dashboard-{page.name}.png", 1440, DASHBOARDS[page.name])


def of_prefect() -> None:
    """Run a day of a simulated hospital with Prefect and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, EmbeddedBroker() as broker:
        simulator = Simulator(SimulatorSettings(seed=7, events=EVENTS))
        Publisher(Kafka(broker.bootstrap), TOPIC).publish(simulator.blocks())
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
                take(found.server.ui + path, IMAGES / f"prefect-{name}.png", width, height, found.server)


def take(address: str, image: Path, width: int, height: int, sign_in_to: PrefectServer | None = None) -> None:
    """One page, when all that it asked for has come."""
    with chromium(width, height) as page:
        if sign_in_to is not None:
            sign_in(page, sign_in_to)
        page.goto(address, wait_until="networkidle")
        page.wait_for_timeout(SETTLED)
        page.screenshot(path=image)


if __name__ == "__main__":
    main()
