import os
import subprocess
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

READ_FROM_THE_PACKAGE = """
from tracker.store.migrations import list_migrations, sql_folder
print(sql_folder())
print(len(list_migrations(sql_folder() / "migrations")))
from tracker.catalog.presets import get_preset, list_presets
print(len([get_preset(key) for key in list_presets()]))
"""


def test_the_wheel_carries_its_sql_and_presets_and_reads_them_from_there(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    subprocess.run([*build, tmp_path, REPOSITORY], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")

    done = subprocess.run(
        [sys.executable, "-c", READ_FROM_THE_PACKAGE],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )

    folder, count, presets = done.stdout.split()
    assert folder == str(tmp_path / "installed" / "tracker" / "sql")
    assert int(count) == len(list((REPOSITORY / "sql" / "migrations").glob("*.sql")))
    written = REPOSITORY / "tracker" / "catalog" / "presets"
    assert int(presets) == len(list(written.glob("*.yaml")))


def test_imports_point_inward():
    command = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [command, "--no-cache"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
