"""Deciding a micro-batch: decode → validate → mask. Deduplication needs Silver and follows in the landing."""

from app.stream.batches import DecodedBatch, MaskedBatch, RawBatch, Stopwatch, without_values_in_errors
from app.stream.decoders.json_event import decode
from app.stream.transforms.mask import mask
from app.stream.transforms.validate import validate
from lake.security.encryption import LakeKey
from lake.security.masking_policy import Policy


def decide(batch: RawBatch, policy: Policy, key: LakeKey) -> MaskedBatch:
    """Payloads → Silver-shaped rows under a policy, and failures.

    Raises ``StepError`` for any error in a step: it names the step and the offsets, never a value.
    """
    return mask_batch(decode_batch(batch), policy, key)


def decode_batch(batch: RawBatch) -> DecodedBatch:
    """Payloads → valid events, and failures with the rules that they broke."""
    watch = Stopwatch()
    decoded = without_values_in_errors(
        "decode", batch, lambda: decode(batch.payloads).with_columns(batch.messages["ingested_at"])
    )
    watch.lap("decode")
    events, failures = without_values_in_errors("validate", batch, lambda: validate(decoded))
    watch.lap("validate")
    return DecodedBatch(batch, events, failures, decoded.select("row", "unknown_fields"), watch.seconds)


def mask_batch(batch: DecodedBatch, policy: Policy, key: LakeKey) -> MaskedBatch:
    """Valid events → Silver-shaped rows under a policy."""
    watch = Stopwatch()
    masked = without_values_in_errors("mask", batch.raw, lambda: mask(batch.events, policy, key))
    watch.lap("mask")
    return MaskedBatch(batch.raw, masked, batch.failures, batch.unknown_fields, {**batch.seconds, **watch.seconds})
