"""The security pages name a test for each control, and each of these is there."""

import inspect
import re
from pathlib import Path
from typing import Final

from app.settings import Settings
from producer import publisher
from producer.publisher import ensure_topic

ROOT: Final = Path(__file__).resolve().parents[3]
PAGE: Final = (ROOT / "docs" / "explanation" / "security.md").read_text("utf-8")
CONTROLS: Final = (ROOT / "docs" / "reference" / "security-controls.md").read_text("utf-8")


def controls() -> dict[str, list[str]]:
    """Control → the tests that its line names."""
    lines = re.findall(r"^- (.+?): (`tests/.+)$", CONTROLS, re.MULTILINE)
    return {control: re.findall(r"`(tests/[^`]+)`", tests) for control, tests in lines}


def test_every_control_names_tests_that_exist_and_test_something() -> None:
    found = controls()
    assert len(found) > 15
    assert len(found) == len(re.findall(r"^- ", CONTROLS, re.MULTILINE)), "a control without a test"
    named = {name for tests in found.values() for name in tests}
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []
    assert [name for name in sorted(named) if "\ndef test_" not in (ROOT / name).read_text("utf-8")] == []


def test_what_the_page_says_of_limits_is_still_so() -> None:
    page = " ".join(PAGE.split())
    assert "Kerberos and OAuth are not supported" in page
    assert not [name for name in Settings.model_fields if re.search("kerberos|oauth|token", name)]
    assert "one of 4 partitions by murmur2" in page
    assert inspect.signature(ensure_topic).parameters["partitions"].default == 4
    assert str(publisher._OPTIONS["partitioner"]).startswith("murmur2")
