"""Losses and metrics of the user's own are tried before training."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import mtlkit as mtl


def model_of(**own):
    task = mtl.Task("orientation", mtl.heads.ClassificationHead(8), **own)
    model = mtl.MultiTaskModel(mtl.backbones.ConvBackbone((8, 8, 1), (4,)), task)
    model.compile("adam")
    return model


@pytest.mark.parametrize(
    ("own", "what", "argument"),
    [
        ({"loss": "mse"}, "loss 'mean_squared_error'", "loss"),
        ({"metrics": ["accuracy", "mse"]}, "metric 'mse'", "metrics"),
    ],
)
def test_what_fails_is_named_with_its_task(images, labels, own, what, argument):
    model = model_of(**own)
    before = [variable.numpy() for variable in model.trainable_variables]
    with pytest.raises(ValueError, match="Task 'orientation': expected a") as caught:
        model.fit(images, {"orientation": labels["orientation"]}, batch_size=16, verbose=0)
    text = str(caught.value)
    assert f"Received: {what}" in text and "labels of shape (16,)" in text
    assert "outputs of shape (16, 8)" in text and f"leave out {argument}=..." in text
    assert caught.value.__cause__ is not None
    after = [variable.numpy() for variable in model.trainable_variables]
    assert all(map(np.array_equal, before, after))


def test_a_metric_of_the_head_that_does_not_fit_the_loss(images):
    model = model_of(loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    rows = np.eye(8)[np.arange(len(images)) % 8]
    with pytest.raises(ValueError, match=r"comes with ClassificationHead; give .* metrics=\[\]"):
        model.fit(images, {"orientation": rows}, verbose=0)


def test_metrics_keep_nothing_of_the_trial(images, labels):
    seen = []

    class Counted(keras.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            return super().update_state(y_true * 0 + 1)

        def reset_state(self):
            seen.append(float(keras.ops.convert_to_numpy(self.count)))
            super().reset_state()

    model = model_of(metrics=[Counted(name="counted")])
    model.fit(images[:32], {"orientation": labels["orientation"][:32]}, epochs=2, verbose=0)
    assert seen[0] == 0 and seen[-1] == 32
