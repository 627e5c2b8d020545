"""The sample file, ``sample_data.csv``: ``python -m producer.simulator.sample_file`` writes it again, byte for byte.

1,000 rows of a small hospital over two months: 970 valid and distinct events, 20 exact duplicates (equal
but for message_id), and 10 that the contract does not let through, as real feeds have them.
"""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Final

from lake.contracts.event import FIELDS
from producer.simulator.simulator import Simulator, SimulatorSettings

SAMPLE: Final = Path(__file__).parents[1] / "sample_data.csv"
EVENTS: Final = 970
DUPLICATES: Final = 20

INVALID: Final = (
    {"event_type": "pre_admit"},
    {"event_type": ""},
    {"event_time": "2026-02-30T10:15:00-06:00"},
    {"event_time": "01/14/2026 10:15"},
    {"event_time": "2999-01-01T00:00:00-06:00"},
    {"patient_id": ""},
    {"facility": ""},
    {"sex": "F"},
    {"severity": "severe"},
    {"diagnosis_code": "I21,4"},
)
"""What is changed in a copy of a valid row to make each of the invalid ones."""

Row = dict[str, str]


def sample_rows() -> list[Row]:
    """Return the rows of the sample, in order."""
    settings = SimulatorSettings(seed=2026, events=EVENTS, days=60, duplicates=0, corrupt=0)
    good: list[Row] = [json.loads(value) for block in Simulator(settings).blocks() for value in block.values]
    extras = [good[number * EVENTS // DUPLICATES] for number in range(DUPLICATES)]
    extras += [good[number * EVENTS // len(INVALID) + 31] | change for number, change in enumerate(INVALID)]
    rows = list(good)
    prefix = good[0]["message_id"].split("-")[0]
    for number, extra in enumerate(extras):
        place = rows.index(good[number * EVENTS // len(extras)]) + 12
        rows.insert(place, extra | {"message_id": f"{prefix}-{EVENTS + 1 + number:010d}"})
    return rows


def sample_csv() -> str:
    """Return the text of the sample file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sample_rows())
    return text.getvalue()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE
    target.write_text(sample_csv(), encoding="utf-8", newline="")
