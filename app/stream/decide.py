"""The stream's steps over a micro-batch: thin wrappers that hand each pure step what it needs."""

from collections.abc import Callable
from dataclasses import replace

from app.stream.batches import MicroBatch, timed
from app.stream.decoders.event import decode
from app.stream.transforms.mask import mask
from app.stream.transforms.validate import validate
from lake.security.encryption import LakeKey
from lake.security.masking_policy import Policy

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
    """Valid events → Silver-shaped rows under a policy."""

    def step(batch: MicroBatch) -> MicroBatch:
        return replace(batch, masked=mask(batch.events, policy, key), events=batch.events.clear())

    return step


def decide(policy: Policy, key: LakeKey) -> Step:
    """Decode → validate → mask, each timed. Deduplicate and land follow in ``Landing``."""
    work = [
        timed("decode", decode_step),
        timed("validate", validate_step),
        timed("mask", mask_step(policy, key)),
    ]

    def decided(batch: MicroBatch) -> MicroBatch:
        for step in work:
            batch = step(batch)
        return batch

    return decided
