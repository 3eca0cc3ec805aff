"""Which axis of a feature holds its channels."""

from __future__ import annotations


def channel_axis(rank: int, data_format: str) -> int:
    """Returns the axis of the channels: the last one, or the first one of maps.

    Vectors and sequences have their channels last in either data format.
    """
    return 1 if data_format == "channels_first" and rank > 3 else rank - 1
