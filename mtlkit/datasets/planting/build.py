"""Making data sets with a planted cause of trouble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mtlkit.datasets._channels import add_channel
from mtlkit.datasets.multitask_data import SPLITS
from mtlkit.datasets.planting._condition import Condition
from mtlkit.datasets.planting._conditions import CONDITIONS
from mtlkit.datasets.planting._scene import Pictures, Scene, bin_frequencies, draw_scene
from mtlkit.datasets.planting.families import FAMILIES
from mtlkit.datasets.planting.planted_data import PlantedData

#: The shares of the splits.
_SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
_NUM_BINS = (8, 16, 32)
#: The fewest samples for each bin.
_SAMPLES_PER_BIN = 5
_LEAST_SIZE = 16


def planted(
    cause: str,
    *,
    family: str = "glyphs",
    samples: int = 6000,
    num_bins: int = 32,
    seed: int = 0,
    severity: float | None = None,
    size: int = 32,
    data_format: str | None = None,
) -> PlantedData:
    """Makes a data set with a known cause of trouble, for a diagnosis to find.

    The three tasks are those of `rotated_digits`: `identity` (10 shapes), `orientation` (bins
    around the circle, angles uniform within them) and `intensity` (the amplitude). The trouble
    is planted in the images or labels of all splits, as users would meet it, or in the model
    that comes with the data (`.recipe`, `.train()`). What a diagnosis should find is in
    `.truth`.

    Sets with the same family, seed, samples and bins show the same objects; where only labels
    are planted, the images are equal.

    Args:
        cause: A condition, one of `planted_conditions()`.
        family: Where images come from: `"glyphs"` (random strokes), `"textures"` (striped
            patches), `"digits"` (scikit-learn's scans) or `"fashion"` (Fashion-MNIST, whose
            files must be there). Real images are split before they are turned; where more
            samples are asked for than there are originals, these are used several times.
        samples: Number of images: 60 % for training, 20 % for validation and 20 % for test.
            Conditions about small data use at most 600.
        num_bins: Number of orientation bins: 8, 16 or 32.
        seed: Seed of everything that is drawn.
        severity: How strong the plant is, such as the rate of wrong labels. `None`: the
            condition's own.
        size: Height and width of the images.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.

    Returns:
        The data, with float32 images in `[0, 1]`.

    Raises:
        ValueError: If the cause or the family is not known, or a number is out of range.
        FileNotFoundError: If the files of Fashion-MNIST are wanted and not found.

    Example:
        ```python
        from mtlkit.datasets import planted

        data = planted("pair_flip", samples=200, num_bins=8)
        assert data.truth.limit == "data" and data.truth.pairs[0] == (0, 4)
        print(data.summary())
        ```
    """
    if cause not in CONDITIONS:
        raise ValueError(f"Expected cause to be one of {list(CONDITIONS)}. Received: {cause!r}")
    if family not in FAMILIES:
        raise ValueError(f"Expected family to be one of {list(FAMILIES)}. Received: {family!r}")
    _check_numbers(samples, num_bins, seed, size)
    condition = CONDITIONS[cause]
    severity = condition.chosen_severity(cause, severity)
    shapes, layout, steps = np.random.default_rng(seed).spawn(3)
    pictures = FAMILIES[family](_split_sizes(samples, condition), shapes, size)
    scenes = _draw_scenes(pictures, condition, severity, num_bins, layout)
    scenes = _apply_steps(scenes, condition, severity, steps)
    return PlantedData(
        **_arrays(scenes, data_format),
        name=f"planted {cause} ({family})",
        truth=condition.truth(cause, severity, num_bins),
        recipe=condition.recipe_at(severity),
        num_bins=num_bins,
        seed=seed,
        data_format=data_format,
    )


def planted_conditions() -> tuple[str, ...]:
    """The names of the conditions that `planted` knows.

    Returns:
        The names, in the order of the table.

    Example:
        ```python
        from mtlkit.datasets import planted_conditions

        assert "uniform_noise" in planted_conditions()
        ```
    """
    return tuple(CONDITIONS)


def _check_numbers(samples: int, num_bins: int, seed: int, size: int) -> None:
    if num_bins not in _NUM_BINS:
        raise ValueError(f"Expected num_bins to be one of {_NUM_BINS}. Received: {num_bins=}")
    if samples < _SAMPLES_PER_BIN * num_bins:
        raise ValueError(
            f"Expected samples >= {_SAMPLES_PER_BIN * num_bins}, {_SAMPLES_PER_BIN} for each of "
            f"{num_bins} bins. Received: samples={samples}"
        )
    if seed < 0:
        raise ValueError(f"Expected seed >= 0. Received: seed={seed}")
    if size < _LEAST_SIZE:
        raise ValueError(f"Expected size >= {_LEAST_SIZE}. Received: size={size}")


def _split_sizes(samples: int, condition: Condition) -> dict[str, int]:
    if condition.max_samples is not None:
        samples = min(samples, condition.max_samples)
    sizes = {split: round(share * samples) for split, share in _SHARES.items()}
    return {**sizes, "train": samples - sizes["val"] - sizes["test"]}


def _draw_scenes(
    pictures: Mapping[str, Pictures],
    condition: Condition,
    severity: float | None,
    num_bins: int,
    rng: np.random.Generator,
) -> dict[str, Scene]:
    layout = condition.layout_at(severity)
    frequencies = bin_frequencies(layout, num_bins, rng)
    streams = dict(zip(SPLITS, rng.spawn(len(SPLITS)), strict=True))
    return {
        split: draw_scene(split, pictures[split], layout, frequencies, streams[split])
        for split in SPLITS
    }


def _apply_steps(
    scenes: dict[str, Scene],
    condition: Condition,
    severity: float | None,
    rng: np.random.Generator,
) -> dict[str, Scene]:
    for step in condition.steps:
        streams = rng.spawn(len(SPLITS))
        scenes = {
            split: step(scenes[split], severity, stream)
            for split, stream in zip(SPLITS, streams, strict=True)
        }
    return scenes if condition.across is None else condition.across(scenes, severity, rng)


def _arrays(scenes: dict[str, Scene], data_format: str | None) -> dict[str, Any]:
    arrays: dict[str, Any] = {"true_bins": {}, "x_high": {}}
    for split, scene in scenes.items():
        amplitude = scene.amplitude[:, None, None]
        arrays[f"x_{split}"] = add_channel(scene.images * amplitude, data_format)
        arrays[f"y_{split}"] = scene.labels
        arrays["true_bins"][split] = scene.true_bins
        if scene.high is not None:
            arrays["x_high"][split] = add_channel(scene.high * amplitude, data_format)
    return {**arrays, "x_high": arrays["x_high"] or None}
