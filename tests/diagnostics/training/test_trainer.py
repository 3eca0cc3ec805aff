"""Training copies for a counted number of steps."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from small_models import small_model

from mtlkit.diagnostics._training.copies import compiled, weights_of
from mtlkit.diagnostics._training.trainer import Trainer
from mtlkit.model._outputs import outputs_of

pytestmark = pytest.mark.every_backend


@pytest.fixture
def trainer(images, labels):
    model = small_model(intensity={"gradient": "stop"})
    return Trainer(compiled(model, keras.optimizers.Adam(1e-2)), images, labels)


def test_equal_starts_train_equally(trainer):
    first = weights_of(trainer.model)
    trainer.run(3, seed=1)
    trained = weights_of(trainer.model)
    trainer.restart()
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(trainer.model), first, strict=True))
    assert int(trainer.model.optimizer.iterations) == 0
    trainer.run(3, seed=1)
    assert all(
        np.allclose(a, b, atol=1e-6)
        for a, b in zip(weights_of(trainer.model), trained, strict=True)
    )
    assert any(not np.array_equal(a, b) for a, b in zip(first, trained, strict=True))


def test_measuring_a_step_changes_nothing(trainer):
    before = weights_of(trainer.model)
    assert trainer.seconds > 0
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(trainer.model), before, strict=True))
    epoch = trainer.steps_of_epoch
    assert trainer.affordable(trainer.seconds * (4 * epoch + 0.5), epochs=8) == 4 * epoch
    assert trainer.affordable(trainer.seconds * (4 * epoch - 0.5), epochs=8) == 2 * epoch
    assert trainer.affordable(1e9, epochs=2) == 2 * trainer.steps_of_epoch
    assert trainer.affordable(-1, epochs=2) == 0


def test_the_rate_decays_and_is_put_back(trainer):
    trainer.run(2, seed=0, decay=True)
    assert np.isclose(float(trainer.model.optimizer.learning_rate), 1e-2)


def test_outputs_do_not_depend_on_batches(images):
    model = small_model()
    many = np.concatenate([images] * 7)  # more than a batch, and not a multiple of it
    found = outputs_of(model, many)
    wanted = model.predict(many, verbose=0)
    for name in model.tasks:
        assert np.allclose(found[name], wanted[name], atol=1e-5)


def test_smaller_batches_and_a_look_on_the_way(images, labels):
    model = compiled(small_model(intensity={"gradient": "stop"}), keras.optimizers.Adam(1e-2))
    trainer = Trainer(model, images, labels, batch=4)
    assert trainer.steps_of_epoch == len(images) // 4
    seen = []
    trainer.run(3, seed=0, after={2: lambda: seen.append(int(model.optimizer.iterations))})
    assert seen == [2] and int(model.optimizer.iterations) == 3
