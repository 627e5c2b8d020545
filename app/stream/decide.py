"""Deciding a micro-batch: decode → validate → mask. Deduplication needs Silver and follows in the landing."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from app.stream.batches import DecodedBatch, MaskedBatch, RawBatch, Stopwatch, without_values_in_errors
from app.stream.decoders.json_event import decode
from app.stream.transforms.mask import mask
from app.stream.transforms.validate import validate
from lake.security.encryption import LakeKey
from lake.security.masking_policy import Policy

DedupScope = Literal["lake", "partition"]


@dataclass(frozen=True)
class Rules:
    """What batches are decided by: the masking policy, the event fields of the deduplication key, and its scope.

    With the scope ``partition`` a message whose Kafka key is not its patient's id fails, as ``not_keyed_by_patient``.
    """

    policy: Policy
    dedup_key: tuple[str, ...]
    dedup_scope: DedupScope = "lake"


def decide(batch: RawBatch, rules: Rules, key: LakeKey) -> MaskedBatch:
    """Payloads → Silver-shaped rows under a policy, and failures.

    Raises ``StepError`` for any error in a step: it names the step and the offsets, never a value.
    """
    return mask_batch(decode_batch(batch, rules), rules.policy, key)


def decode_batch(batch: RawBatch, rules: Rules) -> DecodedBatch:
    """Payloads → events of valid messages, and failures with the rules that they broke."""
    watch = Stopwatch()
    decoded = without_values_in_errors("decode", batch, lambda: _decoded(batch))
    watch.lap("decode")
    keys = batch.messages["kafka_key"] if rules.dedup_scope == "partition" else None
    events, failures = without_values_in_errors("validate", batch, lambda: validate(decoded, keys))
    watch.lap("validate")
    return DecodedBatch(batch, events, failures, decoded.select("row", "unknown_fields"), watch.seconds)


def _decoded(batch: RawBatch) -> pl.DataFrame:
    """Every message as an event of this contract's own JSON."""
    return decode(batch.payloads).with_columns(batch.messages["ingested_at"])


def mask_batch(batch: DecodedBatch, policy: Policy, key: LakeKey) -> MaskedBatch:
    """Valid events → Silver-shaped rows under a policy."""
    watch = Stopwatch()
    masked = without_values_in_errors("mask", batch.raw, lambda: mask(batch.events, policy, key))
    watch.lap("mask")
    return MaskedBatch(batch.raw, masked, batch.failures, batch.unknown_fields, {**batch.seconds, **watch.seconds})
