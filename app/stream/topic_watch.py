"""Topic watch: whether the topic is still the one that the lake's positions belong to."""

import time
from typing import Final

from app.stream.start_positions import Positions
from lake.errors import TopicRecreatedError

_LOOK_SECONDS: Final = 5.0


class TopicWatch:
    """Asks the broker for the topic's id: the Kafka client knows a topic by its name and may never ask."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._looked_at = time.monotonic()
        self.recreated: TopicRecreatedError | None = None
        """What ``still_there`` raised last."""

    def still_there(self) -> bool:
        """Whether the broker answers and has the topic. Raises ``TopicRecreatedError`` where it is another one now."""
        try:
            return self._positions.still_there()
        except TopicRecreatedError as error:
            self.recreated = error
            raise
        finally:
            self._looked_at = time.monotonic()

    def look_when_idle(self) -> None:
        """Ask every five seconds, while nothing comes. Raises ``TopicRecreatedError``."""
        if time.monotonic() - self._looked_at >= _LOOK_SECONDS and self._positions.topic_id:
            self.still_there()
