"""The README's statements and files, run as they are printed."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def commands():
    """Each command of the section, with what is printed below it."""
    text = README.read_text("utf-8").split("## Statements and files")[1]
    for block in re.findall(r"```\n(\$ .*?)```", text.split("\n## ")[0], re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, printed = command.replace("\\\n", "").partition("\n")
            yield line, printed


async def test_the_files_are_read_as_the_readme_says(tracker, visit, report, tmp_path):
    """With our own click ids, and on this day."""
    shown = "\n".join(line + printed for line, printed in commands())
    theirs = dict.fromkeys(re.findall(r"\b2n0f\w{28}\b", shown))
    ours = {one: await visit() for one in theirs}
    await report(next(iter(ours.values())), transaction_id="order-1", amount="50.00")
    today = datetime.now(UTC).date()
    ours |= {"2026-11-22": str(today), "2026-11-23": str(today + timedelta(days=1))}

    said = 0
    for line, printed in commands():
        command, *words = shlex.split(_with(ours, line))
        words = [str(tmp_path / one) if one[-4:] == ".csv" else one for one in words]
        if command == "cat":
            write(words[0], _with(ours, printed))
            continue
        found = tracker(*words)
        assert found.err == ""
        assert "".join(found.out.split()) == "".join(_with(ours, printed).split())
        said += 1
    assert said == 2


def write(path, text):
    Path(path).write_text(text)


def _with(ours, text):
    """In one pass: today may be the day that is printed for tomorrow."""
    return re.sub("|".join(ours), lambda found: ours[found[0]], text)
