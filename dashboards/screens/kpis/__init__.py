"""The page Hospital KPIs."""
