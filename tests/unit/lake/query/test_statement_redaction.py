"""The text of a query without what somebody typed into it."""

import pytest

from lake.query.statement_redaction import HIDDEN, OTHER, UNPARSED, blanked
from tests.corpus.sql_attacks import SPELT, VALUES


def test_a_query_is_kept_without_what_somebody_typed_into_it(subtests: pytest.Subtests) -> None:
    for text, kept in [
        ("SELECT 1", "SELECT '…'"),
        ("FROM silver.events WHERE ssn = '123-45-6789'", "SELECT * FROM silver.events WHERE (ssn = '…')"),
        ("FROM t WHERE ssn = 123-45-6789", "SELECT * FROM t WHERE (ssn = (('…' - '…') - '…'))"),
        ("FROM t WHERE d > DATE '1961-04-23'", "SELECT * FROM t WHERE (d > CAST('…' AS DATE))"),
        ("FROM t WHERE name = \u2018O\u2019Brien\u2019", 'SELECT * FROM t WHERE ("name" = "…")'),
        ("FROM t WHERE name = 'O'Brien'", UNPARSED),
        ("SELECT 'it''s', 'two' FROM t", "SELECT '…', '…' FROM t"),
        ("SELECT $$John$$, $a$ Smith $a$, E'x\\'y', x'00ff'", "SELECT '…', '…', '…', '…'"),
        ("SELECT a -- John Smith\n, b /* born /* in */ 1961 */ FROM t", "SELECT a, b FROM t"),
        ("SELECT 'Ruíz', Größe FROM t -- José", "SELECT '…', \"Größe\" FROM t"),
        ("FROM t WHERE a = 123456789 LIMIT 1000", "SELECT * FROM t WHERE (a = '…') LIMIT '…'"),
        ("FROM t WHERE a = MRN0000001", 'SELECT * FROM t WHERE (a = "…")'),
        ('SELECT ssn AS "Mary Jones", "event_date" FROM t', 'SELECT ssn AS "…", event_date FROM t'),
        (
            "SELECT department, count(*) AS n FROM t GROUP BY ALL",
            "SELECT department, count(*) AS n FROM t GROUP BY ALL",
        ),
        ("SELECT a ->> '$.x', b ** 2 FROM t TABLESAMPLE 3%", None),
        ("SELECT\n\n   a\n FROM t", "SELECT a FROM t"),
        ("DROP TABLE t", OTHER),
        ("SELECT 1; SELECT 2", OTHER),
        ("", OTHER),
        ("SELEC 1", UNPARSED),
        ("SELECT '", UNPARSED),
        ("\x00", UNPARSED),
        ("SELECT " + "1 + " * 5000 + "1", UNPARSED),
        ("SELECT " + "(" * 300, UNPARSED),
    ]:
        with subtests.test(text=text):
            found = blanked(text)
            assert found == kept or (kept is None and found not in {UNPARSED, OTHER, HIDDEN})


def test_no_value_is_kept_however_it_is_spelt(subtests: pytest.Subtests) -> None:
    for text in SPELT:
        with subtests.test(text=text):
            kept = blanked(text)
            assert [value for value in VALUES if value in kept] == []
            assert [digits for digits in ("6789", "1961", "4567") if digits in kept] == []


def test_a_long_query_is_cut() -> None:
    assert len(blanked("SELECT " + ", ".join(["a"] * 9000))) == 10_000
