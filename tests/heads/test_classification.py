"""ClassificationHead: one class out of several."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax, softmax
from sklearn.metrics import accuracy_score

from mtlkit import space
from mtlkit.heads import ClassificationHead
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(6, 4, 4, 3)).astype("float32")
LABELS = np.array([0, 4, 2, -1, 1, 3])
SMALL = {"num_classes": 5, "hidden_units": 6}


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("kwargs", "features"),
        [
            ({}, MAPS),
            ({"pooling": "attention", "dropout": 0.2}, MAPS),
            ({"pooling": "flatten", "data_format": "channels_first"}, np.moveaxis(MAPS, -1, 1)),
            ({"hidden_units": 0}, MAPS[:, 0, 0]),
        ],
        ids=["average", "attention", "flatten-channels_first", "vectors"],
    )
    def test_head(self, kwargs, features):
        self.run_head_test(
            ClassificationHead,
            {**SMALL, **kwargs},
            features,
            LABELS,
            bad_labels=[LABELS + 1, LABELS.astype("float32"), LABELS[:, None, None]],
            expected_output_shape=(6, 5),
        )


def test_loss_is_the_cross_entropy_of_labelled_samples():
    logits = RNG.normal(size=(6, 5)).astype("float32")
    labelled = LABELS >= 0
    by_sample = -log_softmax(logits, axis=1)[np.arange(6), LABELS]
    loss = ClassificationHead(5).default_loss()
    for y in (LABELS, LABELS[:, None]):
        assert float(loss(y, logits)) == pytest.approx(by_sample[labelled].mean(), rel=1e-5)


def test_loss_at_chance():
    head = ClassificationHead(10)
    assert float(head.default_loss()(np.arange(10), np.zeros((10, 10)))) == pytest.approx(
        np.log(10)
    )


def test_metric_is_the_accuracy_of_labelled_samples():
    logits = RNG.normal(size=(6, 5)).astype("float32")
    head = ClassificationHead(5)
    (metric,) = head.default_metrics()
    metric.update_state(LABELS, logits)
    labelled = LABELS >= 0
    expected = accuracy_score(LABELS[labelled], logits[labelled].argmax(axis=1))
    assert float(ops.convert_to_numpy(metric.result())) == pytest.approx(expected)
    assert (metric.name, "max") == head.primary_metric == ("accuracy", "max")
    assert head.default_metrics()[0] is not metric


def test_decode():
    logits = (RNG.normal(size=(6, 5)) * 30).astype("float32")
    decoded = ClassificationHead(5).decode(logits)
    np.testing.assert_array_equal(decoded["label"], logits.argmax(axis=1))
    expected = softmax(logits.astype("float64"), axis=1)
    np.testing.assert_allclose(decoded["probability"], expected, rtol=1e-4, atol=1e-7)
    assert decoded["label"].dtype == "int64" and decoded["probability"].dtype == "float32"


def test_decode_of_extreme_logits():
    probability = ClassificationHead(2).decode(np.array([[1e4, -1e4], [7e4, 7e4]]))["probability"]
    np.testing.assert_array_equal(probability, [[1, 0], [0.5, 0.5]])


def outputs(head, x):
    return ops.convert_to_numpy(head(x))


@pytest.mark.parametrize("pooling", ["average", "max", "flatten"])
def test_positions_matter_to_flatten_only(pooling):
    head = ClassificationHead(5, pooling=pooling)
    expected, turned = outputs(head, MAPS), outputs(head, MAPS[:, ::-1])
    assert np.allclose(expected, turned, atol=1e-4) == (pooling != "flatten")


@pytest.mark.parametrize("layer_norm", [True, False])
def test_layer_norm_makes_contrast_matter_less(layer_norm):
    head = ClassificationHead(5, layer_norm=layer_norm)
    x = 100 * MAPS  # so that the epsilon of the normalisation does not count
    same = np.allclose(outputs(head, 3 * x + 50), outputs(head, x), atol=1e-3)
    assert same == layer_norm


@pytest.mark.parametrize("seed", range(3))
def test_search_space(seed):
    point = space.sample(ClassificationHead.search_space(), np.random.default_rng(seed))
    head = ClassificationHead(5, **point)
    assert np.isfinite(outputs(head, MAPS)).all()
    config = head.get_config()
    assert {name: config[name] for name in point} == point


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_classes": 1}, r"num_classes >= 2\. Received: num_classes=1"),
        ({"num_classes": 3, "pooling": "median"}, r"'average', 'max'.*Received: 'median'"),
        ({"num_classes": 3, "hidden_units": -1}, r"hidden_units >= 0\. Received: hidden_units=-1"),
        ({"num_classes": 3, "dropout": 1.5}, "1.5"),
        ({"num_classes": 3, "data_format": "last"}, r"Received: data_format='last'"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ClassificationHead(**kwargs)


def test_defaults_follow_keras():
    keras.config.set_image_data_format("channels_first")
    head = ClassificationHead(3)
    keras.config.set_image_data_format("channels_last")
    assert head.get_config()["data_format"] == "channels_first"
    with_map = ClassificationHead(3, pooling="average")
    assert with_map.get_config()["data_format"] == "channels_last"


def test_layer_norm_of_a_single_feature_is_refused():
    """It would be the same constant for every image."""
    with pytest.raises(ValueError, match=r"at least two features.*\(2, 4, 4, 1\)"):
        ClassificationHead(3)(np.ones((2, 4, 4, 1), "float32"))
    assert ClassificationHead(3, layer_norm=False)(np.ones((2, 4, 4, 1), "float32")).shape == (2, 3)
