"""Objects at poses that count from a front of each object's own."""

import numpy as np

POSES, OBJECTS, BACKGROUNDS = 8, 40, 10


def objects_and_poses(samples=800, seed=0):
    """Images, the pose of each object from its own front, and which object it is."""
    rng = np.random.default_rng(seed)
    kind, pose = rng.integers(OBJECTS, size=samples), rng.integers(POSES, size=samples)
    x = rng.random((samples, 16, 16, 1), dtype="float32")
    x[:, :, 8:] += rng.random((OBJECTS, 16, 8, 1), dtype="float32")[kind]
    x[np.arange(samples), 2 * pose, :8] += 1
    # What lies behind makes images of one object and pose unlike each other.
    behind = rng.random((BACKGROUNDS, 16, 16, 1), dtype="float32")
    x += np.tensordot(0.2 * rng.normal(size=(samples, BACKGROUNDS)), behind, 1).astype("float32")
    front = rng.integers(POSES, size=OBJECTS)
    return x, (pose + front[kind]) % POSES, kind
