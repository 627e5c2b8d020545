"""Benchmarks: figures as ratios in one run, printed as tables. Run by ``make bench``, never by the test suite."""
