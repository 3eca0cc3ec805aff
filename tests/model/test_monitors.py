"""Callbacks that follow a task's log must say which way it improves."""

import warnings

import keras
import pytest
from small_models import small_model

from mtlkit.model._monitors import check_monitors

callbacks = keras.callbacks
DIRECTIONS = {"loss": "min", "pose_loss": "min", "pose_accuracy": "max", "pose_odd": None}


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [("val_pose_accuracy", '"max"'), ("pose_loss", '"min"'), ("val_pose_odd", '"max" or "min"')],
)
@pytest.mark.parametrize(
    "callback", [callbacks.EarlyStopping, callbacks.ReduceLROnPlateau, callbacks.ModelCheckpoint]
)
def test_without_a_mode(callback, monitor, mode):
    path = ["model.keras"] if callback is callbacks.ModelCheckpoint else []
    given = [callback(*path, monitor=monitor)]
    with pytest.raises(ValueError, match=rf"mode={mode}, since Keras.*{monitor}.*mode=\"auto\""):
        check_monitors(given, DIRECTIONS)


def test_a_wrong_mode():
    given = callbacks.EarlyStopping("val_pose_accuracy", mode="min")
    with pytest.warns(UserWarning, match="since 'val_pose_accuracy' is better the higher"):
        check_monitors(given, DIRECTIONS)


def test_what_is_right_passes():
    given = [
        callbacks.EarlyStopping("val_pose_accuracy", mode="max"),
        callbacks.EarlyStopping("val_loss"),
        callbacks.ReduceLROnPlateau("val_pose_odd", mode="min"),
        callbacks.EarlyStopping("a_log_of_another_callback"),
        callbacks.TerminateOnNaN(),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for one in (given, callbacks.CallbackList(given), None, []):
            check_monitors(one, DIRECTIONS)


def test_fit_says_so_before_training(images, labels):
    model = small_model(intensity={"metrics": ["mse", keras.metrics.R2Score(name="r2")]})
    model.compile("sgd")
    expected = {
        "val_identity_accuracy": "max",
        "val_orientation_accuracy_within_1": "max",
        "val_intensity_mse": "min",
        "intensity_r2": "max",
        "orientation_loss": "min",
    }
    for monitor, mode in expected.items():
        with pytest.raises(ValueError, match=f'mode="{mode}", since'):
            model.fit(images, labels, callbacks=callbacks.EarlyStopping(monitor), verbose=0)
    stop = callbacks.EarlyStopping("val_identity_accuracy", mode="max")
    model.fit(images, labels, validation_split=0.25, callbacks=[stop], verbose=0)
