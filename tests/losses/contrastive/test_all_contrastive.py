"""What holds for every contrastive loss: its formula, missing labels, weights, extremes."""

import json

import contrastive_reference as reference
import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.losses import MaskedLoss
from mtlkit.losses.contrastive import (
    ArcFace,
    ContrastiveCrossEntropy,
    CosFace,
    MultiSimilarity,
    NormFace,
    NTXent,
    ProxyAnchor,
    RankNContrast,
    SoftTriple,
    SupervisedContrastive,
    TripletSemiHard,
)
from mtlkit.testing import input_gradients

BINS = 8
RNG = np.random.default_rng(0)
EMBEDDINGS = RNG.normal(size=(12, 8)).astype("float32")
COSINES = RNG.uniform(-1, 1, size=(12, BINS)).astype("float32")
MANY_COSINES = RNG.uniform(-1, 1, size=(12, 3 * BINS)).astype("float32")
#: One class has a single sample, and not all classes are there.
LABELS = np.array([0, 1, 1, 0, 2, 5, 5, 7, 0, 7, 1, 5])
WEIGHTS = RNG.uniform(0.2, 3, size=12).astype("float32")
LIKENESS = RNG.random((BINS, BINS))


def likeness(of):
    return lambda z, y, w: reference.supcon(z, y, w, of)


def cross_entropy_and_nt_xent(outputs, y, w):
    logits, embeddings = outputs[:, :BINS], outputs[:, BINS:]
    return reference.softmax_loss(logits, y, w) + 0.3 * reference.nt_xent(embeddings, y, w)


#: By name: the loss, outputs for it, and the reference.
CASES = {
    "supcon": (SupervisedContrastive(), EMBEDDINGS, likeness(lambda a, b: float(a == b))),
    "soft_supcon": (
        SupervisedContrastive(pair_weights="gaussian", width=1.5, num_bins=BINS),
        EMBEDDINGS,
        likeness(lambda a, b: np.exp(-(reference.circular(a, b, BINS) ** 2) / (2 * 1.5**2))),
    ),
    "linear_soft_supcon": (
        SupervisedContrastive(pair_weights="gaussian"),
        EMBEDDINGS,
        likeness(lambda a, b: np.exp(-((a - b) ** 2) / 2)),
    ),
    "matrix_supcon": (
        SupervisedContrastive(pair_weights=LIKENESS),
        EMBEDDINGS,
        likeness(lambda a, b: LIKENESS[a, b]),
    ),
    "nt_xent": (NTXent(), EMBEDDINGS, reference.nt_xent),
    "triplet": (TripletSemiHard(), EMBEDDINGS, reference.triplet),
    "multi_similarity": (MultiSimilarity(), EMBEDDINGS, reference.multi_similarity),
    "rank_n_contrast": (
        RankNContrast(num_bins=BINS),
        EMBEDDINGS,
        lambda z, y, w: reference.rank_n_contrast(
            z, y, w, lambda a, b: reference.circular(a, b, BINS)
        ),
    ),
    "linear_rank_n_contrast": (
        RankNContrast(),
        EMBEDDINGS,
        lambda z, y, w: reference.rank_n_contrast(z, y, w, lambda a, b: abs(a - b)),
    ),
    "norm_face": (
        NormFace(),
        COSINES,
        lambda s, y, w: reference.softmax_loss(s / 0.05, y, w),
    ),
    "cos_face": (CosFace(), COSINES, reference.cos_face),
    "arc_face": (ArcFace(), COSINES, reference.arc_face),
    "proxy_anchor": (ProxyAnchor(), COSINES, reference.proxy_anchor),
    "soft_triple": (SoftTriple(), MANY_COSINES, reference.soft_triple),
    "joint": (
        ContrastiveCrossEntropy(BINS, NTXent(), start=BINS, stop=BINS + 8, loss_weight=0.3),
        np.concatenate([COSINES, EMBEDDINGS], axis=1),
        cross_entropy_and_nt_xent,
    ),
}
#: The losses that compare samples with each other.
PAIRED = [name for name, (_, outputs, _) in CASES.items() if outputs is EMBEDDINGS]

every_loss = pytest.mark.parametrize("name", CASES)
PRESENT = np.array([True, False, True, True, True, True, False, True, True, True, True, True])


def value_of(loss, y, outputs, **kwargs):
    value = loss(y, outputs, **kwargs)
    assert keras.backend.standardize_dtype(value.dtype) == "float32" and value.shape == ()
    return float(ops.convert_to_numpy(value))


def gradient_of(loss, y, outputs, **kwargs):
    return input_gradients(lambda p: loss(y, p, **kwargs), outputs)


def partly(y, present=PRESENT):
    return np.where(present, y, -1)


@every_loss
def test_reference(name):
    loss, outputs, formula = CASES[name]
    expected = formula(outputs.astype("float64"), LABELS, np.ones(12))
    assert expected > 0
    assert value_of(loss, LABELS, outputs) == pytest.approx(expected, rel=1e-5)


@every_loss
def test_reference_with_weights_of_the_labelled_samples(name):
    """Weights multiply the anchors' terms; their number, not their sum, is divided by."""
    loss, outputs, formula = CASES[name]
    expected = formula(
        outputs[PRESENT].astype("float64"), LABELS[PRESENT], WEIGHTS[PRESENT].astype("float64")
    )
    for weight in (WEIGHTS, WEIGHTS[:, None], np.where(PRESENT, WEIGHTS, np.nan)):
        value = value_of(loss, partly(LABELS), outputs, sample_weight=weight)
        assert value == pytest.approx(expected, rel=1e-5)


@every_loss
def test_zero_weight_is_no_anchor_but_still_counts(name):
    loss, outputs, formula = CASES[name]
    weight = np.where(np.arange(12) % 3 == 0, 0.0, 1.0)
    expected = formula(outputs.astype("float64"), LABELS, weight)
    value = value_of(loss, LABELS, outputs, sample_weight=weight)
    assert value == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(gradient_of(loss, LABELS, outputs, sample_weight=weight)).all()


@every_loss
def test_an_unlabelled_sample_is_an_absent_one(name):
    """In value and gradient, whatever its outputs are."""
    loss, outputs, _ = CASES[name]
    value = value_of(loss, LABELS[PRESENT], outputs[PRESENT])
    expected = np.zeros_like(outputs)
    expected[PRESENT] = gradient_of(loss, LABELS[PRESENT], outputs[PRESENT])
    assert np.abs(expected).max() > 1e-3
    broken = np.where(PRESENT[:, None], outputs, np.nan).astype("float32")
    for given in (outputs, np.where(PRESENT[:, None], outputs, 1e6), broken):
        assert value_of(loss, partly(LABELS), given) == pytest.approx(value, rel=1e-5)
        gradient = gradient_of(loss, partly(LABELS), given)
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
        assert not gradient[~PRESENT].any()


@every_loss
def test_gradient_is_that_of_finite_differences(name):
    loss, outputs, formula = CASES[name]
    direction = np.random.default_rng(3).normal(size=outputs.shape)
    gradient = gradient_of(loss, LABELS, outputs).astype("float64")
    step = 1e-5 * direction
    ahead, behind = (
        formula(outputs.astype("float64") + sign * step, LABELS, np.ones(12)) for sign in (1, -1)
    )
    expected = (ahead - behind) / 2e-5
    assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-3, abs=1e-4)


@every_loss
def test_nothing_labelled(name):
    loss, outputs, _ = CASES[name]
    for y, given in ((np.full(12, -1), outputs), (np.full((12, 1), -1), outputs * np.inf)):
        assert value_of(loss, y, given, sample_weight=WEIGHTS) == 0
        gradient = gradient_of(loss, y, given, sample_weight=WEIGHTS)
        np.testing.assert_array_equal(gradient, np.zeros_like(outputs))


@pytest.mark.parametrize("name", PAIRED)
def test_a_sample_alone(name):
    loss, outputs, _ = CASES[name]
    y = np.where(np.arange(12) == 3, 0, -1)
    for labels, given in ((y, outputs), (np.array([2]), outputs[:1])):
        assert value_of(loss, labels, given) == 0
        np.testing.assert_array_equal(gradient_of(loss, labels, given), np.zeros_like(given))


@pytest.mark.parametrize("name", ["supcon", "nt_xent", "triplet"])
def test_no_positive_at_all(name):
    """Where the published code says NaN: exactly zero, with zero gradient."""
    loss = CASES[name][0]
    assert value_of(loss, np.arange(12), EMBEDDINGS) == 0
    gradient = gradient_of(loss, np.arange(12), EMBEDDINGS)
    np.testing.assert_array_equal(gradient, np.zeros_like(EMBEDDINGS))


@every_loss
@pytest.mark.parametrize("outputs", ["zeros", "equal", "tiny", "classes"])
def test_collapse_is_finite(name, outputs):
    loss, given, _ = CASES[name]
    given = {
        "zeros": np.zeros_like(given),
        "equal": np.repeat(given[:1], 12, axis=0),
        "tiny": given * 1e-20,
        "classes": given[LABELS],
    }[outputs].astype("float32")
    assert np.isfinite(value_of(loss, LABELS, given))
    assert np.isfinite(gradient_of(loss, LABELS, given)).all()


@every_loss
def test_order_of_samples_does_not_matter(name):
    loss, outputs, _ = CASES[name]
    order = np.random.default_rng(1).permutation(12)
    value = value_of(loss, LABELS, outputs)
    assert value_of(loss, LABELS[order], outputs[order]) == pytest.approx(value, rel=1e-5)


@every_loss
def test_bfloat16_is_computed_in_float32(name):
    loss, outputs, _ = CASES[name]
    half = ops.cast(outputs, "bfloat16")
    rounded = ops.convert_to_numpy(ops.cast(half, "float32"))
    value = value_of(loss, LABELS, rounded)
    assert value_of(loss, LABELS, half) == pytest.approx(value, rel=1e-6)


@every_loss
def test_shapes_and_types_of_labels(name):
    loss, outputs, _ = CASES[name]
    value = value_of(loss, partly(LABELS), outputs)
    for y in (partly(LABELS)[:, None], partly(LABELS).astype("int8")):
        assert value_of(loss, y, outputs) == pytest.approx(value, rel=1e-6)
    value = value_of(loss, LABELS, outputs)
    assert value_of(loss, LABELS.astype("uint8"), outputs) == pytest.approx(value, rel=1e-6)


@every_loss
def test_round_trip(name):
    loss, outputs, _ = CASES[name]
    for original in (loss, MaskedLoss(loss)):  # which leaves it alone
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(original)))
        restored = keras.saving.deserialize_keras_object(config)
        assert type(restored) is type(original) and restored.name == loss.name
        assert json.loads(json.dumps(keras.saving.serialize_keras_object(restored))) == config
        value = value_of(restored, LABELS, outputs)
        assert value == value_of(loss, LABELS, outputs)


def test_arguments_are_kept():
    for loss, _, _ in CASES.values():
        changed = {
            argument: 1.5 if isinstance(value, float) else value
            for argument, value in loss.get_config().items()
        }
        restored = type(loss).from_config(changed)
        assert restored.get_config() == changed
        assert all(getattr(restored, name) == 1.5 for name, v in changed.items() if v == 1.5)


def test_in_compiled_models_of_any_batch_size():
    """One compiled model with all losses: batches of two sizes agree with eager values."""
    names = [name for name in CASES if not name.startswith(("linear", "matrix"))]
    losses = {name: CASES[name][0] for name in names}
    losses["proxy_anchor"] = MaskedLoss(losses["proxy_anchor"])  # as in a MultiTaskModel
    inputs = keras.Input((4,))
    outputs = {
        name: keras.layers.Dense(CASES[name][1].shape[1], name=name)(inputs) for name in names
    }
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(1e-4), losses)
    x = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
    y = partly(LABELS)
    for size in (12, 10):
        model.reset_metrics()  # Keras 3.12 goes on averaging
        logs = model.test_on_batch(x[:size], dict.fromkeys(names, y[:size]), return_dict=True)
        eager = model(x[:size])
        for name in names:
            expected = value_of(CASES[name][0], y[:size], eager[name])
            assert float(logs[f"{name}_loss"]) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    history = model.fit(x, dict.fromkeys(names, y), batch_size=12, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for old, new in zip(before, model.trainable_weights, strict=True):
        new = ops.convert_to_numpy(new)
        assert np.isfinite(new).all() and np.any(new != old), "it does not train"


@pytest.mark.parametrize("name", [n for n in PAIRED if "rank" not in n])
def test_length_of_embeddings_does_not_matter(name):
    loss = CASES[name][0]
    value = value_of(loss, LABELS, EMBEDDINGS)
    lengths = np.random.default_rng(2).uniform(0.1, 20, size=(12, 1)).astype("float32")
    assert value_of(loss, LABELS, EMBEDDINGS * lengths) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("name", PAIRED)
def test_turning_the_embeddings_does_not_matter(name):
    loss = CASES[name][0]
    turn, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(8, 8)))
    turned = (EMBEDDINGS @ turn).astype("float32")
    value = value_of(loss, LABELS, EMBEDDINGS)
    assert value_of(loss, LABELS, turned) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("name", ["soft_supcon", "rank_n_contrast"])
def test_turning_circular_labels_does_not_matter(name):
    loss = CASES[name][0]
    value = value_of(loss, LABELS, EMBEDDINGS)
    turned = value_of(loss, (LABELS + 3) % BINS, EMBEDDINGS)
    assert turned == pytest.approx(value, rel=1e-5)
    along_a_line = CASES[f"linear_{name}"][0]
    value = value_of(along_a_line, LABELS, EMBEDDINGS)
    assert value_of(along_a_line, (LABELS + 3) % BINS, EMBEDDINGS) != pytest.approx(value, rel=1e-3)
