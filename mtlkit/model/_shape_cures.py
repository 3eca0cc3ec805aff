"""What to do about inputs of another shape than the model takes."""

from __future__ import annotations

from collections.abc import Sequence


def shape_cure(shape: tuple[int, ...], wanted: Sequence[int | None]) -> str:
    """Returns what to do, as the end of a sentence, or nothing.

    Args:
        shape: The shape received, with the samples.
        wanted: The shape of a sample that the model takes; `None` for any size.
    """
    sample = shape[1:]
    if _matches(shape, wanted):
        return ". Add the axis of samples: x[None]"
    if len(wanted) != 3:
        return ""
    first = wanted[0] is not None and wanted[0] <= 4 < (wanted[-1] or 99)  # channels first
    channels = wanted[0] if first else wanted[-1]
    size = tuple(wanted[1:] if first else wanted[:-1])
    if len(sample) == 2:
        add = "x[:, None]" if first else "x[..., None]"
        if channels == 3:
            add = f"np.repeat({add}, 3, axis={1 if first else -1})"
        if _matches(sample, size):
            return f". Add the channel: {add}"
        image = (channels, *sample) if first else (*sample, channels)
        return f". Add the channel, {add}, and {_build_for(image)}"
    if len(sample) != 3:
        return ""
    if _matches(_rolled(sample, first), wanted):
        return f". Move the channels: np.moveaxis(x, {'-1, 1' if first else '1, -1'})"
    return f". Either resize and convert the images, or {_build_for(sample)}"


def _build_for(image: tuple[int | None, ...]) -> str:
    return (
        f"build the backbone for such images, as in mtl.backbones.ConvBackbone(input_shape={image})"
    )


def _rolled(sample: tuple[int, ...], first: bool) -> tuple[int, ...]:
    """The shape with its channels at the other end."""
    return (sample[-1], *sample[:-1]) if first else (*sample[1:], sample[0])


def _matches(shape: tuple[int, ...], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(
        want in (None, size) for want, size in zip(wanted, shape, strict=True)
    )
