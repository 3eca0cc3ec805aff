"""Objects at poses that count from a front of each object's own."""

import numpy as np

POSES, OBJECTS = 8, 40


def objects_and_poses(samples=800, seed=0):
    """Images, the pose of each object from its own front, and which object it is."""
    rng = np.random.default_rng(seed)
    kind, pose = rng.integers(OBJECTS, size=samples), rng.integers(POSES, size=samples)
    x = rng.random((samples, 16, 16, 1), dtype="float32")
    x[:, :, 8:] += rng.random((OBJECTS, 16, 8, 1), dtype="float32")[kind]
    x[np.arange(samples), 2 * pose, :8] += 1
    front = rng.integers(POSES, size=OBJECTS)
    return x, (pose + front[kind]) % POSES, kind
