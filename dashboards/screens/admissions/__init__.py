"""The page Admissions."""
