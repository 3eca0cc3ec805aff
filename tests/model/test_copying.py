"""Copies of a model: by copy.deepcopy, by pickle, and why not by clone_model."""

import copy
import pickle

import keras
import numpy as np
import pytest
from small_models import small_backbone, small_tasks

import mtlkit as mtl


@pytest.fixture(scope="module")
def trained(images, labels):
    model = mtl.MultiTaskModel(small_backbone(), small_tasks())
    model.compile("adam")
    model.fit(images, {**labels, "intensity": 1000 * labels["intensity"]}, verbose=0)
    return model


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"]
)
def test_copies_are_models_of_their_own(trained, images, labels, copied):
    model = copied(trained)
    assert type(model) is mtl.MultiTaskModel and list(model.tasks) == list(trained.tasks)
    before = trained.predict(images, verbose=0)
    for name, output in model.predict(images, verbose=0).items():
        np.testing.assert_array_equal(output, before[name])
    model.fit(images, labels, verbose=0)
    for name, output in trained.predict(images, verbose=0).items():
        np.testing.assert_array_equal(output, before[name])


def test_clone_model_says_what_to_do(trained, images):
    with pytest.raises(ValueError, match=r"copy.deepcopy\(model\).*from_config\(model.get_config"):
        keras.models.clone_model(trained)
    model = mtl.MultiTaskModel.from_config(trained.get_config())
    assert set(model.predict(images, verbose=0)) == set(trained.tasks)
    alone = keras.models.clone_model(trained.task_model("identity"))
    assert alone.predict(images, verbose=0).shape == (48, 4)
