"""Searching heads on a frozen backbone: what no trial changes is computed once, for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from mtlkit._files import write_array
from mtlkit.backbones._feature_maps import FeatureMaps
from mtlkit.layers._keep_mask import makes_masks
from mtlkit.layers.rotation_orbit import TURNS
from mtlkit.model import MultiTaskModel
from mtlkit.model._wiring import feature_names
from mtlkit.model.task import Task
from mtlkit.search._data import SearchData
from mtlkit.search._head_space import HeadSpace

#: The name, among features, of what the backbone gives where no map is named.
_LAST = "last_map"
_SPLITS = ("x", "x_val")


class _Map(NamedTuple):
    """A map of the backbone: of the image as it is, or of its four quarter turns."""

    name: str
    turned: bool

    @property
    def key(self) -> str:
        """Its name among inputs and files."""
        return f"{'turned' if self.turned else 'cached'}_{self.name}".replace("/", "_")


class FrozenFeatures:
    """Models of heads alone, on features that lie on disk.

    Each map is computed when a trial first needs it, kept in the folder, and read by all
    trials and processes from there; for heads that read the turned image (`reads_orbit`) the maps
    of all four turns. A backbone that masks steps of sequences has no features to keep: its models
    run it, frozen.

    On a frozen backbone a task learns the same whatever the heads of others are, unless one of
    them is conditioned on the other. So a trial trains the searched task with those that it is
    connected with; the rest are trained once, without it, as the reference of the search.
    """

    def __init__(
        self, space: HeadSpace, data: SearchData, folder: Path, batch_size: int = 256
    ) -> None:
        self._space = space
        self._data = data
        self._folder = folder
        self._batch_size = batch_size
        self._backbone = space.backbone()
        self._maps = FeatureMaps(self._backbone, space.input_shape)
        self._turned_maps: FeatureMaps | None = None

    def trial(self, point: Any) -> tuple[MultiTaskModel, SearchData]:
        """Returns the model that a trial trains, and its data."""
        tasks = self._new_tasks(point)
        return self._on_features(tasks if point is None else connected(tasks, self._space.target))

    def model(self, point: Any, run: int = 0) -> tuple[MultiTaskModel, SearchData]:
        """Returns the model of a point with all tasks, and the data that it is trained on."""
        return self._on_features(self._new_tasks(point, run))

    def whole(self, point: Any, *trained: MultiTaskModel) -> MultiTaskModel:
        """Returns a model of images whose heads have the weights of trained ones."""
        model = self._space.build(point)
        last = {name: task for one in trained for name, task in one.tasks.items()}
        for name, task in last.items():
            own = model.tasks[name]
            own.head.set_weights(task.head.get_weights())
            for layer, kept in zip(
                _layers(own.conditioning), _layers(task.conditioning), strict=True
            ):
                layer.set_weights(kept.get_weights())
        model.freeze_backbone()
        return model

    def _new_tasks(self, point: Any, run: int = 0) -> list[Task]:
        """The tasks, with the weights that their heads have in `HeadSpace.build`."""
        keras.config.set_dtype_policy(self._space.dtype_policy)
        keras.utils.set_random_seed(self._space.seed_of(point, run))
        return self._space.tasks(point)

    def _on_features(self, tasks: list[Task]) -> tuple[MultiTaskModel, SearchData]:
        if makes_masks(self._backbone):  # masks are not kept with features
            backbone = self._space.backbone()
            model = MultiTaskModel(backbone, tasks, input_shape=self._space.input_shape)
            model.freeze_backbone()
            return model, self._data
        maps = {task.name: self._maps_of(task) for task in tasks}
        used = list(dict.fromkeys(one for own in maps.values() for one in own))
        tapped = [replace(task, feature=_plain(maps[task.name])) for task in tasks]
        x, x_val = ({one.key: self._feature(one, split) for one in used} for split in _SPLITS)
        return MultiTaskModel(_passing(x), tapped), self._data.with_images(x, x_val)

    def _maps_of(self, task: Task) -> list[_Map]:
        names = feature_names(self._maps, task) or (_LAST,)
        return [_Map(name, task.head.reads_orbit) for name in names]

    def _feature(self, wanted: _Map, split: str) -> np.ndarray:
        path = self._folder / f"{split}@{wanted.key}.npy"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            inputs, tensor = self._tensor(wanted)
            model = keras.Model(inputs, tensor)
            images = getattr(self._data, split)
            together = self._batch_size // (TURNS if wanted.turned else 1)
            write_array(path, model.predict(images, batch_size=together, verbose=0))
        return np.load(path, mmap_mode="r", allow_pickle=False)

    def _tensor(self, wanted: _Map) -> tuple[Any, Any]:
        """The inputs of the backbone, and one of its maps."""
        maps = self._maps
        if wanted.turned:
            if self._turned_maps is None:
                shape = self._space.input_shape
                self._turned_maps = FeatureMaps(self._backbone, shape, orbit=True)
            maps = self._turned_maps
        last, named = maps.last_orbit, maps.get_orbit  # those of one turn, where there is no other
        return maps.inputs, last if wanted.name == _LAST else named([wanted.name])[wanted.name]


def connected(tasks: Sequence[Task], target: str) -> list[Task]:
    """Returns the tasks that a task is connected with by conditioning, itself among them."""
    found = {target}
    pairs = [{task.name, task.condition_on} for task in tasks if task.condition_on is not None]
    for _ in tasks:
        found.update(*(pair for pair in pairs if pair & found))
    return [task for task in tasks if task.name in found]


def _layers(conditioning: Any) -> list[keras.layers.Layer]:
    return [] if isinstance(conditioning, str) else [conditioning]


def _passing(features: dict[str, np.ndarray]) -> keras.Model:
    """A backbone whose maps are its inputs."""
    inputs = {
        key: keras.Input(array.shape[1:], name=key, dtype=array.dtype.name)
        for key, array in features.items()
    }
    maps = {key: keras.layers.Identity(name=f"{key}_map")(x) for key, x in inputs.items()}
    backbone = keras.Model(inputs, maps, name="cached_features")
    backbone.gives_orbit = True
    return backbone


def _plain(maps: Sequence[_Map]) -> Any:
    keys = tuple(one.key for one in maps)
    return keys[0] if len(keys) == 1 else keys
