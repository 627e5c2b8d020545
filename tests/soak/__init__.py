"""The soak: all of Wardlake at work as a user runs it, a gremlin that breaks it, and an account of every message."""
