"""channel_axis: where a feature has its channels."""

import pytest

from mtlkit.layers._channels import channel_axis


@pytest.mark.parametrize(
    ("rank", "last", "first"), [(2, 1, 1), (3, 2, 2), (4, 3, 1), (5, 4, 1)], ids=str
)
def test_axis(rank, last, first):
    assert channel_axis(rank, "channels_last") == last
    assert channel_axis(rank, "channels_first") == first
