"""Gold: the KPIs that a hospital is run by, built by DuckDB from Silver and stored as Delta."""
