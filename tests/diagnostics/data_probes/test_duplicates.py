import numpy as np
import pytest
from diagnostics.made_images import blobs

from mtlkit.diagnostics.data_probes import duplicates


def test_duplicates_and_their_labels():
    x, y = blobs(300, 11)
    x[100:130] = x[:30]
    y[100:130] = y[:30]
    y[100:110] += 1
    found = duplicates(x, {"y": y, "same": np.zeros(300)})
    assert found.effect == pytest.approx(60 / 300) and found.details["num_groups"] == 30
    assert found.details["tasks"]["y"]["conflicting"] == pytest.approx(20 / 60)
    assert found.details["tasks"]["same"]["groups"] == 0
    assert duplicates(x[130:], y[130:]).status == "absent"
