import numpy as np

import mtlkit as mtl


class Decoding:
    """A model that has predicted."""

    def __init__(self, heads, decoded):
        self.tasks = {task: mtl.Task(task, head) for task, head in heads.items()}
        self.decoded = decoded

    def predict_tasks(self, x, verbose):
        return self.decoded


def test_each_kind_of_labels_has_its_score():
    heads = {
        "kind": mtl.heads.ClassificationHead(2),
        "angle": mtl.heads.OrientationHead(4, labels="degrees"),
        "size": mtl.heads.RegressionHead(),
        "tags": mtl.heads.MultiLabelHead(2),
        "nothing": mtl.heads.ClassificationHead(2),
    }
    probability = np.full((4, 2), 0.5)
    decoded = {
        "kind": {"label": np.array([0, 1, 1, 1]), "probability": probability},
        "angle": {"label": np.array([0, 1, 0, 2]), "probability": np.full((4, 4), 0.25)},
        "size": {"value": np.array([1.0, 2.0, 3.0, 4.0])},
        "tags": {"labels": np.array([[0, 1]] * 4)},
        "nothing": {"label": np.zeros(4, int), "probability": probability},
    }
    y = {
        "kind": np.array([0, 1, 0, -1]),
        "angle": np.array([10.0, 80.0, 350.0, np.nan]),  # bins 0, 1, 0
        "size": np.array([1.0, 2.0, 3.0, 8.0]),
        "tags": np.array([[0, 1], [0, 0], [1, 1], [0, 1]]),
        "nothing": np.full(4, -1),
    }
    model = Decoding(heads, decoded)
    rows = mtl.reports.task_skills(model, None, y, {"size": np.array([2.0, 4.0])})
    found = {row.task: (row.metric, row.score) for row in rows}
    assert found == {
        "kind": ("accuracy", 2 / 3),
        "angle": ("accuracy", 1.0),
        "size": ("mae", 1.0),
        "tags": ("mae", 0.25),
    }
    by_task = {row.task: row for row in rows}
    assert by_task["size"].baseline == np.mean([2, 1, 0, 5]) and by_task["kind"].samples == 3
    assert by_task["tags"].baseline == 0.25  # the most frequent label of each column


def test_one_hot_labels_of_an_adopted_model():
    import keras

    rng = np.random.default_rng(0)
    inputs = keras.Input((4,))
    plain = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="a")(inputs))
    plain.compile("sgd", "categorical_crossentropy")
    model = mtl.MultiTaskModel.from_keras(plain)
    x, classes = rng.random((30, 4)), rng.integers(3, size=30)
    (one_hot,) = mtl.reports.task_skills(model, x, {"a": np.eye(3)[classes]})
    found = model.predict(x, verbose=0)["a"].argmax(1)
    assert one_hot.score == (found == classes).mean()
