"""Why does a task of a model not learn?"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit._random_state import random_state_kept
from mtlkit.diagnostics._any_model import adopted
from mtlkit.diagnostics._checks import (
    check_budget,
    check_class_names,
    check_given,
    checked_labels,
    checked_pair,
    input_array,
)
from mtlkit.diagnostics._data_steps import Samples, data_steps, run_data_steps
from mtlkit.diagnostics._given_features import given_features, of_features
from mtlkit.diagnostics._kept import KeptEvidence, fingerprint
from mtlkit.diagnostics._labels import of_samples_and
from mtlkit.diagnostics._model_steps import (
    LEAST_WITH_TRAINING,
    MODEL_STEPS,
    ModelQuestion,
    run_model_steps,
)
from mtlkit.diagnostics._networks import of_networks
from mtlkit.diagnostics._preflight._problem import Problem
from mtlkit.diagnostics._steps import Steps
from mtlkit.diagnostics._training.copies import copy_of
from mtlkit.diagnostics._training.score import Score, bins_of, decoded_zeros, is_of_pixels
from mtlkit.diagnostics._wiring import of_problems
from mtlkit.diagnostics.audit import of_samples, report
from mtlkit.diagnostics.data_probes._skill_of_tasks import skill_of_model
from mtlkit.diagnostics.diagnosis import Diagnosis
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.preflight import preflight
from mtlkit.heads import OrientationHead
from mtlkit.metrics._labels import is_labelled
from mtlkit.model import MultiTaskModel
from mtlkit.model._data_checks import check_arrays
from mtlkit.references._inputs import one_array


@random_state_kept()
def diagnose(
    model: Any,
    x: Any,
    y: Any,
    task: str | None = None,
    *,
    validation_data: tuple[Any, Any] | None = None,
    features: Any = None,
    class_names: Sequence[str] | None = None,
    num_classes: int | None = None,
    x_high: Any = None,
    budget: float = 600.0,
    directory: str | os.PathLike[str] | None = None,
    seed: int = 0,
    verbose: int = 1,
) -> Diagnosis:
    """Finds out why a task does not learn: the data, the model, both, or neither.

    First `preflight` looks for what is wired wrong, and the data are looked at, as `audit` does.
    Then copies of the model are trained, each with one thing changed, and compared on held-out
    samples. The model itself is not changed. Do not give test data: the recommendations would be
    chosen by them. Ctrl-C ends it, and returns what was found so far.

    Args:
        model: A compiled and trained `mtlkit.MultiTaskModel` or `keras.Model`, which is adopted
            (see `MultiTaskModel.from_keras`); its tasks are named as its outputs.
        x: Inputs that it was trained on: images, columns, sequences or tokens; of a model with
            several inputs, all of them by name.
        y: Their labels by task; as `fit` takes them, of a Keras model.
        task: Name of the task. `None`: the only one.
        validation_data: `(x_val, y_val)`, which it was not trained on. `None`: a fifth of the
            data is set aside, and the model is trained anew on the rest for each comparison.
        features: Embeddings, such as those of a pretrained model, which are references of their
            own: a Keras model that makes them of `x`, an array `(samples, numbers)` for `x`, or
            two arrays, for `x` and `x_val`.
        class_names: Names of the classes, for the report.
        num_classes: Number of classes. `None`: that of the task's head.
        x_high: The same images at a higher resolution, if there are any.
        budget: CPU-seconds to spend, roughly. The data are looked at whatever that takes; a
            probe of the model needs 15 of those that are left then. Where they do not suffice,
            the probes of least value are left out, and the result says so. Where they are not
            all spent and a question is open, what would decide it is trained for longer.
        directory: A folder that keeps what was found; a diagnosis that was interrupted goes on
            with it, and one that has a larger budget runs what was left out. `None`: none.
        seed: Seed of everything that is drawn.
        verbose: 0: silent; 1: a line for each step.

    Returns:
        A `Diagnosis`.

    Raises:
        ValueError: If the model has no such task, is not compiled or cannot be copied, if
            inputs or labels do not fit it, if the budget is no finite number above 0, or if the
            directory holds evidence of another model or other data.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl

        rng = np.random.default_rng(0)
        x, y = rng.random((120, 8, 8, 1), dtype="float32"), {"pose": rng.integers(4, size=120)}
        model = mtl.MultiTaskModel(
            mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 8)),
            [mtl.Task("pose", mtl.heads.OrientationHead(4, spatial="pool"))],
        )
        model.compile("adam")
        model.fit(x, y, verbose=0)
        found = mtl.diagnostics.diagnose(model, x, y, "pose", budget=10, verbose=0)
        print(found.verdict.sentence)
        ```
    """
    start = time.process_time()
    check_budget(budget)
    is_adopted = not isinstance(model, MultiTaskModel)
    model, by_task = adopted(model)
    task = _checked_task(model, task)
    y = by_task(y)
    x, images, measured = _checked(model, x, y, task, "")
    labels, others = checked_labels(measured, task, len(images))
    _check_fit(model, x, y, task, "training data")
    check_class_names(class_names, labels)
    held = None
    if validation_data is not None:
        x_val, y_val = checked_pair(validation_data)
        y_val = by_task(y_val)
        x_val, images_val, measured_val = _checked(model, x_val, y_val, task, "_val")
        held = images_val, measured_val
        _check_fit(model, x_val, y_val, task, "validation data")
        validation_data = x_val, y_val
    copy_of(model)  # raises, if it cannot be copied
    classes = _num_classes(model, task, labels) if num_classes is None else num_classes
    known = given_features(features, x, None if validation_data is None else validation_data[0])
    of_x = None if known is None else known[0]
    samples = Samples(images, labels, others, task, held, classes, x_high, of_x, seed)
    both = None if known is None or known[1] is None else (known[0], known[1])
    question = ModelQuestion(model, x, y, task, validation_data, both, seed)
    of = {} if directory is None else {**of_samples(samples), **_of_training(model, x, y)}
    kept = KeptEvidence(directory, of)
    plan = [(name,) for name, _ in data_steps(samples)] + [step.names for step in MODEL_STEPS]
    steps = Steps(kept, plan, start, budget, verbose)
    setup: dict[str, Any] = {"budget": budget, "left_out": []}
    if class_names is not None:
        setup["class_names"] = list(class_names)
    with steps.until_interrupted(setup):
        problems = _wired_wrong(model, x, y, seed, steps, setup)
        run_data_steps(steps, samples)
        setup["cpu_seconds_of_data"] = round(steps.spent, 1)
        if validation_data is not None:
            skill = skill_of_model(model, *validation_data, task)
            steps.note(*_of_users_model(steps.evidence, skill).values())
        if steps.evidence["signal"].found:
            run_model_steps(steps, question, setup)
            for more in (of_features, partial(of_problems, problems), partial(of_networks, seed)):
                steps.note(*more(steps.evidence).values())
    head = model.tasks[task].head
    circular = isinstance(head, OrientationHead) and head.circular
    return report(samples, steps, setup, circular, is_adopted)


def _of_training(model: Any, x: Any, y: Any) -> dict[str, str]:
    """Fingerprints of a model with its weights, and of what else than the samples it learns from.

    The samples have the backbone's inputs, and labels as the probes of the data take them.
    """
    more = x if isinstance(x, Mapping) else None
    return {
        "model": fingerprint(json.dumps(model.get_config(), default=str), model.get_weights()),
        "inputs or labels": fingerprint(more, dict(y)),
    }


def _wired_wrong(
    model: Any, x: Any, y: Mapping[str, Any], seed: int, steps: Steps, setup: dict[str, Any]
) -> tuple[Problem, ...]:
    """What `preflight` finds, which is kept in the setup; nothing where the budget is small."""
    if steps.left < LEAST_WITH_TRAINING:
        setup["left_out"].append("preflight")
        return ()
    labels = {name: np.asarray(one) for name, one in y.items() if name in model.tasks}
    with steps.named("preflight") as said:
        found = preflight(model, x, labels, seed=seed)
        said.append(f"{len(found.problems)} problems")
    setup["preflight"] = [problem.to_dict() for problem in found.problems]
    return found.problems


def _of_users_model(evidence: Mapping[str, Evidence], skill: Evidence) -> dict[str, Evidence]:
    """The skill of the model's tasks; and a signal that it sees is one that the images have."""
    if skill.status == "not_tested":
        return {}
    before = evidence.get("skill")
    by_reference = before.details.get("tasks", {}) if before else {}
    found = {"skill": replace(skill, details={**skill.details, "by_reference": by_reference})}
    signal = evidence["signal"]
    if skill.found and not signal.found:
        text = f"{signal.text} But the model predicts labels of samples that it has not seen."
        found["signal"] = replace(signal, status="found", text=text)
    return found


def _checked_task(model: Any, task: str | None) -> str:
    """The name of the task that is diagnosed."""
    if task is None and len(model.tasks) == 1:
        task = next(iter(model.tasks))
    if task is None or task not in model.tasks:
        raise ValueError(f"Expected a task out of {list(model.tasks)}. Received: task={task!r}")
    decoded = _decoded(model, task)
    if is_of_pixels(decoded):
        raise ValueError(
            f"Task {task!r}: expected a task with one class or value a sample. Received: a "
            f"{type(model.tasks[task].head).__name__}, with one for each pixel. Diagnose another "
            "task of the model; mtl.diagnostics.preflight(model, x, y) checks this one, too"
        )
    if "labels" in decoded:
        raise ValueError(
            f"Task {task!r}: expected a task with one class or value a sample. Received: a "
            f"{type(model.tasks[task].head).__name__}, with several labels a sample. Diagnose a "
            "model that has one of them as a task, with a mtlkit.heads.ClassificationHead(2)"
        )
    return task


def _checked(model: Any, x: Any, y: Any, task: str, suffix: str) -> tuple[Any, NDArray, Any]:
    """Inputs as arrays, the images among them, and labels as the probes of the data take them."""
    if not isinstance(y, Mapping):
        raise ValueError(
            f"Task {task!r}: expected y{suffix} as a dict by task, such as {{{task!r}: ...}}. "
            f"Received: {type(y).__name__}"
        )
    check_given(y, task, f"y{suffix}")
    if not isinstance(x, Mapping) and not hasattr(x, "shape"):
        x = np.asarray(x)
    images = input_array(one_array(_images(model, x, f"x{suffix}")), f"x{suffix}")
    labels = _as_values(model, of_samples_and(task, y))
    return x, images, _in_bins(labels, task, model.tasks[task].head)


def _images(model: Any, x: Any, what: str) -> Any:
    """What of the inputs the backbone sees; what else there is, heads are conditioned on."""
    try:
        return model._images(x)
    except KeyError as error:
        raise ValueError(
            f"Expected {what} with the backbone's input {error}. Received: inputs {list(x)}"
        ) from error


def _check_fit(model: Any, x: Any, y: Mapping[str, Any], task: str, what: str) -> None:
    """Checks inputs and labels as `fit` does, but for labels of no task, which are context."""
    labels = {name: np.asarray(one) for name, one in y.items() if name in model.tasks}
    check_arrays(x, labels, None, model.tasks, model.input, what)
    model.tasks[task].head.validate_labels(labels[task], task=task)  # whatever its loss


def _as_values(model: Any, y: Mapping[str, Any]) -> dict[str, Any]:
    """Integer labels as floats, where a task's head says values, or several labels: no classes."""
    found = dict(y)
    for name in found.keys() & model.tasks.keys():
        labels = np.asarray(found[name])
        if labels.dtype.kind in "iu" and labels.ndim and _says_values(model, name):
            found[name] = labels.astype("float64")
            found[name][~is_labelled(labels)] = np.nan
    return found


def _says_values(model: Any, task: str) -> bool:
    decoded = _decoded(model, task)
    return ("value" in decoded or "labels" in decoded) and "label" not in decoded


def _decoded(model: Any, task: str) -> Mapping[str, Any]:
    """What a task's head makes of some outputs."""
    return decoded_zeros(model.tasks[task].head, model.output[task].shape)


def _in_bins(y: Mapping[str, Any], task: str, head: Any) -> Mapping[str, Any]:
    """Labels in degrees as bins, which the probes of the data compare; others as they are."""
    if getattr(head, "labels", "bins") != "degrees":
        return y
    degrees = np.asarray(y[task])
    if degrees.dtype.kind != "f" or np.isinf(degrees).any():
        return y  # no angles, as checks will say
    bins = bins_of(degrees.astype("float64"), head.period, head.num_bins)
    return {**y, task: np.where(np.isnan(bins), -1, bins).astype("int64")}


def _num_classes(model: Any, task: str, labels: NDArray) -> int | None:
    """How many classes the task's head tells apart, if the labels are among them."""
    if labels.dtype.kind == "f":
        return None
    outputs = int(np.prod(model.output[task].shape[1:]))
    known = Score.of(model.tasks[task].head, outputs, labels).num_classes
    return known if labels.max() < known else None
