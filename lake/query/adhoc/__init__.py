"""Ad-hoc SQL: queries that somebody typed, over the tables of the lake.

``run`` (in the process that prints) starts ``worker`` (one query in one process, bounded in time and memory, killed
when its time is up or the user presses Ctrl-C). The worker binds the query on an empty copy of the tables (``copies``),
decides on its bound plan what it may read (``guard``), and opens the files of the tables that the plan scans, and no
others.
"""
