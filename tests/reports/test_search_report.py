"""Plots and the page of what a search found."""

import json
import re
import xml.etree.ElementTree as ET
from html import unescape

import keras
import made_searches as made
import matplotlib.pyplot as plt
import numpy as np
import pytest
import small_searches as small
from html_page import Page
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import mtlkit as mtl
from mtlkit.reports._page import Markup, element, html, table
from mtlkit.reports.search_plots import GREY
from mtlkit.search import HeadSpace
from mtlkit.search._records import TrialRecord
from mtlkit.search._repetitions import repetitions_folder
from mtlkit.search._settings import Settings

NASTY = "<script>alert('&amp;\"')</script> $x_{ \ud800 é"


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    monkeypatch.setattr(plt, "show", None)
    before = plt.get_fignums()
    yield
    assert plt.get_fignums() == before  # no figure is left in the global state


def saved(result, tmp_path):
    result.save_html(tmp_path / "page.html")
    return Page(tmp_path / "page.html")


@pytest.fixture(scope="module")
def heads():
    return made.space()


@pytest.fixture(scope="module")
def searched(heads, tmp_path_factory):
    """A search with all that may happen to trials."""

    def score(point):
        return (0.9 if point["family"] == "bins" else 0.4) - point["learning_rate"]

    records = made.drawn(26, score, heads)
    records[0].status, records[0].message = "hopeless", "far behind"
    records[1].sacrificed = ["identity"]
    too_large = "the head has 1,000 weights, more than 10"
    records += [
        made.record("rejected-1", None, records[0].point, status="rejected", message=too_large),
        made.record("rejected-2", None, records[1].point, status="rejected", message=too_large),
        made.record(50, None, records[2].point, message="NotANumber: <loss> is nan"),
        made.record(51, None, records[3].point, status="interrupted"),
        made.reference(0.6),
    ]
    return made.result(tmp_path_factory.mktemp("search"), records, heads)


class TestPage:
    @pytest.fixture(scope="class")
    @classmethod
    def page(cls, searched, tmp_path_factory):
        return saved(searched, tmp_path_factory.mktemp("page"))

    def test_needs_no_network(self, page):
        assert not {"script", "link", "iframe", "object", "base"} & {*page.tags}
        assert "@import" not in page.source and "url(" not in page.source
        assert not re.search(r"https?://", page.source)
        assert "default-src 'none'" in page.source

    def test_first_sentence(self, page, searched):
        best = searched.best_trial
        lead = page.of("p")[0]
        assert lead == searched.sentence
        assert lead.startswith(f"The best head for the task orientation is bins {_spatial(best)} ")
        assert f"(trial {best.trial}): {made.METRIC} {best.score:.4g}" in lead
        assert "chance 0.125, 12 samples" in lead and "of 26 trials with a score." in lead

    def test_best_config_is_json(self, page, searched):
        short, task = (json.loads(text) for text in page.of("pre")[1:])
        assert page.of("pre")[0] == searched.code()
        expected = json.loads(json.dumps(searched.best_config))
        for config in (task, expected["task"]):
            config["config"]["head"]["config"].pop("name")  # of which Keras counts the heads
        assert {**short, "task": task} == expected
        assert keras.saving.deserialize_keras_object(task).name == "orientation"

    def test_leaderboard(self, page, searched):
        for row in searched.leaderboard[:27]:
            assert f"{row['score']:.4g}" in page.of("td")
        assert "12 more rows" in page and "sacrifices identity" in page

    def test_better_ones_that_sacrifice_a_task_are_told(self, page, searched):
        lost = searched.leaderboard[26]
        assert lost["sacrificed"] and ("but sacrifices identity" in page) == (
            lost["score"] > searched.best_trial.score
        )

    def test_what_went_otherwise(self, page):
        assert "Rejected before training: 2" in page and "rejected-1, rejected-2" in page
        assert page.of("td").count("the head has 1,000 weights, more than 10") == 1
        assert "NotANumber: <loss> is nan" in page.of("td")
        assert "Interrupted, to be tried again: 1" in page
        assert "Stopped early, far behind the others: 1" in page

    def test_pictures(self, page):
        assert len(page.images) == 5
        for picture, image in zip(page.pictures(), page.images, strict=True):
            assert ET.fromstring(picture).tag.endswith("svg")
            assert image["alt"]

    def test_other_tasks_seeds_versions_and_cost(self, page):
        assert "without orientation" in page and "0.6" in page.of("td")
        assert "0: 5, 1: 5" in page
        assert "30 (25 finished, 1 hopeless, 1 failed, 2 rejected, 1 interrupted)" in page
        assert "1 min 1 s" in page and "78" in page  # 30 times 2 s and 1 s; 26 times 3 epochs
        assert "What mattered" in page and "the interval includes zero" in page

    def test_same_file_again(self, page, searched, tmp_path):
        again = saved(searched, tmp_path)
        assert again.pictures() == page.pictures() and again.of("td") == page.of("td")


def test_versions_and_repetitions_of_a_real_search(tmp_path, monkeypatch):
    small.without_training(monkeypatch)
    small.eagerly(monkeypatch)
    result = small.search(tmp_path / "search", tuner="random", max_trials=2)
    repeated = result.repeat(runs=2, epochs=1, verbose=0)
    assert repetitions_folder(result.directory).is_dir()
    page = saved(result, tmp_path)
    assert "Trained anew with other seeds" in page.of("h2")
    assert f"{repeated.mean:.4g}" in page.of("td")
    assert f"{repeated.mean:.4f} ± {repeated.half_width:.4f}" in page
    assert {keras.__version__, mtl.__version__, "random", result.setup["data"]} <= {*page.of("td")}
    assert "at least 20 different" in page
    assert "bins.spatial" in page.of("td")  # what was searched


class TestNastyNames:
    @pytest.fixture(scope="class")
    @classmethod
    def page(cls, tmp_path_factory):
        names = ["<b>$\\frac{</b>", "_hidden", "</pre>&lt;"]
        space = HeadSpace(
            small.backbone(),
            small.tasks(),
            "orientation",
            [
                mtl.search.Candidate(
                    name, mtl.heads.ClassificationHead, {"num_classes": small.NUM_BINS}
                )
                for name in names
            ],
            small.SETTINGS,
        )
        records = made.drawn(26, lambda p: 0.3 + p["learning_rate"], space)
        records.append(made.record(70, None, records[0].point, message=NASTY))
        tmp_path = tmp_path_factory.mktemp("nasty")
        result = made.result(tmp_path / "search", records, space)
        return saved(result, tmp_path), result

    def test_are_escaped(self, page):
        page, result = page
        assert "script" not in page.tags and "b" not in page.tags
        told = [text for text in page.of("td") if "alert" in text]
        assert told == [NASTY.encode("utf-8", "replace").decode()]
        assert result.best_trial.family in page.of("p")[0]
        assert json.loads(page.of("pre")[1])["point"] == result.best_trial.point

    def test_are_drawn_as_they_are(self, page):
        _, result = page
        families = {record.trial: record.family for record in result.trials}
        ax = mtl.reports.plot_curves(result.curves(), families)
        ax.figure.canvas.draw()  # formulas that cannot be read would raise
        entries = [text.get_text().strip() for text in ax.get_legend().get_texts()]
        assert entries == ["</pre>&lt;", "<b>\\$\\frac{</b>", "_hidden"]


class TestSparsePages:
    @pytest.mark.parametrize("count", [0, 2], ids=["no_trials", "failed_ones"])
    def test_nothing_scored(self, count, heads, tmp_path):
        points = [record.point for record in made.drawn(count, lambda p: 0, heads)]
        records = [made.record(n, None, p, message="no memory") for n, p in enumerate(points)]
        page = saved(made.result(tmp_path / "search", records, heads), tmp_path)
        assert page.of("p")[0].startswith(f"None of the {count} trials for the task orientation")
        assert not page.images and ("no memory" in page) == bool(count)

    def test_one_trial_without_costs(self, heads, tmp_path):
        (record,) = made.drawn(1, lambda p: 0.5, heads)
        record.parameters = record.step_ms = None
        result = made.result(tmp_path / "search", [record], heads)
        page = saved(result, tmp_path)
        assert len(page.images) == 2
        assert "The trials do not show it. Expected at least 20 different points" in page

    def test_less_is_better(self, heads, tmp_path):
        settings = Settings("val_orientation_loss", "min", {}, epochs=3)
        records = made.drawn(3, lambda p: p["learning_rate"], heads)
        for record in records:
            record.curves = {"val_orientation_loss": [record.score]}
        result = made.result(tmp_path / "search", records, heads, settings)
        best = min(records, key=lambda record: record.score)
        assert f"(trial {best.trial}): val_orientation_loss {best.score:.4g}," in result.sentence
        assert "The other tasks" not in saved(result, tmp_path)

    def test_all_sacrifice_another_task(self, heads, tmp_path):
        records = made.drawn(2, lambda p: 0.5, heads)
        for record in records:
            record.sacrificed = ["identity"]
        result = made.result(tmp_path / "search", [*records, made.reference()], heads)
        assert result.sentence.endswith("like all others, it sacrifices identity.")
        assert "sacrificed" in saved(result, tmp_path).of("td")


ROWS = [
    {"family": family, "score": score, "parameters": size, "step_ms": 2, "sacrificed": lost}
    for family, score, size, lost in [
        ("a", 0.9, 1000, []),
        ("a", 0.5, 2000, []),
        ("b", 0.7, 10, []),
        ("b", 0.95, 5, ["identity"]),
        ("c", None, 1, []),
    ]
]


class TestPlots:
    def test_curves(self):
        curves = {"0": [0.1, 0.2, 0.3], "1": [0.4], "2": [0.5, 0.1]}
        ax = mtl.reports.plot_curves(curves, {"0": "a", "1": "b", "2": "a"}, "0", 0.125, "acc")
        lines = ax.get_lines()
        for line, curve in zip(lines, curves.values(), strict=False):
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(curve) + 1))
            np.testing.assert_array_equal(line.get_ydata(), curve)
        assert lines[0].get_color() == lines[2].get_color() != lines[1].get_color()
        assert lines[0].get_linewidth() > lines[2].get_linewidth()
        assert list(lines[3].get_ydata()) == [0.125, 0.125]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "acc")

    def test_costs(self):
        ax = mtl.reports.plot_costs(ROWS)
        front, *dots = ax.get_lines()
        assert [*zip(*front.get_data(), strict=True)] == [(10, 0.7), (1000, 0.9)]
        assert len(dots) == 4 and ax.get_xscale() == "log"
        hollow = [dot.get_markerfacecolor() == "none" for dot in dots]
        assert hollow == [False, False, False, True]

    def test_costs_of_less_is_better(self):
        ax = mtl.reports.plot_costs(ROWS, direction="min")
        assert [*zip(*ax.get_lines()[0].get_data(), strict=True)] == [(10, 0.7), (2000, 0.5)]

    def test_families(self):
        ax = mtl.reports.plot_families(ROWS, baseline=0.1)
        labels = [text.get_text() for text in ax.get_yticklabels()]
        assert labels == ["b (2)", "a (2)"]
        assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the best family is on top
        medians = [line.get_xdata()[0] for line in ax.get_lines() if line.get_linewidth() == 3]
        np.testing.assert_allclose(medians, [0.825, 0.7])

    def test_importance(self):
        rows = [
            {"argument": f"argument{n}", "share": 0.5 - n / 10, "low": 0.3 - n / 10, "high": 0.9}
            for n in range(20)
        ]
        ax = mtl.reports.plot_importance(rows)
        assert [text.get_text() for text in ax.get_yticklabels()] == [
            f"argument{n}" for n in range(15)
        ]
        colors = [to_hex(line.get_color()) for line in ax.get_lines()[:30:2]]
        assert [color == GREY for color in colors] == [False] * 3 + [True] * 12

    @pytest.mark.parametrize(
        ("plot", "nothing"),
        [
            (mtl.reports.plot_curves, {}),
            (mtl.reports.plot_costs, []),
            (mtl.reports.plot_families, ROWS[-1:]),
            (mtl.reports.plot_importance, []),
        ],
        ids=["curves", "costs", "families", "importance"],
    )
    def test_nothing_to_draw(self, plot, nothing):
        with pytest.raises(ValueError, match="Expected"):
            plot(nothing)

    def test_draws_on_given_axes(self):
        left, right = Figure().subplots(1, 2)
        assert mtl.reports.plot_families(ROWS, ax=right) is right
        assert right.get_lines() and not left.get_lines()


class TestHtml:
    def test_everything_is_escaped_but_markup(self):
        assert element("p", [NASTY, Markup("<br>")], class_='"') == (
            f'<p class="&quot;">{html(NASTY)}<br></p>'
        )
        assert unescape(html(NASTY)) == NASTY and "<" not in html(NASTY)

    def test_tables(self):
        made_table = table(["name", "count"], [["<a>", 1000], ["b", None]], strong=[1])
        assert '<td class="text">&lt;a&gt;</td><td class="number">1,000</td>' in made_table
        assert '<tr class="strong"><td class="text">b</td><td class="number"></td>' in made_table


def _spatial(record: TrialRecord) -> str:
    return record.point["bins.spatial"]
