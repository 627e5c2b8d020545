"""The JVM stack doing Wardlake's work: Spark Structured Streaming and Spark SQL on Delta. Opt-in: ``make bench-spark``.

What runs in Spark's own environment (``.spark``) imports PySpark, the standard library and ``lake.contracts.event``, no
more.
"""
