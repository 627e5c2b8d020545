"""The optional finder of names: what it says where it is not installed, and, where it is, what it takes out."""

from dataclasses import replace
from importlib.util import find_spec

import polars as pl
import pytest

from app.jobs.active_policy import masking_policy
from app.settings import Settings
from app.stream.transforms.name_finder import MODEL, NameFinder
from lake.errors import UsageError
from lake.security import masking_policy as policies
from tests.unit.app.stream.test_mask import masked

INSTALLED = all(find_spec(name) is not None for name in ("presidio_analyzer", "spacy", MODEL))


@pytest.mark.skipif(INSTALLED, reason="the finder of names is installed")
def test_where_it_is_not_installed_it_says_how_to_get_it() -> None:
    with pytest.raises(UsageError, match=r"no presidio_analyzer.*make ner"):
        masking_policy(Settings(ner="presidio"))


def test_it_is_off_by_default() -> None:
    policy = masking_policy(Settings())
    assert policy.find_names is None
    assert policy.fingerprint == policies.load("display").fingerprint


@pytest.mark.skipif(not INSTALLED, reason="the finder of names is an extra: make ner")
def test_names_of_others_are_taken_out_of_notes_and_nothing_else() -> None:
    policy = masking_policy(Settings(ner="presidio"))
    assert policy.fingerprint != policies.load("display").fingerprint
    row, _ = masked(policy, notes="Seen with his wife Mary Jones. BP 120/80.", treatment="Rest")
    assert (row["notes"], row["treatment"]) == ("Seen with his wife [redacted]. BP 120/80.", "Rest")
    texts = NameFinder()(pl.Series(["Dr. Susan Miller [redacted] came", None, ""]))
    assert texts.to_list() == ["Dr. [redacted] [redacted] came", None, ""]


def test_a_finder_is_asked_after_everything_else() -> None:
    seen: list[str] = []

    def find(texts: pl.Series) -> pl.Series:
        seen.extend(texts.drop_nulls())
        return texts.str.replace("Mary", "[redacted]", literal=True)

    policy = replace(policies.load("display"), find_names=find)
    row, _ = masked(policy, notes="Mary called 415-555-0199 for Jane", patient_name="Jane Roe")
    assert seen == ["Mary [redacted] for [redacted]"]
    assert row["notes"] == "[redacted] [redacted] for [redacted]"
