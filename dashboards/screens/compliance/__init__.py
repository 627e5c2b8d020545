"""The page Compliance."""
