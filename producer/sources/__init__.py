"""Files as messages for the topic: CSV, JSON arrays, NDJSON."""
