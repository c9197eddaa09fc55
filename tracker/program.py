"""How this program is called, for the hints that it prints."""

import shlex
import shutil
import sys
from pathlib import Path


def program() -> str:
    """What to type where this process runs: `tracker`, or a path, or a module."""
    script = Path(sys.executable).with_name("tracker")
    found = shutil.which("tracker")
    if found and Path(found) == script:
        return "tracker"
    if script.exists():
        return shlex.quote(_from_here(script))
    return f"{shlex.quote(_from_here(Path(sys.executable)))} -m tracker"


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
