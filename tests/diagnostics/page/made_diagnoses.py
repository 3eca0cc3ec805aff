"""Diagnoses that were made up, with all the evidence that a page may show."""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlkit.diagnostics.diagnosis import Diagnosis, Recommendation
from mtlkit.diagnostics.evidence import Evidence, not_tested
from mtlkit.diagnostics.verdict import Cause, Verdict

NUM_CLASSES = 32
TWIN = NUM_CLASSES // 2


def confusion(seed: int = 0) -> np.ndarray:
    """Counts of classes on a circle, each taken for its neighbours and its twin."""
    rng = np.random.default_rng(seed)
    eye = np.eye(NUM_CLASSES)
    shares = 0.45 * eye + 0.2 * np.roll(eye, TWIN, axis=1)
    shares += 0.08 * (np.roll(eye, 1, axis=1) + np.roll(eye, -1, axis=1)) + 0.006
    return rng.poisson(120 * shares)


def gallery(seed: int = 0) -> np.ndarray:
    """Images of a bar at the angle of each class."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1:1:32j, -1:1:32j]
    images = []
    for number in range(NUM_CLASSES):
        angle = 2 * np.pi * number / NUM_CLASSES
        along = columns * np.cos(angle) + rows * np.sin(angle)
        across = rows * np.cos(angle) - columns * np.sin(angle)
        bar = (np.abs(across) < 0.15) & (np.abs(along) < 0.8)
        images.append(bar * (0.6 + 0.2 * along))
    images = np.array(images)[:, None, :, :, None] + 0.05 * rng.random((NUM_CLASSES, 4, 32, 32, 1))
    return images.clip(0, 1)


def evidence() -> dict[str, Evidence]:
    """One piece of evidence of each kind."""
    rng = np.random.default_rng(0)
    found = [
        Evidence(
            "signal",
            "found",
            "The inputs show something of the labels: accuracy of left-out samples 0.482, with "
            "permuted labels 0.031.",
            0.451,
            (0.445, 0.458),
            0.0,
            p_value=0.005,
            unit="accuracy",
            samples=8000,
            details={
                "score": 0.482,
                "null_scores": 0.0312 + 0.002 * rng.standard_normal(199),
                "chance": 1 / NUM_CLASSES,
            },
            seconds=11.2,
        ),
        Evidence(
            "skill",
            "absent",
            "orientation: accuracy 3.8 %, chance 3.1 %, by the model.",
            0.0072,
            (0.001, 0.014),
            0.0,
            0.1,
            unit="share of the way to perfection",
            samples=2000,
            details={"task": "orientation", "tasks": tasks(), "not_scored": {}},
            seconds=0.4,
        ),
        Evidence(
            "model_gap",
            "found",
            "A reference on the same images reaches accuracy 78.9 %; the model has 3.8 %.",
            0.775,
            (0.757, 0.793),
            0.0,
            0.079,
            unit="skill",
            samples=2000,
            details={
                "reference_skill": 0.782,
                "user_skill": 0.0072,
                "reference_score": 0.789,
                "user_score": 0.038,
                "baseline": 1 / NUM_CLASSES,
                "metric": "accuracy",
                "reference_rows": rng.random(2000),
                "inner_skill": {"polar": [0.1, 0.5, 0.75], "flatten": [0.1, 0.3, 0.5]},
            },
            seconds=71.0,
        ),
        *_of_the_model(),
        *_of_the_data(rng),
        not_tested("interference", "The budget of 600 CPU-seconds was used up; 150 are needed."),
    ]
    return {one.name: one for one in found}


def tasks() -> dict[str, Any]:
    """What the evidence of skill says of each task."""
    rows = [
        ("orientation", "accuracy", 0.038, (0.030, 0.047), 1 / NUM_CLASSES, "chance"),
        ("identity", "accuracy", 0.871, (0.855, 0.885), 0.1, "chance"),
        ("intensity", "mae", 0.031, (0.029, 0.033), 0.201, "best constant"),
    ]
    return {
        task: {
            "metric": metric,
            "score": score,
            "interval": ends,
            "baseline": baseline,
            "baseline_name": name,
            "samples": 2000,
            "by": "the model",
        }
        for task, metric, score, ends, baseline, name in rows
    }


def _of_the_model() -> list[Evidence]:
    shared: dict[str, Any] = {"unit": "skill", "samples": 2000, "null": 0.0, "threshold": 0.079}
    probes = {"input": 0.31, "stage1": 0.44, "stage2": 0.52, "map": 0.49, "average": 0.04}
    return [
        Evidence(
            "head_destroys_space",
            "found",
            "A head that keeps positions, trained on the frozen trunk, reaches accuracy 69.4 %, "
            "where the model has 3.8 %.",
            0.662,
            (0.641, 0.684),
            details={
                "gain": 0.662,
                "code": "...",
                "probes": probes,
                "scores": {"model": 0.0072, "polar head": 0.662, "flat head": 0.55}
                | {"reference": 0.782},
            },
            seconds=48.7,
            **shared,
        ),
        Evidence(
            "input_scale",
            "found",
            "With standardised input the same network reaches accuracy 47.9 %.",
            0.455,
            (0.43, 0.48),
            details={"scores": {"model": 0.0072, "standardised": 0.462, "reference": 0.782}},
            seconds=22.0,
            **shared,
        ),
        Evidence(
            "under_trained",
            "absent",
            "Trained for longer, the model reaches accuracy 4.0 %.",
            0.002,
            (-0.008, 0.012),
            details={"scores": {"model": 0.0072, "longer": 0.0095, "reference": 0.782}},
            seconds=18.3,
            **shared,
        ),
        Evidence("location", "found", "", details={"probes": probes}, unit="skill"),
        Evidence(
            "loss_starvation",
            "absent",
            "The task has 31 % of the trunk's gradient.",
            0.004,
            (-0.02, 0.03),
            details={"alone": [0.04, 0.05, 0.03], "together": [0.04, 0.03, 0.04]},
            seconds=96.0,
            **shared,
        ),
    ]


def _of_the_data(rng: np.random.Generator) -> list[Evidence]:
    shared: dict[str, Any] = {"unit": "accuracy", "samples": 8000, "null": 0.0, "seconds": 4.2}
    ranks = np.round(4000 * np.exp(-0.45 * np.arange(NUM_CLASSES)) + 2)
    ladder = {
        "share": [0.1, 0.25, 0.5, 0.75, 1.0],
        "self": [0.97, 0.93, 0.85, 0.72, 0.55],
        "partner": [0.01, 0.03, 0.08, 0.15, 0.3],
    }
    pairs = [[3, 19, 0.31], [7, 23, 0.28], [0, 16, 0.22], [1, 17, 0.2]]
    arms = {
        "image": [0.482, 0.471, 0.493],
        "true": [0.491, 0.480, 0.502],
        "predicted": [0.488, 0.477, 0.499],
        "shuffled": [0.480, 0.469, 0.491],
        "alone": [0.032, 0.028, 0.036],
    }
    looks = {
        "rot180": {"gain": 0.03, "interval": (0.02, 0.04), "status": "unclear"},
        "flip_horizontal": {"gain": 0.001, "interval": (-0.004, 0.006), "status": "absent"},
    }
    levels = np.linspace(0.03, 0.97, 12)
    return [
        Evidence(
            "uniform_noise",
            "absent",
            "At most 1.2 % of the labels are drawn at random.",
            0.004,
            (0.0, 0.012),
            threshold=0.02,
            details={"ranks": ranks, "expected_tail": 2.0},
            **{**shared, "unit": "share of the labels"},
        ),
        Evidence(
            "structured_noise",
            "absent",
            "Labels are not flipped between classes where the image is clear.",
            0.003,
            (0.0, 0.009),
            threshold=0.02,
            details={"pairs": pairs, "ladder": ladder},
            **shared,
        ),
        Evidence(
            "confusion",
            "found",
            "What the reference takes classes for.",
            details={"matrix": confusion()},
        ),
        Evidence(
            "gallery",
            "found",
            "Four images of each class.",
            details={"images": gallery(), "labels": [f"{n * 11.25:g}°" for n in range(32)]},
        ),
        Evidence(
            "symmetry",
            "unclear",
            "Whether half a turn makes twins cannot be told.",
            0.03,
            (0.02, 0.04),
            threshold=0.045,
            p_value=0.004,
            details={"transforms": looks},
            **shared,
        ),
        Evidence(
            "needs_context",
            "absent",
            "identity adds nothing that the image does not tell: the gain is 0.003.",
            0.003,
            (-0.004, 0.010),
            threshold=0.045,
            p_value=0.3,
            details={"arms": arms, "task": "identity"},
            **shared,
        ),
        Evidence(
            "too_little_data",
            "unclear",
            "With 4,000 samples the reference reaches 0.431, with 8,000 0.482; twice as many would "
            "bring about 4.6 points.",
            0.046,
            (0.018, 0.07),
            threshold=0.02,
            details={
                "samples": [1000, 2000, 4000, 8000],
                "scores": [0.29, 0.37, 0.431, 0.482],
                "low": [0.26, 0.35, 0.416, 0.471],
                "high": [0.32, 0.39, 0.446, 0.493],
                "doubling_gain": 0.046,
            },
            **shared,
        ),
        Evidence(
            "resolution",
            "absent",
            "Nothing is lost at half the resolution.",
            0.01,
            (0.0, 0.02),
            threshold=0.045,
            details={"sides": [8, 16, 32], "scores": [0.32, 0.472, 0.482]},
            **shared,
        ),
        Evidence(
            "imbalance",
            "absent",
            "The rarest class has 230 samples, the most frequent 274.",
            0.0,
            (-0.003, 0.003),
            threshold=0.02,
            details={"counts": rng.integers(230, 275, NUM_CLASSES), "ratio": 1.19},
            **shared,
        ),
        Evidence(
            "uncertainty",
            "absent",
            "The predictions are almost as uncertain as a guess.",
            0.012,
            (0.008, 0.019),
            null=0.009,
            unit="expected calibration error",
            samples=2000,
            details={
                "reliability": [
                    [c, 0.9 * c + 0.02, 10 + 400 * (1 - c) ** 2] for c in levels.tolist()
                ],
                "entropy": {
                    "quantiles": np.linspace(0, 1, 21) ** 0.5 * 4.6,
                    "total": 3.1,
                    "aleatoric": 2.7,
                    "epistemic": 0.4,
                },
                "share_of_a_guess": 0.62,
            },
            seconds=5.0,
        ),
        not_tested("label_leak", "There is no other task of classes."),
    ]


def verdict() -> Verdict:
    """A model-limited task."""
    return Verdict(
        "model",
        (
            Cause("head_destroys_space", 0.662, (0.641, 0.684)),
            Cause("input_scale", 0.455, (0.43, 0.48)),
        ),
        "The task orientation is limited by the model: its head averages positions away before "
        "they are read, and its inputs are not standardised. The images do tell the labels: a "
        "reference reaches 78.9 % where the model has 3.8 % (chance 3.1 %).",
    )


def recommendations() -> tuple[Recommendation, ...]:
    """Three, not ranked."""
    return (
        Recommendation("", "Collect more images, once the model is mended."),
        Recommendation(
            "input_scale",
            "Standardise the inputs in the backbone.",
            "backbone = mtl.backbones.ConvBackbone(input_shape, normalize=True)",
            0.455,
            (0.43, 0.48),
        ),
        Recommendation(
            "head_destroys_space",
            "Replace the pooled head by one that keeps positions.",
            'head = mtl.heads.OrientationHead(32, spatial="polar")\n'
            'model = model.with_head("orientation", head)\n'
            'model.compile("adam")',
            0.662,
            (0.641, 0.684),
        ),
    )


def setup() -> dict[str, Any]:
    """How it was made."""
    return {
        "seed": 0,
        "samples": 8000,
        "validation samples": 2000,
        "budget": 600,
        "cpu_seconds": 302.4,
        "dropped probes": ["interference"],
        "versions": {"mtlkit": "0.1.0", "keras": "3.15.0", "numpy": "2.3.0"},
    }


def full() -> Diagnosis:
    """A diagnosis with everything."""
    return Diagnosis("orientation", verdict(), evidence(), recommendations(), setup())
