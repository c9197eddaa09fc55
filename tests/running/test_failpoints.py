import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tracker
from tracker.domain.errors import SettingsError
from tracker.failpoints import FAILPOINTS, arm, failpoint
from tracker.settings import load_settings


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


def test_a_place_that_is_not_armed_is_passed():
    arm("click.kept:error")

    failpoint("click.drawn")


def test_an_armed_place_fails_the_third_time_only():
    arm("click.kept:error@3")
    failpoint("click.kept")
    failpoint("click.kept")

    with pytest.raises(OSError, match=r"click\.kept"):
        failpoint("click.kept")
    failpoint("click.kept")


def test_an_armed_place_ends_the_process_at_once():
    program = (
        "from tracker.failpoints import arm, failpoint\n"
        "arm('click.kept:kill')\n"
        "try:\n    failpoint('click.kept')\nfinally:\n    print('alive')"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"")


@pytest.mark.parametrize(
    "text", ["click.kept", "nowhere:kill", "click.kept:explode", "click.kept:kill@x"]
)
def test_what_cannot_be_armed_is_a_fault_of_the_settings(text):
    with pytest.raises(SettingsError, match="TRACKER_FAILPOINTS"):
        load_settings({"TRACKER_FAILPOINTS": text}, needs=())


def test_every_place_that_is_declared_stands_somewhere():
    """One that stands nowhere would let a test wait for a crash that never comes."""
    package = Path(tracker.__file__).parent
    code = "".join(
        file.read_text()
        for file in package.rglob("*.py")
        if file.name != "failpoints.py"
    )

    assert [one for one in FAILPOINTS if f'failpoint("{one}")' not in code] == []
