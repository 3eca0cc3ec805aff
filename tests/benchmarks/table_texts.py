"""From the results that a benchmark keeps to the tables of the documentation, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

Results = Mapping[str, Any]
#: How backends are written.
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
#: The balancers that weigh losses, by name: importing mtlkit for them would take seconds.
WEIGHTINGS = {
    "equal",
    "log",
    "gls",
    "uw",
    "uw_so",
    "imtl_l",
    "dwa",
    "rlw",
    "stch",
    "famo",
    "ldc_mtl",
}


# === Parts of tables ===


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "|" + "|".join(f" {one} " if one else " " for one in line) + "|" for line in lines
    )


def measured(kept: Results, more: str = "") -> str:
    """The line above a table: when it was measured, and with what."""
    version, _, backend = kept.get("versions", "").partition(" on ")
    version = (version or f"Keras {kept['keras']}").removeprefix("Keras ")
    backend = backend or kept.get("backend", "")
    found = [f"Measured on {kept['date']}, Keras {version}"]
    if backend:
        found.append(f" on {written(backend)}")
    return "".join(found) + (f", {more}" if more else "") + "."


def written(backend: str) -> str:
    """A backend with its version, as in `PyTorch 2.13`."""
    name, _, version = backend.partition(" ")
    short = ".".join(version.partition("+")[0].split(".")[: 3 if name == "jax" else 2])
    return f"{BACKENDS.get(name, name)} {short}".strip()


def with_line(line: str, *tables: str) -> str:
    """Tables below a line of text."""
    return "\n\n".join([line, *tables])


def interval(values: Sequence[float], how: str, factor: float = 1) -> str:
    """Mean and 95 % t-interval over seeds."""
    mean = f"{factor * np.mean(values):{how}}"
    if len(values) < 2:
        return mean
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{mean} ± {factor * half:{how}}"


def spread(found: Sequence[float], how: str = ".2f") -> str:
    """A median and its quartiles, given as low, median, high."""
    low, median, high = found
    return f"{median:{how}} ({low:{how}} to {high:{how}})"


def scores_of(rows: Results, score: str) -> list[float]:
    """A score by seed."""
    return [row[score] for row in rows.values() if isinstance(row, Mapping) and score in row]


# === Heads ===


#: Scores of a head: how each is called and written, and by what it is multiplied.
HEAD_COLUMNS = {
    "accuracy": ("accuracy, %", ".1f", 100),
    "within_1": ("within one bin, %", ".1f", 100),
    "mae_degrees": ("mean error, °", ".1f", 1),
    "identity_accuracy": ("`identity`, %", ".1f", 100),
    "intensity_mae": ("`intensity`, MAE", ".3f", 1),
}


def head_table(found: Results, times: bool) -> str:
    """Scores by head and seed, the most accurate head first; with the seconds of an epoch."""
    rows = []
    for name in sorted(found, key=lambda name: -np.mean(scores_of(found[name], "accuracy"))):
        own = found[name]
        cells = [interval(scores_of(own, key), *how) for key, (_, *how) in HEAD_COLUMNS.items()]
        cells.append(f"{scores_of(own, 'parameters')[0]:,}")
        cells += [f"{np.median(scores_of(own, 'seconds_per_epoch')):.1f}"] if times else []
        rows.append([name, *cells])
    titles = [title for title, *_ in HEAD_COLUMNS.values()]
    return markdown(["head", *titles, "weights", *(["s/epoch"] if times else [])], rows)


def heads(times: bool) -> Callable[[Results], str]:
    """All heads in the place of one."""
    return lambda kept: with_line(measured(kept), head_table(kept["results"], times))


def search(kept: Results) -> str:
    """The winners of two searches, and two tasks alone."""
    names = {
        "winner of `search_heads`": "mtlkit",
        "winner of the flatten search": "flatten, by hand",
        "identity alone": "identity alone",
        "intensity alone": "intensity alone",
    }
    columns = {
        "orientation_accuracy": ("orientation, accuracy", ".1f", 100, " %"),
        "orientation_mae_degrees": ("mean error", ".1f", 1, "°"),
        "identity_accuracy": ("identity, accuracy", ".1f", 100, " %"),
        "intensity_mae": ("intensity, MAE", ".3f", 1, ""),
    }
    rows = []
    for title, name in names.items():
        own = {key: row for key, row in kept.items() if key.startswith(f"{name}, seed ")}
        cells = []
        for score, (_, how, factor, unit) in columns.items():
            values = scores_of(own, score)
            cells.append(f"{interval(values, how, factor)}{unit}" if values else "")
        seconds = scores_of(own, "seconds")
        rows.append([title, *cells, f"{min(seconds):.0f} to {max(seconds):.0f}"])
    titles = [title for title, *_ in columns.values()]
    return markdown(["model", *titles, "seconds"], rows)


def poses(kept: Results) -> str:
    """Accuracy and mean error of designs on each set."""
    sets = {
        "digits": "digits",
        "fashion": "fashion",
        "turntable": "turntable",
        "eth80": "ETH-80, views",
        "eth80-objects": "ETH-80, objects",
    }
    heads = {
        "one nearest neighbour in pixels": "one nearest neighbour, pixels",
        '`"polar"`': "polar / one-hot",
        '`"polar_and_flatten"` (default)': "polar_and_flatten / one-hot",
        "the same, `emd_weight=0.3`": "polar_and_flatten / one-hot, EMD",
    }

    def cell(own: Results) -> str:
        error = np.mean(scores_of(own, "mae_degrees"))
        accuracy = interval(scores_of(own, "accuracy"), ".1f", 100)
        return f"{accuracy}, {error:{'.1f' if error < 10 else '.0f'}}°"

    rows = [
        [title, *(cell(kept["results"][one][name]) for one in sets)]
        for title, name in heads.items()
    ]
    return with_line(measured(kept), markdown(["head", *sets.values()], rows))


def contexts(kept: Results) -> str:
    """Heads of a turntable that know the identity."""
    heads = {
        '`"flatten"`, `"sincos"`': "flatten / sincos",
        'the same, `conditioning="film"` on the identity': "flatten / sincos / film",
        'the same, `"bilinear"`': "flatten / sincos / bilinear",
        'the same, `"experts"`': "flatten / sincos / experts",
        '`"bilinear"`, oracle': "flatten / sincos / bilinear / oracle",
        '`"experts"`, oracle': "flatten / sincos / experts / oracle",
    }
    rows = []
    for title, name in heads.items():
        own = kept["results"]["turntable"][name]
        rows.append(
            [
                title,
                interval(scores_of(own, "accuracy"), ".1f", 100),
                interval(scores_of(own, "mae_degrees"), ".1f"),
            ]
        )
    return markdown(["head", "accuracy, %", "mean error, °"], rows)


def dense(kept: Results) -> str:
    """Mean IoU by seed."""
    kept = kept["all pixels labelled"]
    seeds = [f"seed {run['seed']}" for run in kept["runs"]["by hand"]]
    rows = []
    for name, title in (("by hand", "by hand"), ("DenseHead", "`DenseHead`")):
        mean = kept["means"][name]
        scores = [run["mean_iou"] for run in kept["runs"][name]]
        cells = [*scores, mean["mean_iou"], mean["standard_error"]]
        rows.append([title, *(f"{one:.3f}" for one in cells)])
    return with_line(measured(kept), markdown(["network", *seeds, "mean", "standard error"], rows))


def frozen_features(kept: Results) -> str:
    """Accuracy of logistic regression and of a search."""
    titles = {
        "grocery_features, coarse": "groceries, 43 classes",
        "grocery_features, fine": "groceries, 81 classes",
        "clothing_features, label": "clothes, 18 classes",
        "clothing_features, kids": "clothes, for children",
        "eth80_features, category": "kinds of objects",
    }
    rows = [
        [
            titles.get(name, name),
            f"{100 * own['logistic regression']:.1f}",
            interval(scores_of(own, "search"), ".1f", 100),
        ]
        for name, own in kept["results"].items()
    ]
    header = ["task", "logistic regression, %", "search, %"]
    return with_line(measured(kept), markdown(header, rows))


# === Balancing ===


def plane(kept: Results) -> str:
    """How many starts each method brings to the best compromises."""
    kept = kept["plane"]
    starts = len(next(iter(kept["found"].values()))["ends"])
    by_count: dict[int, list[str]] = {}
    for name, own in kept["found"].items():
        by_count.setdefault(own["arrived"], []).append(f'`"{name}"`')
    rows = [
        [f"{count} of {starts}", ", ".join(by_count[count])]
        for count in sorted(by_count, reverse=True)
    ]
    return with_line(measured(kept), markdown(["arrived", "methods"], rows))


def kinds_of_tasks(kept: Results) -> str:
    """The mean R² of each method for each kind of tasks; methods that are level share a row."""
    kept = kept["tasks"]
    kinds = list(kept["found"])
    by_scores: dict[tuple[str, ...], list[str]] = {}
    order = sorted(
        kept["found"][kinds[0]], key=lambda name: -kept["found"]["imbalanced"][name]["r2"]
    )
    for name in order:
        scores = tuple(f"{kept['found'][kind][name]['r2']:.2f}" for kind in kinds)
        by_scores.setdefault(scores, []).append(f'`"{name}"`')
    rows = [[", ".join(names), *scores] for scores, names in by_scores.items()]
    errors = [one["error"] for kind in kinds for one in kept["found"][kind].values()]
    line = measured(kept, f"standard errors over 5 seeds up to {max(errors):.2f}")
    return with_line(line, markdown(["methods", *kinds], rows))


def compared(kept: Results) -> str:
    """Methods beside single tasks and equal weights on a set of photographs."""
    tasks = {task: metric for task, (metric, _) in kept["metrics"].items()}
    rows = []
    for row in kept["rows"]:
        name = row["method"]
        plain = name in ("single-task", "equal", "tuned")
        scores = [_score(row["scores"][task], metric) for task, metric in tasks.items()]
        gains = [_points(row[key], row[f"{key}_interval"]) for key in ("delta_m", "difference")]
        rows.append([name if plain else f'`"{name}"`', *scores, *gains, row["verdict"] or ""])
    header = ["method", *(f"{task}, {metric}" for task, metric in tasks.items())]
    header += ["`delta_m`, %", "points over equal", "in words"]
    seeds, epochs = len(kept["seeds"]), kept["settings"]["epochs"]
    more = f"{kept['settings']['samples']['train']:,} images to train on, {epochs} epochs"
    line = measured(
        {
            "date": kept["date"],
            "keras": kept["settings"]["versions"][0],
            "backend": kept["settings"]["backend"],
        },
        f"`{kept['set']}`, {more}, {seeds} seeds",
    )
    return with_line(line, markdown(header, rows))


def _score(value: float | None, metric: str) -> str:
    if value is None:
        return ""
    share = "accuracy" in metric or "iou" in metric
    return f"{100 * value:.1f} %" if share else f"{value:.3g}"


def _points(mean: float | None, bounds: Sequence[float] | None) -> str:
    if mean is None:
        return ""
    return f"{mean:+.1f}" + ("" if bounds is None else f" ± {(bounds[1] - bounds[0]) / 2:.1f}")


def balancing_overhead(kept: Results) -> str:
    """What a step costs with each method, by backend; then TorchJD."""
    tables = []
    for backend in (*BACKENDS, "torchjd"):
        if backend in kept:
            own = kept[backend]
            rows = _torchjd(own) if backend == "torchjd" else _methods(own["ratios"])
            tasks = _tasks(own["ratios"])
            said = {**own, "backend": "torch" if backend == "torchjd" else backend}
            name = "TorchJD" if backend == "torchjd" else BACKENDS[backend]
            header = [f"{name}, {'aggregator' if backend == 'torchjd' else 'method'}"]
            header += [f"{count} task{'s' * (count != '1')}" for count in tasks]
            pairs = {one["pairs"] for row in own["ratios"].values() for one in row.values()}
            ends = dict.fromkeys((min(pairs), max(pairs)))
            line = measured(said, f"{' to '.join(map(str, ends))} pairs")
            tables += [line, markdown(header, rows)]
    return "\n\n".join(tables)


def _tasks(ratios: Results) -> list[str]:
    """The numbers of tasks that were measured."""
    return sorted({count for row in ratios.values() for count in row}, key=int)


def _methods(ratios: Results) -> list[list[str]]:
    """Rows of methods; weightings of losses, which cost nothing, in one."""

    def weighs(name: str) -> bool:
        return name.partition(",")[0] in WEIGHTINGS

    tasks, rows, range_ = _tasks(ratios), [], ["weightings of losses, the least to the most"]
    for count in tasks:
        found = [
            row[count]["ratio"] for name, row in ratios.items() if weighs(name) and count in row
        ]
        range_.append(f"{min(found):.2f} to {max(found):.2f}" if found else "")
    for name, row in ratios.items():
        method, _, space = name.partition(", ")
        if not weighs(name):
            title = f'`"{method}"`' + (", at the parameters" if space == "parameters" else "")
            rows.append((space, [title, *_ratios(row, tasks)]))
    features = [row for space, row in rows if space == "features"]
    return [*features, range_, *(row for space, row in rows if space != "features")]


def _torchjd(own: Results) -> list[list[str]]:
    tasks = _tasks(own["ratios"])
    return [
        [name.replace(", ", ", rows "), *_ratios(row, tasks)] for name, row in own["ratios"].items()
    ]


def _ratios(row: Results, tasks: Sequence[str]) -> list[str]:
    """The cells of a row, empty where nothing was measured."""
    found = []
    for count in tasks:
        one = row.get(count)
        low, high = one["quartiles"] if one else (0, 0)
        found.append(spread((low, one["ratio"], high)) if one else "")
    return found


# === What the wiring costs, and scale ===


def overhead(kept: Results) -> str:
    """Times beside a model by hand, by backend and number of tasks."""
    columns = {
        "compile and first step": "compile and first step",
        "epoch of 100 steps": "`fit` of 100 steps",
        "epoch of 20 steps": "`fit` of 20 steps",
    }
    rows = []
    for own in kept["results"].values():
        backend = written(own["versions"].partition(" on ")[2])
        for tasks, measures in own["tasks"].items():
            cells = []
            for name in columns:
                row = measures[name]
                low, high = row["quartiles"]
                quartiles = f"{low:.2f} to {high:.2f}; {row['pairs']}"
                cells.append(f"{row['ratio']:.2f} ({quartiles})")
            rows.append([backend, tasks, *cells])
    dates = sorted({own["date"] for own in kept["results"].values()})
    versions = {own["versions"].partition(" on ")[0] for own in kept["results"].values()}
    line = f"Measured on {' to '.join(dates)}, {', '.join(sorted(versions))}."
    return with_line(line, markdown(["backend", "tasks", *columns.values()], rows))


def scale(axis: str, title: str) -> Callable[[Results], str]:
    """What grows with one thing, by backend; the last row is the exponent of growth."""
    first = "compile and first epoch, s" if axis == "samples" else "compile and first step, s"
    values = {
        first: ("first_s", ".2f", 1),
        "step, ms": ("step_s", ".1f", 1000),
        "saving, s": ("save_s", ".2f", 1),
        "loading, s": ("load_s", ".2f", 1),
    }
    if axis == "tasks":  # the first: what is held later includes what it left
        values["memory, MB"] = ("peak_mb", ".0f", 1)

    def table(kept: Results) -> str:
        parts = []
        for own in (one[axis] for one in kept.values() if axis in one):
            rows = []
            for size, row in own["sizes"].items():
                cells = [
                    f"{factor * row['mtlkit'][key]:{how}} / {factor * row['by hand'][key]:{how}}"
                    for key, how, factor in values.values()
                ]
                ratios = [spread(row[f"{name}_ratio"]) for name in ("first", "step")]
                rows.append([f"{int(size):,}", *cells, *ratios])
            exponents = [_growth(own["sizes"], key) for key, *_ in values.values()]
            rows.append(["growth", *exponents, "", ""])
            header = [title, *values, "ratio, first", "ratio, step"]
            parts += [measured(own), markdown(header, rows)]
        return "\n\n".join(parts)

    return table


def _growth(sizes: Results, key: str) -> str:
    """The exponents of growth of both models: the slope of a line through the logarithms."""
    found = []
    for kind in ("mtlkit", "by hand"):
        values = [row[kind][key] for row in sizes.values()]
        slope = np.polyfit(np.log([int(size) for size in sizes]), np.log(values), 1)[0]
        found.append(f"{slope:.2f}")
    return " / ".join(found)


def stream(kept: Results) -> str:
    """What is held of data as large as the limit of memory, and four times as large."""
    parts = []
    for own in (one["stream"] for one in kept.values() if "stream" in one):
        rows = []
        for way, by_size in own["ways"].items():
            cells = []
            for found in by_size.values():
                stopped = "error" in found
                cells.append("out of memory" if stopped else f"{found['own_mb']:.0f} MB")
            seconds = by_size["4"].get("seconds")
            rows.append([way, *cells, "" if seconds is None else f"{seconds:.0f} s"])
        sizes = [f"{int(n) * own['limit_mb']:,} MB of images" for n in ("1", "4")]
        line = measured(own, f"a limit of {own['limit_mb']:,} MB")
        parts += [line, markdown(["data", *sizes, "processor time"], rows)]
    return "\n\n".join(parts)
