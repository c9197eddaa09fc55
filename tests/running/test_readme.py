"""The README's main job, and how to know that it works, run as they are printed."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
END = "-- end of a command --"

# What differs from run to run, in a text without blanks.
VARIES = [
    (r"(pb|cv|ch|dl)_[0-9a-z]{24}", r"\1_ID"),
    (r"test-[0-9a-z]{24}", "test-ID"),
    (r"click[0-9a-z]{32},madeup", "clickMADE-UP"),
    (r"tracker/\d[\d.]*", "tracker/VERSION"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", "TIME"),
    (r"\d{4}-\d\d-\d\d", "DAY"),
    (r"\d\d:\d\d:\d\d\.\d\d\d", "TIME"),
    (r"\d\d-\d\d\d\d:\d\d", "TIME"),
    (r"\d+ms", "MS"),
    (r"curl/[\d.]+", "CURL"),
]


def commands():
    """Each command of both parts, with what is printed below it."""
    text = README.read_text().partition("## The main job by hand\n")[2]
    text = text.partition("\n## Trying it with more\n")[0]
    for block in re.findall(r"```\n(\$ .*?)```", text, re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, printed = command.partition("\n")
            yield line, printed


def test_the_main_job_prints_what_the_readme_says(sandbox):
    """With our own click id where a reader puts in theirs."""
    (first, printed), *others = list(commands())
    said = run(sandbox, [first])
    theirs, ours = (re.search(r"cid=(\w+)", text)[1] for text in (printed, said[0]))
    said += run(sandbox, [line.replace(theirs, ours) for line, _ in others])

    assert len(said) > 8
    for (line, printed), found in zip(commands(), said, strict=True):
        # A story goes on behind what is printed of it.
        assert alike(found, ours).startswith(alike(printed, theirs)), line


def run(sandbox, lines):
    """In one shell, with a reader's pause where a worker acts; what each line said."""
    script = "".join(f"{line}\n{_pause(line)}echo '{END}'\n" for line in lines)
    for printed, real in {
        "http://127.0.0.1:8080": sandbox.base_url,
        ".tracker/": f"{sandbox.folder}/data/",
        ".venv/bin/tracker": f"{sys.executable} -m tracker",
    }.items():
        script = script.replace(printed, real)
    done = subprocess.run(
        ["bash", "-c", script],
        env=sandbox.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    said = done.stdout.split(f"{END}\n")[:-1]
    return [one.replace(sandbox.base_url, "http://127.0.0.1:8080") for one in said]


def _pause(line):
    return "sleep 0.5; " if line.startswith("curl") else ""


def alike(text, click_id):
    """The text without blanks, line breaks and what varies."""
    squeezed = "".join(text.split()).replace(click_id, "CLICK")
    squeezed = re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:8080", squeezed)
    squeezed = re.sub(r"cid=\w{32}", "cid=CLICK", squeezed)
    for pattern, stands_for in VARIES:
        squeezed = re.sub(pattern, stands_for, squeezed)
    return squeezed
