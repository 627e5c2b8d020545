"""The steps of the stream, each a pure function from frame to frame: decode, validate, mask, deduplicate.

No step reads a clock, a setting, a path or a log. Rows are matched by ``row``, their number in the batch.
"""
