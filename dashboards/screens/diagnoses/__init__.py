"""The page Diagnoses and treatments."""
