"""How a benchmark is run, measured and recorded."""
