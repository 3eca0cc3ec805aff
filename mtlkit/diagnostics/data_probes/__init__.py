"""Probes of the data: each measures one thing, and returns evidence."""

from mtlkit.diagnostics.data_probes._alignment import alignment
from mtlkit.diagnostics.data_probes._ambiguity import ambiguity
from mtlkit.diagnostics.data_probes._amount import amount
from mtlkit.diagnostics.data_probes._class_overlap import class_overlap
from mtlkit.diagnostics.data_probes._context import label_leak, needs_context
from mtlkit.diagnostics.data_probes._duplicates import duplicates
from mtlkit.diagnostics.data_probes._imbalance import imbalance
from mtlkit.diagnostics.data_probes._marks import marks
from mtlkit.diagnostics.data_probes._panels import confusion, gallery
from mtlkit.diagnostics.data_probes._resolution import resolution
from mtlkit.diagnostics.data_probes._signal import signal
from mtlkit.diagnostics.data_probes._single_pairs import exchanged_classes
from mtlkit.diagnostics.data_probes._skill_of_tasks import skill_of_model, skill_of_tasks
from mtlkit.diagnostics.data_probes._splits import splits
from mtlkit.diagnostics.data_probes._structured_noise import structured_noise
from mtlkit.diagnostics.data_probes._suspects import suspects
from mtlkit.diagnostics.data_probes._symmetry import symmetry
from mtlkit.diagnostics.data_probes._uncertainty import uncertainty
from mtlkit.diagnostics.data_probes._uniform_noise import uniform_noise
from mtlkit.diagnostics.data_probes._unseen_classes import unseen_classes

__all__ = [
    "alignment",
    "ambiguity",
    "amount",
    "class_overlap",
    "confusion",
    "duplicates",
    "exchanged_classes",
    "gallery",
    "imbalance",
    "label_leak",
    "marks",
    "needs_context",
    "resolution",
    "signal",
    "skill_of_model",
    "skill_of_tasks",
    "splits",
    "structured_noise",
    "suspects",
    "symmetry",
    "uncertainty",
    "uniform_noise",
    "unseen_classes",
]
