"""The stream: Quix Streams over micro-batches, and landing them in the lake exactly once."""
