"""How the lake's Parquet files are written."""

from typing import Final

from deltalake import ColumnProperties, WriterProperties

WRITER: Final = WriterProperties(compression="ZSTD", compression_level=1)
"""What stays: written for size."""

# 2.6 µs of CPU an event against 3.7, 122 bytes against 82.
APPEND_WRITER: Final = WriterProperties(compression="LZ4_RAW")
"""What is appended: written for speed, and for size by the compaction that is to come."""

# What is sealed does not compress, and no two are alike: to try costs as much again as to write it (2.1 µs an event
# of 700 bytes against 5.1), for 1 % of the size.
SEALED_WRITER: Final = WriterProperties(
    compression="UNCOMPRESSED",
    column_properties={
        "payload": ColumnProperties(
            dictionary_enabled=False, statistics_enabled="NONE", encoding="DELTA_LENGTH_BYTE_ARRAY"
        ),
        "kafka_offset": ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED"),
    },
)
"""Tables with a sealed payload, appended to and rewritten alike."""
