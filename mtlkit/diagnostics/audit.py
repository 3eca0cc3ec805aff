"""The part of a diagnosis that needs no model: what is wrong with the data?"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from mtlkit._versions import versions
from mtlkit.diagnostics._checks import check_class_names, checked_labels, checked_pair, input_array
from mtlkit.diagnostics._data_steps import Samples, data_steps, run_data_steps
from mtlkit.diagnostics._kept import KeptEvidence, fingerprint
from mtlkit.diagnostics._labels import read_all, readers_of
from mtlkit.diagnostics._steps import Steps
from mtlkit.diagnostics.diagnosis import Diagnosis
from mtlkit.diagnostics.verdict import decide, reinterpreted
from mtlkit.diagnostics.verdict._recommendations import recommend


def audit(
    x: Any,
    y: Any,
    task: str,
    *,
    features: Any = None,
    class_names: Sequence[str] | None = None,
    validation_data: tuple[Any, Any] | None = None,
    num_classes: int | None = None,
    x_high: ArrayLike | None = None,
    directory: str | os.PathLike[str] | None = None,
    seed: int = 0,
    verbose: int = 1,
) -> Diagnosis:
    """Looks for causes in the data why a task does not learn; needs no model.

    Simple references of several kinds learn the task (see `mtlkit.references.Reference`), each
    judged on samples that it left out. The best one is the yardstick; what it says of the labels
    counts if a reference of another kind confirms it. It takes about a minute of CPU time for
    10,000 images of 32x32 pixels. Of more samples 10,000 are drawn; that labels slipped, and copies
    of validation samples, are looked for in all of them. Large images are looked at with 64 pixels
    a side. Ctrl-C ends it, and returns what was found so far.

    Args:
        x: Images of shape `(samples, height, width, channels)`, sequences `(samples, steps,
            values)`, columns of a table `(samples, columns)`, or integer tokens `(samples, steps)`.
        y: Labels by task, or those of the task alone: integers for classes (-1: unlabelled),
            floats for values (NaN: unlabelled), names or one-hot rows. Floats that count classes
            from 0 are read as classes. The other tasks are used as context, on the samples that
            have their labels.
        task: Name of the task.
        features: Embeddings of the samples, `(samples, numbers)`, such as those of a pretrained
            model, or a Keras model that makes them of `x`: references on them are tried, too.
        class_names: Names of the classes, for the report. `None`: as the labels have them.
        validation_data: `(x_val, y_val)`, to look for copies of training samples.
        num_classes: Number of classes. `None`: one more than the largest label.
        x_high: The same images at a higher resolution, if there are any.
        directory: A folder that keeps what was found; a diagnosis that was interrupted goes on
            with it. `None`: none.
        seed: Seed of everything that is drawn.
        verbose: 0: silent; 1: a line for each step.

    Returns:
        A `Diagnosis`. Its verdict is `"data"` with the causes, `"healthy"` where nothing was
        found in the data that holds the task back, or `"undetermined"`.

    Raises:
        ValueError: If inputs or labels have a wrong shape, are not finite, or are too few, or if
            the directory holds evidence of other ones.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl

        data = mtl.datasets.planted("clean", samples=500, num_bins=8)
        found = mtl.diagnostics.audit(data.x_train, data.y_train, "identity", verbose=0)
        print(found.verdict.sentence)
        ```
    """
    start = time.process_time()
    inputs = input_array(x)
    readers = readers_of(y, task)
    labels, others = checked_labels(read_all(y, task, readers), task, len(inputs))
    if validation_data is not None:
        x_val, y_val = checked_pair(validation_data)
        validation_data = x_val, read_all(y_val, task, readers)
    check_class_names(class_names, labels)
    samples = Samples(
        inputs, labels, others, task, validation_data, num_classes, x_high, features, seed
    )
    kept = KeptEvidence(directory, of_samples(samples) if directory is not None else {})
    steps = Steps(kept, [(name,) for name, _ in data_steps(samples)], start, verbose=verbose)
    names = readers[task].names if class_names is None else list(class_names)
    setup: dict[str, Any] = {"class_names": names} if names else {}
    with steps.until_interrupted(setup):
        run_data_steps(steps, samples)
    return report(samples, steps, setup)


def of_samples(samples: Samples) -> dict[str, str]:
    """Fingerprints of what is asked, and of which samples."""
    given = samples.features
    return {
        "x": fingerprint(samples.inputs),
        "y": fingerprint(samples.stored, samples.num_classes),
        "task": samples.task,
        "validation_data": fingerprint(samples.validation),
        "x_high": fingerprint(samples.x_high),
        "features": fingerprint(given.get_weights() if hasattr(given, "get_weights") else given),
        "seed": str(samples.seed),
    }


def report(
    samples: Samples,
    steps: Steps,
    setup: Mapping[str, Any],
    circular: bool | None = None,
    adopted: bool = False,
) -> Diagnosis:
    """Puts verdict and evidence together, with what is to be done and how it was found.

    Of `circular` and `adopted`, see `recommend`.
    """
    task, evidence = samples.task, reinterpreted(steps.evidence)
    made = {
        "seed": samples.seed,
        "samples": len(samples.inputs),
        "cpu_seconds": round(steps.spent, 1),
        **versions("scikit-learn"),
        **setup,
    }
    verdict = decide(evidence, task)
    advice = recommend(task, verdict, evidence, circular=circular, adopted=adopted)
    return Diagnosis(task, verdict, evidence, advice, made)
