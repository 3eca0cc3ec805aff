"""DenseHead: a class or values for each pixel, each of which may be without a label."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

import mtlkit as mtl
from mtlkit.heads import DenseHead
from mtlkit.heads.designs import PyramidDesign
from mtlkit.losses import MaskedLoss
from mtlkit.metrics import MaskedMetric
from mtlkit.testing import LayerTestCase, input_gradients

RNG = np.random.default_rng(0)
SMALL = {"channels": 4}
IMAGE = RNG.normal(size=(3, 9, 7, 2)).astype("float32")
FINE = RNG.normal(size=(3, 9, 7, 3)).astype("float32")
COARSE = RNG.normal(size=(3, 4, 3, 5)).astype("float32")
CLASSES = RNG.integers(3, size=(3, 9, 7))
VALUES = RNG.normal(5, 2, size=(3, 9, 7, 2)).astype("float32")
#: Some pixels without a label, and one image without any.
PARTIAL = np.where(RNG.random(CLASSES.shape) < 0.4, -1, CLASSES)
PARTIAL[1] = -1
PARTIAL_VALUES = np.where(PARTIAL[..., None] < 0, np.nan, VALUES).astype("float32")


def first(x):
    return np.moveaxis(x, -1, 1)


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("kwargs", "features", "size"),
        [
            ({"dropout": 0.2}, [IMAGE, FINE, COARSE], (9, 7)),
            ({"data_format": "channels_first"}, [first(IMAGE), first(COARSE)], (9, 7)),
        ],
        ids=["two-maps", "channels_first"],
    )
    def test_classes(self, kwargs, features, size):
        self.run_head_test(
            DenseHead,
            {"num_classes": 3, **SMALL, **kwargs},
            features,
            PARTIAL,
            bad_labels=[CLASSES + 1, CLASSES[:, 0], CLASSES.astype("float32"), CLASSES.astype(str)],
            expected_output_shape=(3, *size, 3),
            input_gradient=["none", *["flows"] * (len(features) - 1)],  # an image has but a size
        )

    def test_values(self):
        self.run_head_test(
            DenseHead,
            {"units": 2, **SMALL},
            FINE,
            PARTIAL_VALUES,
            bad_labels=[VALUES[..., 0], VALUES[:, 0], np.where(VALUES > 6, np.inf, VALUES)],
            expected_output_shape=(3, 9, 7, 2),
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either num_classes, for a class a pixel, or units"),
        ({"num_classes": 3, "units": 1}, "num_classes=3, units=1"),
        ({"num_classes": 1}, "num_classes >= 2"),
        ({"units": 0}, "units >= 1"),
        ({"num_classes": 2, "channels": 0}, "channels >= 1"),
        ({"units": 1, "standardize": 1}, "standardize to be True or False"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DenseHead(**arguments)


class TestLoss:
    logits = RNG.normal(size=(3, 9, 7, 3)).astype("float32")

    @pytest.mark.parametrize("weights", [None, np.array([1.0, 5.0, 0.5])])
    def test_mean_over_the_pixels_that_have_a_label(self, weights):
        by_class = -log_softmax(self.logits.astype("float64"), axis=-1)
        losses = np.take_along_axis(by_class, np.maximum(PARTIAL, 0)[..., None], -1)[..., 0]
        ones = np.ones(3) if weights is None else weights
        known = PARTIAL >= 0
        expected = (losses * known * ones[:, None, None]).sum() / known.sum()
        loss = DenseHead(num_classes=3).default_loss()
        for y in (PARTIAL, PARTIAL[..., None]):
            found = float(loss(y, self.logits, sample_weight=weights))
            assert found == pytest.approx(expected, rel=1e-5)

    def test_as_kerass_with_a_class_that_is_ignored(self):
        other = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
        own = DenseHead(num_classes=3).default_loss()
        expected = float(other(PARTIAL, self.logits))
        assert float(own(PARTIAL, self.logits)) == pytest.approx(expected, rel=1e-5)

    def test_values_are_standardised(self):
        head = DenseHead(units=2)
        head.adapt(PARTIAL_VALUES)
        outputs = RNG.normal(size=VALUES.shape).astype("float32")
        known = PARTIAL >= 0
        scale = VALUES[known].std(axis=0)
        expected = np.mean(np.abs(VALUES - outputs)[known] / scale)
        found = float(head.default_loss()(PARTIAL_VALUES, outputs))
        assert found == pytest.approx(expected, rel=1e-4)

    def test_a_pixel_with_a_part_of_its_values_has_no_label(self):
        loss = DenseHead(units=2, standardize=False).default_loss()
        y = np.array([[[[1.0, np.nan], [2.0, 4.0]]]])
        assert float(loss(y, np.zeros_like(y))) == 3

    def test_nothing_labelled_is_no_loss(self):
        loss = DenseHead(num_classes=3).default_loss()
        assert float(loss(np.full_like(CLASSES, -1), self.logits)) == 0
        values = DenseHead(units=2).default_loss()
        assert float(values(np.full_like(VALUES, np.nan), VALUES)) == 0

    def test_no_gradient_where_there_is_no_label(self):
        loss = DenseHead(num_classes=3).default_loss()
        gradient = input_gradients(lambda logits: loss(PARTIAL, logits), self.logits)
        there = np.abs(gradient).sum(axis=-1) > 0
        np.testing.assert_array_equal(there, PARTIAL >= 0)

    def test_a_loss_of_the_users_own(self):
        loss = DenseHead(units=2, standardize=False).training_loss("mean_squared_error")
        known = PARTIAL >= 0
        expected = np.mean(np.square(VALUES)[known])
        found = float(loss(PARTIAL_VALUES, np.zeros_like(VALUES)))
        assert found == pytest.approx(expected, rel=1e-5)

    def test_one_value_a_sample_is_refused(self):
        loss = MaskedLoss(lambda y, p: keras.ops.mean(p, axis=(1, 2, 3)), by_entry="classes")
        with pytest.raises(ValueError, match="one value for each pixel.*values of shape"):
            loss(PARTIAL, self.logits)

    def test_it_is_saved(self):
        head = DenseHead(units=2)
        head.adapt(VALUES)
        for loss, y in ((head.default_loss(), PARTIAL_VALUES),):
            config = keras.saving.serialize_keras_object(loss)
            again = keras.saving.deserialize_keras_object(config)
            assert float(again(y, VALUES + 1)) == pytest.approx(float(loss(y, VALUES + 1)))


class TestMetrics:
    logits = RNG.normal(size=(3, 9, 7, 3)).astype("float32")

    def scores(self, head, y, outputs, weights=None):
        found = {}
        for metric in head.default_metrics():
            for rows in ([0, 1], [2]):
                own = None if weights is None else weights[rows]
                metric.update_state(y[rows], outputs[rows], sample_weight=own)
            found[metric.name] = float(metric.result())
        return found

    def test_of_classes(self):
        found = self.scores(DenseHead(num_classes=3), PARTIAL, self.logits)
        known = PARTIAL >= 0
        true, predicted = PARTIAL[known], self.logits.argmax(-1)[known]
        overlap = [
            ((true == k) & (predicted == k)).sum() / ((true == k) | (predicted == k)).sum()
            for k in range(3)
        ]
        assert found["mean_iou"] == pytest.approx(np.mean(overlap), rel=1e-5)
        assert found["pixel_accuracy"] == pytest.approx(np.mean(true == predicted), rel=1e-5)

    def test_of_values(self):
        outputs = VALUES + RNG.normal(size=VALUES.shape).astype("float32")
        y = np.where(RNG.random(VALUES.shape[:3])[..., None] < 0.1, 0, PARTIAL_VALUES)
        found = self.scores(DenseHead(units=2), y, outputs)
        known = ~np.isnan(y).any(axis=-1)
        errors = np.abs(outputs - y)[known]
        assert found["mae"] == pytest.approx(errors.mean(), rel=1e-4)
        relative = errors[y[known] != 0] / np.abs(y[known][y[known] != 0])
        assert found["relative_error"] == pytest.approx(relative.mean(), rel=1e-4)

    def test_nothing_labelled_is_no_score(self):
        found = self.scores(DenseHead(num_classes=3), np.full_like(CLASSES, -1), self.logits)
        assert np.isnan(list(found.values())).all()

    def test_the_mask_and_the_metric_are_saved(self):
        metric = DenseHead(num_classes=3).default_metrics()[0]
        again = MaskedMetric.from_config(metric.get_config())
        for one in (metric, again):
            one.update_state(PARTIAL, self.logits)
        assert float(again.result()) == float(metric.result())


def test_decode():
    logits = RNG.normal(size=(2, 4, 5, 3)).astype("float32")
    decoded = DenseHead(num_classes=3).decode(logits)
    np.testing.assert_array_equal(decoded["label"], logits.argmax(-1))
    np.testing.assert_allclose(decoded["probability"], softmax(logits, -1), rtol=1e-5)
    assert DenseHead(units=1).decode(logits[..., :1])["value"].shape == (2, 4, 5)
    assert DenseHead(units=3).decode(logits)["value"].shape == (2, 4, 5, 3)


def test_what_another_task_sees():
    logits = RNG.normal(size=(2, 4, 5, 3)).astype("float32")
    shares = np.array(keras.ops.convert_to_numpy(DenseHead(num_classes=3).predictions(logits)))
    np.testing.assert_allclose(shares, softmax(logits, -1).mean(axis=(1, 2)), rtol=1e-5)
    head = DenseHead(units=3)
    head.adapt(logits)
    means = np.array(keras.ops.convert_to_numpy(head.predictions(logits)))
    mean, scale = logits.mean(axis=(0, 1, 2)), logits.std(axis=(0, 1, 2))
    np.testing.assert_allclose(means, (logits.mean(axis=(1, 2)) - mean) / scale, atol=1e-5)


class TestLabels:
    head = DenseHead(num_classes=3, **SMALL)
    head.build([(None, 9, 7, 2), (None, 4, 3, 5)])

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (np.eye(3, dtype=int)[CLASSES], r"one-hot labels .*y\.argmax\(axis=-1\)"),
            (np.where(CLASSES == 2, 255, CLASSES), r"Received: 255\. .*np\.where\(y == 255, -1"),
            (CLASSES > 1, r'dtype=bool\. Give y\.astype\("int64"\)'),
            (CLASSES[:, :4, :3], r"9 x 7 of them.*image\.resize\(y\[\.\.\., None\], \(9, 7\), "),
            (
                CLASSES[0, 0],
                r"of shape \(samples, height, width, 1\) or \(sam.*\)",
            ),
        ],
    )
    def test_errors(self, y, message):
        with pytest.raises(ValueError, match="Task 'mask': expected a class in 0...2 .*" + message):
            self.head.validate_labels(y, "mask")

    def test_the_cure_for_another_size(self):
        small = CLASSES[:, :4, :3].astype("int32")  # JAX has no other integers
        resized = keras.ops.image.resize(
            small[..., None], (9, 7), interpolation="nearest", data_format="channels_last"
        )
        self.head.validate_labels(np.array(keras.ops.convert_to_numpy(resized)))

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (VALUES, r"of shape \(samples, height, width, 1\) or"),
            (np.full((1, 2, 2), np.inf), r"np\.where\(np\.isinf\(y\), np\.nan, y\)"),
            (np.array([[[-1, -5]]]), "Give them as floating-point numbers"),
            (np.full((1, 2, 2), "a"), "dtype=<U1"),
        ],
    )
    def test_errors_of_values(self, y, message):
        with pytest.raises(ValueError, match=message):
            DenseHead(units=1).validate_labels(y, "depth")


class TestDesign:
    def test_the_order_of_maps_does_not_matter(self):
        fine_first, coarse_first = PyramidDesign(3, **SMALL), PyramidDesign(3, **SMALL)
        one = fine_first([IMAGE, FINE, COARSE])
        coarse_first.build([IMAGE.shape, COARSE.shape, FINE.shape])
        coarse_first.set_weights(fine_first.get_weights())
        other = coarse_first([IMAGE, COARSE, FINE])
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        )

    def test_a_vector_is_refused(self):
        with pytest.raises(ValueError, match=r"maps with two spatial axes.*shape \(None, 5\)"):
            PyramidDesign(3).build([(None, 8, 8, 3), (None, 5)])

    def test_images_of_any_size(self):
        image = keras.Input((None, None, 3))
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
        backbone = mtl.backbones.KerasBackbone(keras.Model(image, x))
        model = mtl.MultiTaskModel(backbone, [mtl.Task("mask", DenseHead(num_classes=2, **SMALL))])
        for size in ((16, 12), (13, 9)):
            images = np.ones((2, *size, 3), "float32")
            assert model.predict(images, verbose=0)["mask"].shape == (2, *size, 2)


@pytest.fixture(scope="module")
def scene():
    """Images of a bright square, its mask and its depth, which are known in part."""
    rng = np.random.default_rng(1)
    x = 0.1 * rng.random((64, 16, 16, 1)).astype("float32")
    mask = np.zeros((64, 16, 16), "int64")
    for image, square, (row, column) in zip(x, mask, rng.integers(2, 9, (64, 2)), strict=True):
        image[row : row + 5, column : column + 5] += 0.5
        square[row : row + 5, column : column + 5] = 1
    depth = np.where(mask, 2000.0, 5000.0)
    mask[:, :3] = -1
    depth[:40] = np.nan
    return x, mask, depth


@pytest.fixture(scope="module")
def trained(scene):
    x, mask, depth = scene
    keras.utils.set_random_seed(0)
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((16, 16, 1), filters=(8, 8)),
        [
            mtl.Task("mask", DenseHead(num_classes=2, channels=8)),
            mtl.Task("depth", DenseHead(units=1, channels=8)),
            mtl.Task("side", mtl.heads.ClassificationHead(2), condition_on="mask"),
        ],
    )
    model.compile(keras.optimizers.Adam(0.01))
    side = (np.arange(64) % 2).astype("int64")
    model.fit(x, {"mask": mask, "depth": depth, "side": side}, epochs=12, batch_size=16, verbose=0)
    return model


class TestInAModel:
    def test_it_reads_a_map_of_each_size_and_gives_the_images(self, trained):
        assert trained.output["mask"].shape == (None, 16, 16, 2)
        assert len(trained.tasks["mask"].head.design.laterals) == 2

    def test_it_learns(self, trained, scene):
        x, mask, _ = scene
        decoded = trained.predict_tasks(x, verbose=0)
        known = mask >= 0
        assert np.mean((decoded["mask"]["label"] == mask)[known]) > 0.97
        truth = np.where(mask[:, 3:] == 1, 2000.0, 5000.0)
        assert np.mean(np.abs(decoded["depth"]["value"][:, 3:] - truth)) < 500

    def test_it_is_saved(self, trained, scene, tmp_path):
        trained.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        one, other = (m.predict(scene[0][:4], verbose=0) for m in (trained, again))
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-5)

    def test_other_heads_in_its_place(self, trained):
        for changes in ({"feature": "stage2"}, {"feature": ["stage2", "stage1"]}):
            other = trained.with_head("mask", DenseHead(num_classes=4, **SMALL), **changes)
            assert other.output["mask"].shape == (None, 16, 16, 4)

    def test_a_backbone_of_columns_is_refused(self):
        with pytest.raises(ValueError, match="Task 'mask': expected a backbone that reads one"):
            mtl.MultiTaskModel(
                mtl.backbones.DenseBackbone(4), [mtl.Task("mask", DenseHead(num_classes=2))]
            )

    def test_conditioned_on_another_task(self, scene):
        x, mask, _ = scene
        tasks = [
            mtl.Task("side", mtl.heads.ClassificationHead(2)),
            mtl.Task("mask", DenseHead(num_classes=2, **SMALL), condition_on="side"),
        ]
        model = mtl.MultiTaskModel(mtl.backbones.ConvBackbone((16, 16, 1), filters=(4, 4)), tasks)
        model.compile("adam")
        history = model.fit(x, {"mask": mask, "side": np.zeros(64, int)}, verbose=0).history
        assert np.isfinite(history["loss"]).all()


def test_weights_of_classes_count_by_pixel():
    """A step with `class_weight` is a step by hand with a weight for each pixel."""
    keras.utils.set_random_seed(0)
    weight = {0: 0.5, 1: 3.0}
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((8, 8, 1), filters=(4,), normalize=False),
        [mtl.Task("mask", DenseHead(num_classes=2, **SMALL), class_weight=weight)],
    )
    model.compile(keras.optimizers.SGD(0.0))
    x = RNG.random((6, 8, 8, 1)).astype("float32")
    y = RNG.integers(-1, 2, (6, 8, 8))
    samples = np.array([1.0, 2.0, 0.5, 1.0, 1.0, 3.0], "float32")
    logits = model.predict(x, verbose=0)["mask"].astype("float64")
    found = model.fit(x, {"mask": y}, sample_weight=samples, verbose=0).history["mask_loss"][0]
    losses = -np.take_along_axis(log_softmax(logits, -1), np.maximum(y, 0)[..., None], -1)[..., 0]
    known = y >= 0
    weights = np.where(y == 1, 3.0, 0.5) * samples[:, None, None]
    assert found == pytest.approx((losses * weights * known).sum() / known.sum(), rel=1e-4)


def test_balanced_weights_count_pixels():
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((8, 8, 1), filters=(4,), normalize=False),
        [mtl.Task("mask", DenseHead(num_classes=2, **SMALL), class_weight="balanced")],
    )
    model.compile("adam")
    y = np.zeros((4, 8, 8), int)
    y[:, :2, :2], y[0] = 1, -1
    model.fit(np.zeros((4, 8, 8, 1), "float32"), {"mask": y}, verbose=0)
    found = keras.ops.convert_to_numpy(model._class_weights["mask"]._variable)
    # 192 pixels of three images, 12 of them of class 1
    np.testing.assert_allclose(found, [192 / 2 / 180, 192 / 2 / 12], rtol=1e-5)
