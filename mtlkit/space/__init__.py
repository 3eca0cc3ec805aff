"""Declared search spaces: data only, known to no tuner.

A space maps the names of a constructor's arguments to what they may be:

```python
from mtlkit.space import Choice, Float, When

space = {
    "pooling": Choice(["average", "attention"]),
    "num_queries": When("pooling", "attention", Choice([1, 4, 8])),
    "dropout": Float(0.0, 0.5),
}
```
"""

from mtlkit.space.changes import override, settled
from mtlkit.space.parts import Boolean, Choice, Fixed, Float, Int, When
from mtlkit.space.points import check_point, check_space, count, points, sample
from mtlkit.space.text import describe

__all__ = [
    "Boolean",
    "Choice",
    "Fixed",
    "Float",
    "Int",
    "When",
    "check_point",
    "check_space",
    "count",
    "describe",
    "override",
    "points",
    "sample",
    "settled",
]
