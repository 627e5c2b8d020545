"""What the processes said: no traceback, no trouble of a reader, no value of a patient."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from app.cli.produce import start_day
from producer.simulator.simulator import Simulator, SimulatorSettings
from tests.corpus.bad_input import FULL
from tests.soak.cast import ROUND_SECONDS, seed
from tests.soak.stage import Stage

_TELLING: Final = ("patient_name", "ssn", "phone", "email", "address", "patient_id", "visit_id")
_MIN_CHARS: Final = 8
_OF_A_ROUND: Final = 100
_ROUNDS: Final = 20
_BAD: Final = re.compile(r'Traceback \(most recent|panicked at|internal error|"event": "trouble"|Segmentation fault')
# What a write to a full disk sets off in delta-rs (object_store 0.13), beside the error that it gives: Rust says it on
# stderr itself. It tells a place in its source and no value.
_OF_A_FULL_DISK: Final = re.compile(r"panicked at \S*/object_store-[\d.]+/src/buffered\.rs:\d+:\d+:$")
_MOST: Final = 5


def acknowledged(said: Iterable[str]) -> int:
    """Messages that finished publishers told of, by their last words."""
    found = (re.match(r"published: ([\d,]+) of", line) for line in said)
    return sum(int(one[1].replace(",", "")) for one in found if one)


def known(stage: Stage, rounds: int) -> set[str]:
    """Identifiers of patients whom the producer sent, a sample of each of its first rounds, and of the bad input."""
    found = {value for name, value in FULL.items() if name in _TELLING}
    events = stage.rate * ROUND_SECONDS
    for run in range(min(rounds, _ROUNDS)):
        settings = SimulatorSettings(seed=seed(stage, run), events=events, start=start_day(events, None))
        for value in next(iter(Simulator(settings).blocks())).values[:_OF_A_ROUND]:
            found.update(_identifiers(value))
    return {value for value in found if len(value) >= _MIN_CHARS}


def findings(folder: Path, identifiers: Iterable[str], *, disk_filled: bool) -> list[str]:
    """What is wrong in the logs: which file, how often, and the line where it holds no patient's value."""
    wanted, found = list(identifiers), list[str]()
    for path in sorted(folder.glob("*.log")):
        text = path.read_text("utf-8", "replace")
        leaked = sum(value in text for value in wanted)
        if leaked:
            found.append(f"{path.name} holds {leaked} identifiers of patients")
            continue
        bad = [line for line in text.splitlines() if _BAD.search(line)]
        bad = [line for line in bad if not (disk_filled and _OF_A_FULL_DISK.search(line))]
        found += [f"{path.name}: {line}" for line in bad[:_MOST]]
        found += [f"{path.name}: and {len(bad) - _MOST} more such lines"] if len(bad) > _MOST else []
    return found


def _identifiers(value: bytes) -> set[str]:
    try:
        event = json.loads(value)
    except ValueError:  # a corrupt one
        return set()
    fields = event if isinstance(event, dict) else {}
    return {fields[name] for name in _TELLING if isinstance(fields.get(name), str)}
