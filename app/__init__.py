"""Settings, command line, embedded broker, and the stream that turns events into tables.

May import ``lake`` and ``producer``.
"""

from app import allocators

allocators.keep_one_arena()
