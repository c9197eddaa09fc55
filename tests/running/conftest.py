import pytest
from sandboxed import Sandbox
from stores import temporary_folder


@pytest.fixture(scope="module")
def sandbox():
    """Real processes, real stores, in a folder of their own."""
    with temporary_folder() as folder:
        sandbox = Sandbox(folder)
        yield sandbox
        sandbox.stop()
