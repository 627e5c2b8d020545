"""Opening the lake: what it imports."""

import subprocess
import sys

ENGINE = ("quixstreams", "app.stream.consumer", "app.stream.run", "app.stream.sink")


def test_to_open_a_lake_does_not_import_the_stream_that_fills_it() -> None:
    code = f"import sys, app.jobs.lake_session; print([name for name in {ENGINE} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
