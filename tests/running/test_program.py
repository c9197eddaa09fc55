"""How to call the program, as its hints say it."""

import sys

import pytest

from tracker.program import program


@pytest.fixture
def venv(tmp_path, monkeypatch):
    """A virtual environment that this process seems to run in, seen from its parent."""
    folder = tmp_path / ".venv/bin"
    folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(tmp_path)
    return folder


def test_it_is_a_path_from_here_where_it_is_not_on_the_path(venv):
    (venv / "tracker").touch(mode=0o755)

    assert program() == ".venv/bin/tracker"


def test_it_is_its_name_where_that_is_enough(venv, monkeypatch):
    (venv / "tracker").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(venv))

    assert program() == "tracker"


def test_it_is_a_whole_path_from_elsewhere(venv, monkeypatch):
    (venv / "tracker").touch(mode=0o755)
    monkeypatch.chdir("/")

    assert program() in {str(venv / "tracker"), str(venv / "tracker").lstrip("/")}


def test_it_is_a_module_where_no_script_was_installed(venv):
    assert program() == ".venv/bin/python -m tracker"
