"""Quality: checks declared as data (``checks.toml``), run over the lake, kept in ``ops/quality``.

Each check is a name, a table, a kind with parameters, a severity and a reason. A *kind* is a small class in
``row_kinds``, ``key_kinds`` or ``table_kinds``; its fields are its parameters.

Why these libraries. dataframely holds the contract of every table already, and counts failures by rule name, which
may be told where values may not. Polars reads the same snapshots lazily on its streaming engine: all row checks of a
table share one pass over it, in bounded memory, with the expressions that the contracts and the masking policies
are made of. Pointblank was considered: some fifteen packages more, HTML reports, and a scan of the table for each
step. Great Expectations is heavier still.
"""
