"""The lake on disk: Delta tables, the fenced writer, and what keeps them small."""
