"""Fashion: Zalando's pictures of clothes, where their files are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets.planting._scene import Pictures
from mtlkit.datasets.planting.families._originals import draw_originals, turned_originals
from mtlkit.datasets.rotated_fashion_mnist import find_files, prepare_images, read_split

_SIZE = 32


def fashion(
    samples: dict[str, int], rng: np.random.Generator, size: int = _SIZE
) -> dict[str, Pictures]:
    """Draws clothes from Fashion-MNIST, each in one split only.

    Those for test come from its test split, the others from its train split.

    Args:
        samples: Number of objects by split.
        rng: The source of the choice.
        size: Height and width of the images, 32.

    Returns:
        The objects by split.

    Raises:
        FileNotFoundError: If the files are not found.
        ValueError: If another size is asked for.

    Example:
        ```python
        import numpy as np
        from mtlkit.datasets.planting.families.fashion import fashion

        try:
            found = fashion({"train": 5, "val": 2, "test": 2}, np.random.default_rng(0))
            assert len(found["train"].identity) == 5
        except FileNotFoundError as error:
            print(error)  # says where it looked and how to get the files
        ```
    """
    if size != _SIZE:
        raise ValueError(f"Expected size={_SIZE} for family 'fashion'. Received: size={size}")
    files = find_files()
    learning = {split: number for split, number in samples.items() if split != "test"}
    testing = {split: number for split, number in samples.items() if split == "test"}
    return {
        **_drawn(learning, *read_split(files, "train"), rng),
        **_drawn(testing, *read_split(files, "test"), rng),
    }


def _drawn(
    samples: dict[str, int], images: NDArray, labels: NDArray, rng: np.random.Generator
) -> dict[str, Pictures]:
    return {
        split: turned_originals(prepare_images(images[index]), labels[index])
        for split, index in draw_originals(samples, len(images), rng).items()
    }
