"""Reports: plots of what a model does, of what a search found, and of what a diagnosis found."""

from mtlkit.reports.confusion import plot_confusion, plot_confusion_blocks
from mtlkit.reports.diagnosis_plots import Level as Level
from mtlkit.reports.diagnosis_plots import plot_arms, plot_waterfall
from mtlkit.reports.gallery import plot_gallery
from mtlkit.reports.history_plots import plot_history
from mtlkit.reports.search_plots import (
    plot_costs,
    plot_curves,
    plot_families,
    plot_importance,
)
from mtlkit.reports.task_skills import task_skills

__all__ = [
    "plot_arms",
    "plot_confusion",
    "plot_confusion_blocks",
    "plot_costs",
    "plot_curves",
    "plot_families",
    "plot_gallery",
    "plot_history",
    "plot_importance",
    "plot_waterfall",
    "task_skills",
]
