"""What is in force: the masking policy of the settings with the values of the reference table, and the rules."""

import hashlib
from dataclasses import replace

from app.settings import Settings
from app.stream.decide import Rules
from app.stream.transforms.name_finder import MODEL, NameFinder
from lake.gold import staffed_beds
from lake.security import masking_policy as policies
from lake.security.masking_policy import Policy


def masking_policy(settings: Settings) -> Policy:
    """The policy of the settings, with the facilities, departments and wards of the staffed beds.

    Without a table of staffed beds no value is known, so that all are scrubbed. Raises ``UsageError`` where there is no
    such policy, the table cannot be used, or a finder of names is asked for and not installed.
    """
    policy = policies.load(settings.policy)
    if settings.ner == "presidio":
        # Rows that it went over can be told from others.
        fingerprint = hashlib.sha256(f"{policy.fingerprint} {MODEL}".encode()).hexdigest()[:16]
        policy = replace(policy, find_names=NameFinder(), fingerprint=fingerprint)
    beds = staffed_beds.read(settings.staffed_beds_path, required=settings.staffed_beds is not None)
    return replace(policy, dimensions=beds.dimensions())


def rules(settings: Settings) -> Rules:
    """What batches are decided by. Raises as ``masking_policy`` does."""
    return Rules(masking_policy(settings), settings.dedup_key, settings.dedup_scope)
