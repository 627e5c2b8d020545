"""Settings, command line, embedded broker, and the stream that turns events into tables.

May import ``lake`` and ``producer``.
"""
