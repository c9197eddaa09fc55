import pytest

from tracker.domain.errors import NotFoundError
from tracker.flow.trace import trace


@pytest.mark.parametrize(
    "asked", ["", "nonsense", "\udcff", "pb_\udcff", "cv_\0", "dl_x", "pb_" + "0" * 24]
)
async def test_an_id_with_no_story_is_not_found(runtime, asked):
    """Whatever bytes a shell has handed over."""
    with pytest.raises(NotFoundError):
        await trace(runtime, asked)
