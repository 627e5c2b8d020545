"""Decoders, one per message format: payload bytes to event columns."""
