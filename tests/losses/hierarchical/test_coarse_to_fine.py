"""Weights of levels, and their schedule."""

import keras
import numpy as np
import pytest
from keras import ops
from trees import TWO_LEVELS, UNEVEN

from mtlkit.losses.hierarchical import (
    CoarseToFineCrossEntropy,
    ConditionalCrossEntropy,
    LevelWeightSchedule,
    coarse_to_fine_stages,
)
from mtlkit.testing import input_gradients

LOGITS = np.random.default_rng(0).normal(size=(9, 9)).astype("float32")
NODES = np.arange(9)


def values(loss, labels=NODES):
    return ops.convert_to_numpy(loss.call(labels, LOGITS))


def test_the_last_level_alone_is_the_likelihood_of_classes():
    loss = CoarseToFineCrossEntropy(UNEVEN, [0, 0, 1])
    expected = values(ConditionalCrossEntropy(UNEVEN))
    expected[6:] = 0  # groups do not determine the last level
    np.testing.assert_allclose(values(loss), expected, rtol=1e-6)


def test_the_first_level_alone_touches_no_other():
    loss = CoarseToFineCrossEntropy(UNEVEN, [1, 0, 0])
    gradient = input_gradients(lambda x: loss(NODES, x), LOGITS)
    assert np.flatnonzero(gradient.any(axis=0)).tolist() == [5, 6, 7]
    parent = np.array([6, 6, 7, 7, 7, 5, 6, 7, 7])
    np.testing.assert_allclose(values(loss), values(ConditionalCrossEntropy(UNEVEN), parent),
                               rtol=1e-6)  # fmt: skip


def test_a_variable_acts_at_once():
    weights = keras.Variable([1.0, 0.0, 0.0], trainable=False)
    loss = CoarseToFineCrossEntropy(UNEVEN, weights)
    before = values(loss)
    weights.assign([0.0, 0.0, 1.0])
    np.testing.assert_array_equal(values(loss), values(CoarseToFineCrossEntropy(UNEVEN, [0, 0, 1])))
    assert not np.allclose(values(loss), before)
    assert loss.get_config()["level_weights"] == [0, 0, 1]


@pytest.mark.parametrize("weights", [[1, 0], [1, 0, 0, 0], [1, -1, 1], [0, 0, 0], [1, np.nan, 0]])
def test_errors(weights):
    with pytest.raises(ValueError, match="3 level_weights >= 0"):
        CoarseToFineCrossEntropy(UNEVEN, weights)
    with pytest.raises(ValueError, match="3 level_weights >= 0"):
        LevelWeightSchedule(keras.Variable([1.0, 0, 0]), {0: weights})


def test_errors_of_variables():
    with pytest.raises(ValueError, match=r"level_weights of shape \(2,\)"):
        CoarseToFineCrossEntropy(TWO_LEVELS, keras.Variable([1.0, 0, 0]))


class TestSchedule:
    def test_stages(self):
        variable = keras.Variable([1.0, 1.0], trainable=False)
        schedule = LevelWeightSchedule(variable, {8: [0.25, 0.75], 0: [1, 0], 18: [0, 1]})
        for epoch, expected in ((0, [1, 0]), (7, [1, 0]), (8, [0.25, 0.75]), (40, [0, 1])):
            schedule.on_epoch_begin(epoch)
            assert ops.convert_to_numpy(variable).tolist() == expected

    @pytest.mark.parametrize("stages", [{}, {1: [1, 0]}])
    def test_it_begins_at_zero(self, stages):
        with pytest.raises(ValueError, match="from epoch 0 on"):
            LevelWeightSchedule(keras.Variable([1.0, 1.0]), stages)

    @pytest.mark.parametrize(("levels", "epochs"), [(1, 2), (2, 4), (3, 60), (5, 10)])
    def test_made_stages(self, levels, epochs):
        stages = coarse_to_fine_stages(levels, epochs)
        assert min(stages) == 0 and list(stages) == sorted(stages)
        assert all(sum(weights) == pytest.approx(1) for weights in stages.values())
        *attending, last = stages.values()
        assert [int(np.argmax(weights)) for weights in attending] == list(range(len(attending)))
        assert last == (0,) * (levels - 1) + (1,)
        assert len(stages) == (1 if levels == 1 else levels + 1)

    def test_made_stages_need_epochs(self):
        with pytest.raises(ValueError, match="epochs=5"):
            coarse_to_fine_stages(3, 5)
