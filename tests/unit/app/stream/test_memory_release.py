"""What a step has read is let go of: raw messages and events are not held until their batch has landed."""

import weakref
from typing import Any

import pytest

import app.stream.decide as stepping
from benchmarks.suites.history import micro_batch
from lake.security import masking_policy
from tests.support.lakes import KEY, simulated


def test_each_step_lets_go_of_what_it_has_read(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = micro_batch(KEY, 0, [payload for _, payload in simulated(60)])
    seen: list[weakref.ref[Any]] = []
    validating, masking = stepping.validate, stepping.mask

    def counted() -> int:  # a failure is not to show them
        return len(batch.payloads)

    def validate(decoded: Any) -> Any:
        assert counted() == 0
        seen.append(weakref.ref(decoded))
        return validating(decoded)

    def mask(events: Any, *how: Any) -> Any:
        assert [each() is None for each in seen] == [True], "only the valid events are left"
        seen.append(weakref.ref(events))
        return masking(events, *how)

    monkeypatch.setattr(stepping, "validate", validate)
    monkeypatch.setattr(stepping, "mask", mask)
    assert counted() == 60
    decided = stepping.decide(masking_policy.load("display"), KEY)(batch)
    assert [each() is None for each in seen] == [True, True]
    assert decided.masked is not None
    assert decided.masked.rows.height > 0
