"""Benchmarks: figures as ratios of one run, as tables, JSON and charts. Run by ``make bench``, never by tests."""
