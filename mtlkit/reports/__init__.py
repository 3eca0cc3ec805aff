"""Reports: plots of what a model does and of what a search found."""

from mtlkit.reports.confusion import plot_confusion
from mtlkit.reports.search_plots import (
    plot_costs,
    plot_curves,
    plot_families,
    plot_importance,
)
