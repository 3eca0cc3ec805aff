"""Reports: plots of what a model does."""

from mtlkit.reports.confusion import plot_confusion
