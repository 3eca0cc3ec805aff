"""A head of two views: the image in polar coordinates, and all positions of the last map."""

import keras
import numpy as np
import pytest
from keras import ops

import mtlkit as mtl
from mtlkit.heads.designs import PolarAndFlattenDesign
from mtlkit.layers import FiLM

RNG = np.random.default_rng(0)
IMAGES = RNG.random((4, 16, 16, 1), dtype="float32")
MAPS = RNG.random((4, 4, 4, 6), dtype="float32")


def design(**options):
    return PolarAndFlattenDesign(8, filters=(3, 4), hidden_units=5, dropout=0.0, **options)


def numpy(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize("channels", [1, 2])
def test_outputs_are_the_sum_of_both(channels):
    both = design(channels=channels)
    found = numpy(both([IMAGES, MAPS]))
    expected = numpy(both.polar(IMAGES)) + numpy(both.flat(MAPS))
    assert found.shape == (4, 8 * channels)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_map_is_read_by_both():
    both = design()
    expected = numpy(both([IMAGES, IMAGES]))
    np.testing.assert_allclose(numpy(both(IMAGES)), expected, atol=1e-6)


def test_the_last_map_may_be_a_vector():
    assert design()([IMAGES, MAPS[:, 0, 0]]).shape == (4, 8)


def test_three_maps_are_too_many():
    with pytest.raises(ValueError, match=r"one map, or a list of two. Received: 3"):
        design()([IMAGES, MAPS, MAPS])


def test_sees_what_another_task_predicts():
    both = design()
    both.conditioning = FiLM()
    prediction = RNG.random((4, 3), dtype="float32")
    first = numpy(both([[IMAGES, MAPS], prediction]))
    both.conditioning.set_weights([w + 1 for w in both.conditioning.get_weights()])
    other = numpy(both([[IMAGES, MAPS], prediction]))
    assert first.shape == (4, 8) and not np.allclose(first, other)


def test_config():
    both = design(num_radii=4, bottleneck=2, jitter=0.0, folds=2)
    again = PolarAndFlattenDesign.from_config(both.get_config())
    assert again.get_config() == both.get_config()


def tasks(**task):
    head = mtl.heads.OrientationHead(
        8, "polar_and_flatten", filters=(3, 4), hidden_units=5, dropout=0.0
    )
    return [
        mtl.Task("kind", mtl.heads.ClassificationHead(3)),
        mtl.Task("pose", head, **task),
    ]


def model(**task):
    return mtl.MultiTaskModel(mtl.backbones.ConvBackbone((16, 16, 1), (3, 4)), tasks(**task))


LABELS = {"kind": np.array([0, 1, 2, -1]), "pose": np.array([0, 7, -1, 3])}


class TestInAModel:
    @pytest.mark.parametrize("condition_on", [None, "kind"])
    def test_trains_and_is_saved(self, condition_on, tmp_path):
        made = model(condition_on=condition_on)
        made.compile("adam")
        before = made.get_weights()
        made.fit(IMAGES, LABELS, verbose=0)
        assert all(
            not np.array_equal(a, b) or not a.any()
            for a, b in zip(before, made.get_weights(), strict=True)
            if a.ndim > 1
        )
        made.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        for name, found in made.predict(IMAGES, verbose=0).items():
            np.testing.assert_allclose(found, loaded.predict(IMAGES, verbose=0)[name], atol=1e-6)

    def test_reads_the_image_and_the_last_map(self):
        made = model()
        head = made.tasks["pose"].head
        last = made.backbone.predict(IMAGES, verbose=0)
        last = list(last.values())[-1] if isinstance(last, dict) else last
        expected = numpy(head([IMAGES, last]))
        np.testing.assert_allclose(
            made.predict(IMAGES, verbose=0)["pose"], expected, rtol=1e-4, atol=1e-5
        )

    def test_a_task_may_name_one_map(self):
        made = model(feature="stage1")
        assert made.predict(IMAGES, verbose=0)["pose"].shape == (4, 8)

    def test_a_task_may_name_two(self):
        assert model(feature=("input", "stage1")).output["pose"].shape == (None, 8)


@pytest.mark.parametrize("condition_on", [None, "kind"])
def test_in_a_search_on_a_frozen_backbone(tmp_path, condition_on):
    x = RNG.random((24, 16, 16, 1), dtype="float32")
    y = {"kind": RNG.integers(3, size=24), "pose": RNG.integers(8, size=24)}
    result = mtl.search.search_heads(
        mtl.backbones.ConvBackbone((16, 16, 1), (3, 4), normalize=False),
        tasks(),
        "pose",
        ((x, y), (x, y)),
        candidates=[tasks()[1].head],
        settings={
            "feature": None,
            "gradient": "flow",
            "weight": 1.0,
            "condition_on": condition_on,
            "learning_rate": 1e-3,
        },
        tuner="random",
        max_trials=1,
        epochs=1,
        freeze_backbone=True,
        directory=tmp_path,
        verbose=0,
    )
    assert result.trials[0].status == "finished"
    images = result.best_model().evaluate(x, y, return_dict=True, verbose=0)
    assert images["pose_accuracy"] == pytest.approx(result.best_trial.score, abs=1e-6)
