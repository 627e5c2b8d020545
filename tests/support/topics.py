"""The Kafka that tests run against, and what becomes of their topics."""

import contextlib
import os
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

# Read at import, before any test: the environment that tests see has no WARDLAKE_ variable.
OUTSIDE: Final = os.environ.get("WARDLAKE_TEST_KAFKA")
"""The address of a Kafka that is not ours; None for an embedded one."""


def give_up(admin: AdminClient, topic: str) -> None:
    """Delete a topic that a test is done with, as far as the broker lets it; an embedded one goes with the session.

    Not earlier: a stream that is stopped without partitions leaves its client in the test's own process, and a client
    whose topic the built-in broker knows no more may crash it, some tests later (docs/explanation/guarantee.md).
    """
    if OUTSIDE:
        with contextlib.suppress(KafkaException):  # the test may have deleted it itself
            admin.delete_topics([topic])[topic].result(10)
