"""Which axis of a feature holds its channels."""

from __future__ import annotations


def channel_axis(rank: int, data_format: str) -> int:
    """Returns the axis of the channels: the last one, or the first one of maps.

    Vectors and sequences have their channels last in either data format.

    Args:
        rank: Number of axes, with the batch.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        The axis, counted from 0.

    Example:
        ```python
        from mtlkit.layers.channels import channel_axis

        assert channel_axis(4, "channels_first") == 1
        assert channel_axis(2, "channels_first") == 1
        assert channel_axis(4, "channels_last") == 3
        ```
    """
    return 1 if data_format == "channels_first" and rank > 3 else rank - 1
