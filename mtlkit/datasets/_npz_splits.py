"""Archives that are divided: `x_train`, `y_train_<task>`, and so on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from numpy.typing import NDArray

from mtlkit.datasets._made import Part, chosen_tasks, parts_of
from mtlkit.datasets._split_rows import split_rows
from mtlkit.datasets.multitask_data import SPLITS

#: The task of an archive with labels of one alone, `y_train`.
_ONLY = "y"


def of_splits(
    arrays: Mapping[str, NDArray], tasks: Sequence[str] | None, seed: int
) -> tuple[dict[str, Part], dict[str, list[str]], dict[str, str]]:
    """Parts, names of classes and kinds of an archive that is divided."""
    there = [split for split in SPLITS if any(_is_of(name, split) for name in arrays)]
    found = _tasks(list(arrays))
    _check_names(list(arrays), found, there)
    chosen = found if tasks is None else chosen_tasks(tasks, found)
    parts: dict[str, Part] = {}
    for split in there:
        labels = {task: arrays[_labels_of(task, split, arrays)] for task in chosen}
        parts[split] = arrays[f"x_{split}"], labels
    if len(there) < len(SPLITS):
        x, y = parts["train"]
        rows = split_rows(len(x), seed=seed, elsewhere=there[1:])
        parts |= parts_of(x, y, rows)
        parts = {split: parts[split] for split in SPLITS}
    names = {task: arrays[f"names_{task}"] for task in chosen if f"names_{task}" in arrays}
    kinds = {task: str(arrays[f"kind_{task}"]) for task in chosen if f"kind_{task}" in arrays}
    return parts, {task: some.tolist() for task, some in names.items()}, kinds


def _is_of(name: str, split: str) -> bool:
    return name in (f"x_{split}", f"y_{split}") or name.startswith(f"y_{split}_")


def _labels_of(task: str, split: str, names: Collection[str]) -> str:
    """Name of the array with the labels of a task; those of the only one may be without."""
    alone = task == _ONLY and f"y_{split}" in names
    return f"y_{split}" if alone else f"y_{split}_{task}"


def _tasks(names: list[str]) -> list[str]:
    """The tasks of all splits together, those of the first splits first."""
    if any(f"y_{split}" in names for split in SPLITS):
        return [_ONLY]
    prefixes = [f"y_{split}_" for split in SPLITS]
    found = [
        name.removeprefix(prefix)
        for prefix in prefixes
        for name in names
        if name.startswith(prefix) and name != prefix
    ]
    return list(dict.fromkeys(found))


def _check_names(names: list[str], tasks: list[str], splits: Sequence[str]) -> None:
    expected = [f"x_{split}" for split in splits]
    expected += [_labels_of(task, split, names) for task in tasks or ["<task>"] for split in splits]
    more = [f"{what}_{task}" for task in tasks for what in ("kind", "names")]
    missing = [name for name in expected if name not in names]
    unknown = [name for name in names if name not in expected and name not in more]
    if missing or unknown:
        raise ValueError(
            "Expected the arrays x_train, x_val, x_test, and y_train_<task>, y_val_<task>, "
            "y_test_<task> for each task. Received: "
            + "; ".join(
                f"{kind}: {', '.join(some)}"
                for kind, some in (("missing", missing), ("unknown", unknown))
                if some
            )
        )
