"""ContrastiveHead: classes and an embedding, trained by a joint loss."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax, softmax
from small_models import small_backbone

import mtlkit as mtl
from mtlkit import space
from mtlkit.heads.contrastive import LOSSES, ContrastiveHead
from mtlkit.heads.designs.embedding import EmbeddingDesign
from mtlkit.losses.contrastive import ArcFace, NTXent, ProxyLoss, SoftTriple, SupervisedContrastive
from mtlkit.metrics import CircularMeanAbsoluteError
from mtlkit.metrics.sliced import SlicedMetric
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(8, 4, 4, 3)).astype("float32")
LABELS = np.array([0, 4, 2, -1, 0, 3, 2, 4])
SMALL = {"num_classes": 5, "embedding_dim": 4, "hidden_units": 6}


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("kwargs", "features", "units"),
        [
            ({}, MAPS, 9),
            (
                {"loss": "soft_triple", "classifier": "cosine", "bottleneck": 2, "dropout": 0.2},
                MAPS,
                24,
            ),
        ],
        ids=["supcon", "soft_triple-cosine"],
    )
    def test_head(self, kwargs, features, units):
        self.run_head_test(
            ContrastiveHead,
            {**SMALL, **kwargs},
            features,
            LABELS,
            bad_labels=[LABELS + 1, LABELS.astype("float32"), LABELS[:, None, None]],
            expected_output_shape=(8, units),
        )

    def test_channels_first(self):
        kwargs = {**SMALL, "loss": NTXent(0.5), "classifier": "prototype", "bottleneck": 2}
        first = {**kwargs, "data_format": "channels_first"}
        maps = np.moveaxis(MAPS, -1, 1)
        self.check_config(ContrastiveHead, first, maps)
        self.check_gradients(ContrastiveHead, first, maps)
        self.check_batch_sizes(ContrastiveHead, first, maps)
        heads = [ContrastiveHead(**kwargs), ContrastiveHead(**first)]
        expected = outputs_of(heads[0])
        outputs_of(heads[1], maps)
        heads[1].set_weights(heads[0].get_weights())
        np.testing.assert_allclose(outputs_of(heads[1], maps), expected, atol=1e-5)

    @pytest.mark.parametrize(
        "kwargs",
        [
            {"loss": "rank_n_contrast", "classifier": "cosine", "hidden_units": 0},
            {"loss": "proxy_anchor", "pooling": "attention", "layer_norm": False},
        ],
    )
    def test_loss_and_gradients(self, kwargs):
        kwargs = {**SMALL, **kwargs}
        self.check_gradients(ContrastiveHead, kwargs, MAPS)
        self.check_loss(ContrastiveHead, kwargs, MAPS, LABELS)
        self.check_saving(ContrastiveHead, kwargs, MAPS)

    def test_design(self):
        kwargs = {"num_classes": 5, "embedding_dim": 4, "proxies_per_class": 2}
        self.check_saving(EmbeddingDesign, kwargs, MAPS)
        self.check_symbolic_call(EmbeddingDesign, kwargs, MAPS, expected_output_shape=(8, 19))
        config = EmbeddingDesign(**kwargs).get_config()
        assert EmbeddingDesign.from_config(config).get_config() == config


def outputs_of(head, x=MAPS):
    return ops.convert_to_numpy(head(x))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classifier", ["linear", "cosine", "prototype"])
def test_every_loss_with_every_classifier(loss, classifier):
    """The loss is the cross-entropy and the weighted contrastive loss of labelled samples."""
    head = ContrastiveHead(**SMALL, loss=loss, classifier=classifier, loss_weight=0.3)
    outputs = outputs_of(head)
    logits, cosines, embedding = outputs[:, :5], outputs[:, 5:-4], outputs[:, -4:]
    of_proxies = isinstance(head.contrastive, ProxyLoss)
    assert cosines.shape[1] == (5 * head.contrastive.proxies_per_class if of_proxies else 0)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)

    labelled = LABELS >= 0
    by_sample = -log_softmax(logits.astype("float64"), axis=1)[np.arange(8), LABELS]
    other = float(head.contrastive(LABELS, cosines if of_proxies else embedding))
    expected = by_sample[labelled].mean() + 0.3 * other
    assert float(head.default_loss()(LABELS, outputs)) == pytest.approx(expected, rel=1e-4)
    assert np.isfinite(other)


def test_loss_weight_zero_is_the_cross_entropy():
    head = ContrastiveHead(**SMALL, loss_weight=0)
    outputs = outputs_of(head)
    expected = mtl.heads.ClassificationHead(5).default_loss()(LABELS, outputs[:, :5])
    assert float(head.default_loss()(LABELS, outputs)) == pytest.approx(float(expected), rel=1e-5)


def test_circular_losses_know_the_number_of_classes():
    assert ContrastiveHead(12, loss="soft_supcon").contrastive.num_bins == 12
    assert ContrastiveHead(12, loss="rank_n_contrast").contrastive.num_bins == 12


@pytest.mark.parametrize("loss", ["cosface", "soft_triple"])
def test_proxies_double_as_cosine_classifier(loss):
    head = ContrastiveHead(**SMALL, loss=loss, classifier="cosine")
    outputs = outputs_of(head)
    cosines = outputs[:, 5:-4].reshape(8, 5, -1)
    np.testing.assert_allclose(outputs[:, :5], 20 * cosines.max(axis=2), rtol=1e-5)
    assert np.abs(cosines).max() <= 1 + 1e-6


@pytest.mark.parametrize("classifier", ["linear", "prototype"])
def test_classifiers_read_the_embedding_before_it_is_scaled(classifier):
    head = ContrastiveHead(**SMALL, classifier=classifier)
    outputs = outputs_of(head)
    design = head.design
    raw = ops.convert_to_numpy(design.embedding(design.features(MAPS)))
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(outputs[:, 5:], unit, atol=1e-5)
    weights = [ops.convert_to_numpy(w) for w in design.read_logits.weights]
    if classifier == "linear":
        expected = raw @ weights[0] + weights[1]
    else:
        expected = -((raw[:, None] - weights[0]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(outputs[:, :5], expected, rtol=1e-4, atol=1e-5)


def test_bottleneck_is_a_1x1_convolution():
    head = ContrastiveHead(**SMALL, bottleneck=2)
    head.build((None, 4, 4, 3))
    kernel, bias = (ops.convert_to_numpy(w) for w in head.design.steps[0].weights)
    assert kernel.shape == (3, 2)
    found = ops.convert_to_numpy(head.design.steps[0](MAPS))
    expected = np.maximum(np.einsum("bhwc,cd->bhwd", MAPS, kernel) + bias, 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert head.design.steps[1](found).shape == (8, 4 * 4 * 2)


def test_place_for_what_another_task_predicts():
    """Between features and embedding, so that all outputs may depend on it."""

    class Shift(keras.layers.Layer):
        def call(self, inputs):
            features, condition = inputs
            return features + ops.sum(condition, axis=-1, keepdims=True)

        def compute_output_shape(self, input_shape):
            return input_shape[0]

    design = EmbeddingDesign(5, 4, proxies_per_class=1)
    design.conditioning = Shift()
    found = [design([MAPS, np.full((8, 2), value, "float32")]) for value in (0.0, 1.0)]
    plain, shifted = (ops.convert_to_numpy(outputs) for outputs in found)
    assert plain.shape == (8, 14) and np.all(np.ptp([plain, shifted], axis=0).max(axis=0) > 0)
    without = ops.convert_to_numpy(design.read(design.features(MAPS)))
    np.testing.assert_allclose(plain, without, atol=1e-6)


def test_decode_and_predictions():
    head = ContrastiveHead(**SMALL, loss="proxy_anchor")
    outputs = outputs_of(head)
    decoded = head.decode(outputs)
    probability = softmax(outputs[:, :5].astype("float64"), axis=1)
    np.testing.assert_array_equal(decoded["label"], outputs[:, :5].argmax(axis=1))
    np.testing.assert_allclose(decoded["probability"], probability, atol=1e-6)
    np.testing.assert_array_equal(decoded["embedding"], outputs[:, -4:])
    np.testing.assert_allclose(np.linalg.norm(decoded["embedding"], axis=1), 1, rtol=1e-5)
    found = ops.convert_to_numpy(head.predictions(ops.convert_to_tensor(outputs)))
    np.testing.assert_allclose(found, probability, atol=1e-6)


def test_metric_is_the_accuracy_of_labelled_samples():
    head = ContrastiveHead(**SMALL, loss="proxy_anchor")
    outputs = outputs_of(head) * np.array([1] * 5 + [1000] * 9)
    (metric,) = head.default_metrics()
    metric.update_state(LABELS, outputs)
    labelled = LABELS >= 0
    expected = np.mean(outputs[:, :5].argmax(axis=1)[labelled] == LABELS[labelled])
    assert float(ops.convert_to_numpy(metric.result())) == pytest.approx(expected)
    assert (metric.name, "max") == head.primary_metric
    metric.reset_state()
    metric.update_state(np.full(8, -1), outputs)
    assert np.isnan(float(ops.convert_to_numpy(metric.result())))


def test_in_a_multi_task_model():
    """Trained with partial labels; metrics of the user's own read the logits."""
    tasks = [
        mtl.Task(
            "identity",
            ContrastiveHead(4, embedding_dim=3, hidden_units=5, loss="soft_triple"),
            weight=2.0,
        ),
        mtl.Task(
            "orientation",
            ContrastiveHead(4, embedding_dim=3, hidden_units=5, loss="rank_n_contrast"),
            metrics=[SlicedMetric(CircularMeanAbsoluteError(4), 0, 4)],
        ),
    ]
    model = mtl.MultiTaskModel(small_backbone(), tasks)
    model.compile("adam")
    x = np.random.default_rng(1).random((20, 8, 8, 1)).astype("float32")
    y = {"identity": np.arange(20) % 4, "orientation": np.arange(20) // 5}
    y["identity"][::3] = -1
    history = model.fit(x, y, batch_size=8, verbose=0).history
    assert {"identity_loss", "identity_accuracy", "orientation_mae_degrees"} <= set(history)
    assert np.isfinite(history["loss"]).all()
    decoded = model.predict_tasks(x, verbose=0)["identity"]
    assert decoded["embedding"].shape == (20, 3) and decoded["probability"].shape == (20, 4)


def test_saved_and_loaded(tmp_path):
    inputs = keras.Input((4, 4, 3))
    head = ContrastiveHead(**SMALL, loss=SoftTriple(2, gamma=0.2), classifier="cosine")
    model = keras.Model(inputs, head(inputs))
    model.compile("adam", head.default_loss(), metrics=head.default_metrics())
    model.fit(MAPS, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(restored.predict(MAPS, verbose=0), model.predict(MAPS, verbose=0))
    one, two = (m.evaluate(MAPS, LABELS, verbose=0, return_dict=True) for m in (model, restored))
    assert one == pytest.approx(two, rel=1e-6)


def test_own_loss_keeps_its_arguments():
    head = ContrastiveHead(5, loss=SupervisedContrastive(0.2, pair_weights=np.eye(5)))
    restored = ContrastiveHead.from_config(head.get_config())
    assert restored.contrastive.get_config() == head.contrastive.get_config()
    assert ContrastiveHead(5, loss=ArcFace(10)).contrastive.margin == 10


@pytest.mark.parametrize("seed", range(4))
def test_search_space(seed):
    point = space.sample(ContrastiveHead.search_space(), np.random.default_rng(seed))
    head = ContrastiveHead(5, **point)
    assert np.isfinite(outputs_of(head)).all()
    config = head.get_config()
    assert {name: config[name] for name in point} == point
    assert set(point) == set(ContrastiveHead.search_space())


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_classes": 1}, r"num_classes >= 2\. Received: num_classes=1"),
        ({"embedding_dim": 1}, r"embedding_dim >= 2\. Received: embedding_dim=1"),
        ({"loss": "supercon"}, r"'supcon'.*or a BatchLoss\. Received: 'supercon'"),
        ({"loss": keras.losses.MeanSquaredError()}, "or a BatchLoss. Received: <.*mean_squared"),
        ({"loss": ["supcon"]}, "or a BatchLoss. Received:"),
        ({"classifier": "knn"}, r"'linear', 'cosine', 'prototype'.*Received: 'knn'"),
        ({"loss_weight": -1}, r"loss_weight >= 0\. Received: loss_weight=-1"),
        ({"pooling": "median"}, r"'average', 'max'.*Received: 'median'"),
        ({"bottleneck": -1}, r"bottleneck >= 0\. Received: bottleneck=-1"),
        ({"hidden_units": -1}, r"hidden_units >= 0\. Received: hidden_units=-1"),
        ({"dropout": 1.5}, "1.5"),
        ({"data_format": "last"}, r"Received: data_format='last'"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveHead(**{"num_classes": 3, **kwargs})


def test_layer_norm_of_a_single_feature_is_refused():
    with pytest.raises(ValueError, match=r"at least two features.*\(2, 4, 4, 1\)"):
        ContrastiveHead(3, pooling="average")(np.ones((2, 4, 4, 1), "float32"))


class TestSlicedMetric:
    def test_errors(self):
        with pytest.raises(ValueError, match=r"keras.metrics.Metric. Received: metric='mse'"):
            SlicedMetric("mse", 0, 2)
        with pytest.raises(ValueError, match="start=2, stop=2"):
            SlicedMetric(keras.metrics.MeanSquaredError(), 2, 2)

    def test_of_the_slice(self):
        metric = SlicedMetric(keras.metrics.MeanSquaredError(), 1, 3, name="mine")
        y, outputs = np.ones((2, 2)), np.array([[9.0, 1, 3], [9.0, 1, 1]])
        metric.update_state(y, outputs, sample_weight=np.array([1.0, 3.0]))
        assert float(ops.convert_to_numpy(metric.result())) == pytest.approx(0.5)
        restored = SlicedMetric.from_config(metric.get_config())
        assert (restored.name, restored.start, restored.stop) == ("mine", 1, 3)
        assert type(restored.metric) is keras.metrics.MeanSquaredError
        metric.reset_state()
        assert float(ops.convert_to_numpy(metric.result())) == 0


def test_metrics_of_ones_own_read_the_logits_alone():
    """Embedding and cosines are outputs, too, but no classes."""
    head = ContrastiveHead(3, embedding_dim=8, loss="cosface", hidden_units=4)
    task = mtl.Task("kind", head, metrics=["accuracy"])
    backbone = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Identity()])
    model = mtl.MultiTaskModel(backbone, [task])
    model.compile("sgd")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 4, 4, 2)).astype("float32"), rng.integers(3, size=32)
    found = model.evaluate(x, {"kind": y}, return_dict=True, verbose=0)["kind_accuracy"]
    expected = np.mean(model.predict_tasks(x, verbose=0)["kind"]["label"] == y)
    assert found == pytest.approx(expected)
