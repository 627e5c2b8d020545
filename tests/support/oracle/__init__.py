"""The second implementation of visits, stays and every KPI: plain Python, one row at a time, as the words say it.

It shares no code with ``lake.gold`` but the names of columns and their types, and is not fast. ``visits`` folds
events, ``kpis`` counts, ``compliance`` sums, ``frames`` gives both as typed frames and compares frames without showing
a value, ``histories`` has what Hypothesis draws.

    assert differences("gold/admissions", ours, expected_gold(silver, "UTC", None, 60)["gold/admissions"]) == []
"""

from tests.support.oracle.frames import differences, expected_gold, expected_lake

__all__ = ["differences", "expected_gold", "expected_lake"]
