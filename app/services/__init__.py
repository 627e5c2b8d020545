"""Long-running processes that a command starts, watches and stops."""
