"""Archives of whole columns: `x`, and an array of labels for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import NDArray

from mtlkit.datasets._made import Part, chosen_tasks, parts_of
from mtlkit.datasets._split_rows import split_rows


def of_rows(
    arrays: Mapping[str, NDArray],
    inputs: str,
    tasks: Sequence[str] | None,
    split: str | None,
    group: str | None,
    seed: int,
) -> tuple[dict[str, Part], dict[str, list[str]]]:
    """Parts and names of classes of an archive of whole columns."""
    if inputs not in arrays or not arrays[inputs].ndim:
        raise ValueError(
            f"Expected inputs in the array {inputs!r}, or in x_train, x_val and x_test; `inputs` "
            f"names another array. Received: {', '.join(arrays)}"
        )
    x = arrays[inputs]
    for column in (split, group):
        if column is not None and column not in arrays:
            raise ValueError(f"Expected the array {column!r}. Received: {', '.join(arrays)}")
    split = "split" if split is None and "split" in arrays else split
    known = {"y" if name == "y" else name.removeprefix("y_"): name for name in arrays}
    used = {inputs, split, group}
    found = [task for task, name in known.items() if name not in used and not _names(name, known)]
    chosen = found if tasks is None else chosen_tasks(tasks, found)
    misfits = [task for task in chosen if not _is_column(arrays[known[task]], len(x))]
    if misfits:
        shapes = ", ".join(f"{task} {arrays[known[task]].shape}" for task in misfits)
        raise ValueError(
            f"Expected labels of {len(x)} samples in each array but {inputs!r}; `ignore` "
            f"leaves others out. Received: {shapes}"
        )
    if not chosen:
        raise ValueError(f"Expected labels beside the inputs. Received: {', '.join(arrays)}")
    splits, groups = (None if name is None else arrays[name] for name in (split, group))
    if wrong := [one.shape for one in (splits, groups) if one is not None and len(one) != len(x)]:
        raise ValueError(
            f"Expected the split and the group of each of {len(x)} rows. Received: {wrong}"
        )
    rows = split_rows(len(x), splits, groups, seed)
    y = {task: arrays[known[task]] for task in chosen}
    names = {task: arrays[f"{task}_names"] for task in chosen if f"{task}_names" in arrays}
    return parts_of(x, y, rows), {task: some.tolist() for task, some in names.items()}


def _names(name: str, known: Mapping[str, str]) -> bool:
    """Whether an array holds the names of the classes of another one."""
    return name.endswith("_names") and name.removesuffix("_names") in known


def _is_column(labels: NDArray, samples: int) -> bool:
    return labels.ndim in (1, 2) and len(labels) == samples
