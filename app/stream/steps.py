"""The stream's steps over a micro-batch: thin wrappers that hand each pure step what it needs."""

from collections.abc import Callable
from dataclasses import replace

from app.steps.decode import decode
from app.steps.mask import mask
from app.steps.validate import validate
from app.stream.batch import MicroBatch, timed
from lake.policy import Policy
from lake.sealing import LakeKey

Step = Callable[[MicroBatch], MicroBatch]


def decode_step(batch: MicroBatch) -> MicroBatch:
    """Payloads → text columns."""
    decoded = decode(batch.payloads).with_columns(batch.messages["ingested_at"])
    return replace(batch, events=decoded, unknown_fields=decoded.select("row", "unknown_fields"))


def validate_step(batch: MicroBatch) -> MicroBatch:
    """Text columns → valid events, and failures with the rules they broke."""
    events, failures = validate(batch.events)
    return replace(batch, events=events, failures=failures)


def mask_step(policy: Policy, key: LakeKey) -> Step:
    """Valid events → Silver-shaped rows under a policy; the raw events are let go of."""

    def step(batch: MicroBatch) -> MicroBatch:
        return replace(batch, masked=mask(batch.events, policy, key), events=batch.events.clear(), payloads=[])

    return step


def steps(policy: Policy, key: LakeKey) -> list[Step]:
    """Decode → validate → mask, in order, each timed. Deduplicate and land follow in ``Landing``."""
    return [
        timed("decode", decode_step),
        timed("validate", validate_step),
        timed("mask", mask_step(policy, key)),
    ]
