"""The page of a diagnosis, and its plots."""

import dataclasses
import json
import re

import numpy as np
import pytest
from diagnostics.page import real_diagnosis
from html_page import Page
from matplotlib.figure import Figure

import mtlkit as mtl
from mtlkit.diagnostics.details import DETAILS
from mtlkit.diagnostics.diagnosis import Diagnosis, Recommendation
from mtlkit.diagnostics.evidence import Evidence, not_tested, plain
from mtlkit.diagnostics.page._levels import levels
from mtlkit.diagnostics.page._panels import panels
from mtlkit.diagnostics.page._suspects import plot_suspects
from mtlkit.diagnostics.page._words import RULED_OUT
from mtlkit.diagnostics.verdict import Cause, Verdict
from mtlkit.reports import diagnosis_plots as plots
from mtlkit.reports.confusion import block_order, plot_confusion_blocks
from mtlkit.reports.diagnosis_plots import Level
from mtlkit.reports.gallery import plot_gallery

NASTY = "<script>alert('&amp;\"')</script> $x_{ é"
UNKNOWN = Verdict("undetermined", (), "It cannot be told.")


def saved(diagnosis, tmp_path):
    diagnosis.save_html(tmp_path / "page.html")
    return Page(tmp_path / "page.html")


def of(*evidence, verdict=UNKNOWN, task="orientation", **fields):
    return Diagnosis(task, verdict, {one.name: one for one in evidence}, **fields)


def titles(*evidence, **fields):
    """Titles of the panels that are drawn,"""
    cards = panels(of(*evidence, **fields))
    return [re.search("<h3>(.*?)</h3>", card)[1] for card in cards]


TWIN = 16


def twins(seed: int = 0) -> np.ndarray:
    """Counts of 32 classes on a circle, each taken for its neighbours and its twin."""
    rng = np.random.default_rng(seed)
    eye = np.eye(2 * TWIN)
    shares = 0.45 * eye + 0.2 * np.roll(eye, TWIN, axis=1)
    shares += 0.08 * (np.roll(eye, 1, axis=1) + np.roll(eye, -1, axis=1)) + 0.006
    return rng.poisson(120 * shares)


@pytest.fixture(scope="module")
def full():
    return real_diagnosis.kept()


class TestFullPage:
    @pytest.fixture(scope="class")
    @classmethod
    def page(cls, full, tmp_path_factory):
        return saved(full, tmp_path_factory.mktemp("page"))

    def test_needs_no_network(self, page):
        assert not {"script", "link", "iframe", "object", "base"} & {*page.tags}
        assert "@import" not in page.source and "url(" not in page.source
        assert not re.search(r"https?://", page.source)
        assert "default-src 'none'" in page.source

    def test_verdict_comes_first_then_what_to_do(self, page, full):
        texts = [text.strip() for _, text in page.texts]
        start = texts.index("limited by data and model")
        assert texts[start + 1] == full.verdict.sentence
        assert texts[start + 2 : start + 4] == ["What to do", "Use a head that keeps positions."]
        gain = full.evidence["head_destroys_space"].effect
        assert texts[start + 4].startswith(
            f"Against: a head that throws positions away. Measured gain: +{gain:.3f}"
        )
        assert texts[start + 5].startswith("model = model.with_head(")
        gains = [one for one in texts if "Gain: not measured." in one]
        assert gains == ["Against: uniform label noise. Gain: not measured."]

    def test_sections(self, page):
        assert page.of("h2") == [
            "What to do",
            "From chance to what can be reached",
            "What was measured",
            "The evidence",
            "How it was made",
        ]

    def test_a_row_for_each_evidence_that_unfolds(self, page, full):
        for one in full.evidence.values():
            slipped = one.name == "misaligned_labels"
            assert (RULED_OUT[one.name] if slipped else one.text) in page
            assert page.source.count(f'title="{one.name}"') == 1
        shown = [one for one in full.evidence.values() if one.status in ("found", "unclear")]
        assert page.source.count('<details class="row" open="open">') == len(shown)
        rest = [one.status for one in full.evidence.values()]
        for what, status in (
            ("Looked for, and not there", "absent"),
            ("Not tested", "not_tested"),
            ("Descriptions", "described"),
        ):
            assert f"{what} ({rest.count(status)})" in page.of("summary")

    def test_causes_come_first(self, page, full):
        rows = [text for tag, text in page.texts if tag == "span" and text[0].isupper()]
        assert rows[:2] == ["Uniform label noise", "A head that throws positions away"]
        assert page.of("h3")[len(full.recommendations)] == "Labels that may be wrong by chance"

    def test_all_panels(self, page):
        assert {
            "What each change of the model reaches",
            "Along the way",
            "What is taken for what",
            "What the classes look like",
            "Signal in the inputs",
            "Uniform label noise: found",
            "Symmetric objects: absent",
            "Missing context from another task: absent",
            "Too little data: unclear",
            "Too low a resolution: unclear",
            "Imbalanced classes: absent",
            "Interference from other tasks: unclear",
        } <= {*page.of("h3")}

    def test_classes_have_names(self, page, full):
        assert "degrees as " in " ".join(page.of("figcaption"))
        assert full.class_name(2) == "90 degrees" and full.class_name(8) == "8"

    def test_other_tasks_stand_beside_their_baselines(self, page):
        assert {"identity", "intensity", "best constant", "the model"} <= {*page.of("td")}

    def test_seed_versions_and_cost(self, page):
        cells = page.of("td")
        assert cells[cells.index("seed") + 1] == "0"
        assert cells[cells.index("cpu seconds") + 1] == "129.4"
        assert "mtlkit: 0.2.0" in cells

    def test_numbers_are_there(self, page, full):
        assert "All numbers behind the evidence" in page.of("summary")
        cells = page.of("td")
        gain = full.evidence["too_little_data"].details["doubling_gain"]
        assert cells[cells.index("doubling_gain") + 1] == f"{gain:.4g}"

    def test_same_file_again(self, page, full, tmp_path):
        assert saved(full, tmp_path).source == page.source

    def test_same_content_as_json(self, full):
        assert json.loads(full.to_json())["verdict"]["limit"] == "mixed"


@pytest.fixture(scope="module")
def fresh():
    """Evidence of an audit by the probes as they are today."""
    data = mtl.datasets.planted("pool_and_noise", samples=600, num_bins=8)
    held_out = data.x_val, data.y_val
    return mtl.diagnostics.audit(
        data.x_train, data.y_train, data.target, validation_data=held_out, verbose=0
    ).evidence


def test_details_are_those_that_their_classes_name(full, fresh):
    """Else the page would be tested with what no diagnosis has."""
    for evidence in (full.evidence, fresh):
        for name, one in evidence.items():
            if one.details and one.status != "not_tested":
                kind = DETAILS[name]
                known = kind.__required_keys__ | kind.__optional_keys__
                assert kind.__required_keys__ <= one.details.keys() <= known, name


class TestSparsePages:
    def test_without_evidence(self, tmp_path):
        page = saved(of(), tmp_path)
        assert "Nothing was measured." in page.of("p") and "img" not in page.tags
        assert "undetermined" in page.of("span") and page.of("h2") == ["What was measured"]

    def test_evidence_without_details(self, full, tmp_path):
        bare = [dataclasses.replace(one, details={}) for one in full.evidence.values()]
        page = saved(of(*bare, verdict=full.verdict), tmp_path)
        assert "img" not in page.tags and "The evidence" not in page.of("h2")

    def test_each_evidence_alone(self, full, tmp_path):
        for one in full.evidence.values():
            assert one.text in saved(of(one), tmp_path) or one.name in RULED_OUT

    def test_what_is_open(self, tmp_path):
        verdict = Verdict(
            "undetermined", (), "Flips or twins.", ("structured_noise", "ambiguity"), "new labels"
        )
        page = saved(of(verdict=verdict), tmp_path)
        assert "What is open" in page.of("h2")
        assert page.of("li") == [
            "Labels flipped between certain classes",
            "Classes that look the same",
        ]
        assert "What would decide:  new labels." in page

    def test_interrupted(self, tmp_path):
        page = saved(of(setup={"interrupted": True}), tmp_path)
        assert "The diagnosis was interrupted" in page.of("strong")[0]

    def test_numbers_that_are_none_or_not_finite(self, tmp_path):
        details = {"nothing": None, "nan": np.nan, "by_class": [0.5, None], "n": np.int64(3)}
        page = saved(of(Evidence("skill", "unclear", "", np.nan, details=details)), tmp_path)
        assert page.of("td")[:2] == ["n", "3"]


def test_nasty_names_are_escaped(full, tmp_path):
    def nasty(name, **details):
        one = full.evidence[name]
        return dataclasses.replace(one, text=NASTY, unit=NASTY, details={**one.details, **details})

    row = {"metric": "accuracy", "score": 0.5, "baseline": 0.4, "by": NASTY}
    shown = full.evidence["gallery"].details["labels"]
    diagnosis = of(
        nasty("gallery", labels=[NASTY] * len(shown)),
        nasty("skill", tasks={NASTY: row}),
        nasty("needs_context", task=NASTY),
        nasty("head_destroys_space", probes={NASTY: 0.1}),
        not_tested(NASTY, NASTY),
        verdict=Verdict("data", (Cause(NASTY, 0.1),), NASTY, (NASTY,), NASTY),
        task=NASTY,
        recommendations=(Recommendation(NASTY, NASTY, NASTY),),
        setup={NASTY: {NASTY: NASTY}},
    )
    page = saved(diagnosis, tmp_path)
    assert "script" not in page.tags
    assert page.of("h1") == [f"Diagnosis of the task {NASTY}"]
    assert NASTY in page.of("pre") and page.tags.count("img") == 5


class TestLevels:
    def test_of_a_model_and_a_reference(self, full):
        metric, found = levels(full)
        assert metric == "accuracy"
        names = ["chance", "your model", "reference", "labels allow"]
        assert [level.name for level in found] == names
        chance, model, reference, _ = found
        gap, skill = full.evidence["model_gap"], full.evidence["skill"].details["tasks"]
        assert chance.value == 1 / 8
        assert (model.low, model.high) == tuple(skill["orientation"]["interval"])
        # Of eight classes, skill is 8/7 of what accuracy is above chance.
        assert reference.low == pytest.approx(model.value + 7 / 8 * gap.interval[0])

    def test_noise_lowers_what_can_be_reached(self, full):
        noise = Evidence("uniform_noise", "found", "", 0.4, (0.35, 0.42))
        _, found = levels(of(full.evidence["model_gap"], noise))
        top = found[-1]
        assert (top.name, top.value) == ("labels allow", 0.6)
        assert top.interval == pytest.approx((0.58, 0.65))

    def test_of_an_audit(self, full):
        metric, found = levels(of(full.evidence["signal"]))
        assert metric == "accuracy"
        score = full.evidence["signal"].details["score"]
        chance = np.mean(full.evidence["signal"].details["null_scores"])  # permuted labels
        assert [level.value for level in found] == pytest.approx([chance, score, 1.0], abs=0.005)
        tasks = full.evidence["skill"].details["tasks"]
        rows = {"orientation": {**tasks["orientation"], "by": "the reference"}}
        skill = Evidence("skill", "found", "", details={"tasks": rows})
        assert [level.name for level in levels(of(skill))[1]] == ["chance", "reference", "perfect"]

    def test_of_values(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(200, 3))
        found = mtl.diagnostics.audit(x, {"a": x[:, 0] + rng.normal(size=200)}, "a", verbose=0)
        metric, (constant, reference, perfect) = levels(found)
        assert metric == "mae" and perfect.value == 0.0
        assert reference.low < reference.value < reference.high < constant.value

    def test_of_nothing(self):
        assert levels(of())[1] == []


class TestPanels:
    """What is drawn of which evidence; that of the full page is drawn there."""

    def test_confusion_of_predictions(self, full):
        assert titles(full.evidence["model_gap"]) == ["What is taken for what"]

    def test_arrays_are_as_good_as_lists(self, full, fresh):
        for name, one in fresh.items():
            lists = Evidence(**{**vars(one), "details": plain(one.details)})
            assert titles(one) == titles(lists), name

    def test_what_was_found_is_preferred(self, full):
        absent = dataclasses.replace(full.evidence["structured_noise"], status="absent")
        ladder = absent.details["ladder"]
        found = Evidence("class_overlap", "found", "", details={"ladder": ladder})
        assert titles(absent, found) == ["Overlapping classes: found"]

    def test_causes_come_first(self, full):
        evidence = [full.evidence["signal"], full.evidence["imbalance"]]
        verdict = Verdict("data", (Cause("imbalance"),), "")
        assert titles(*evidence)[0] == "Signal in the inputs"
        assert titles(*evidence, verdict=verdict)[0] == "Imbalanced classes: absent"
        verdict = Verdict("data", (Cause("no_signal"), Cause("imbalance")), "")
        assert titles(*evidence, verdict=verdict)[0] == "Signal in the inputs"


class TestSuspects:
    """The labels to check first."""

    def listed(self, count=300, **fields):
        rows = np.arange(count)
        return {
            "rows": 7 * rows,
            "given": rows % 3,
            "likeliest": rows % 3 + 1,
            "expected": 2 * count,
            "images": np.linspace(0, 1, 12 * 64).reshape(12, 8, 8)[:count],
            **fields,
        }

    @pytest.fixture(scope="class")
    @classmethod
    def noise(cls, full):
        return full.evidence["uniform_noise"]

    def of(self, noise, listed):
        return dataclasses.replace(noise, details={**noise.details, "suspects": listed})

    def cards(self, noise, listed, cause="uniform_noise"):
        """Those of the suspects; the ranks are always drawn."""
        verdict = Verdict("data", (Cause(cause),), "")
        return [
            one for one in panels(of(self.of(noise, listed), verdict=verdict)) if "may be" in one
        ]

    @pytest.mark.parametrize("shape", [(12, 8, 8), (12, 8, 8, 3)])
    def test_the_first_dozen_is_drawn(self, noise, shape):
        images = np.random.default_rng(0).random(shape)
        (card,) = self.cards(noise, self.listed(images=images))
        assert "Labels that may be wrong by chance" in card
        assert "rows 0, 7, 14, " in card and ", 70, 77 of the samples" in card
        assert "300 are listed. About 600 are wrong." in card

    def test_samples_that_are_no_images_are_a_table(self, noise):
        (card,) = self.cards(noise, self.listed(images=None))
        assert "<img" not in card and card.count("<tr") == 21
        assert "rows 0, 7" in card and "looks like" in card

    def test_a_few(self, noise):
        (card,) = self.cards(noise, self.listed(2))
        assert "rows 0, 7 of the samples; above" in card and "listed" not in card

    def test_only_of_a_cause(self, noise):
        assert self.cards(noise, self.listed(), "symmetry") == []
        assert self.cards(noise, self.listed(0)) == []

    def test_names_are_escaped(self, noise, tmp_path):
        found = dataclasses.replace(self.of(noise, self.listed(2)), text=NASTY)
        verdict = Verdict("data", (Cause("uniform_noise"),), "")
        setup = {"class_names": [NASTY, "<b>", "$"]}
        page = saved(of(found, verdict=verdict, setup=setup), tmp_path)
        assert page.tags.count("img") == 2 and "script" not in page.tags

    def test_captions_stand_above_images(self):
        captions = [f"given {k},\nlooks like $x$" for k in range(8)]
        ax = plot_suspects(np.zeros((8, 4, 4, 3)), captions)
        drawn = [one.get_title() for one in ax.figure.axes]
        assert drawn[:8] == [one.replace("$", r"\$") for one in captions]
        assert drawn[8:] == [""] * 4

    @pytest.mark.parametrize("shape", [(8, 8), (0, 8, 8), (4, 8, 8, 2)])
    def test_bad_images(self, shape):
        with pytest.raises(ValueError, match="Expected images of shape"):
            plot_suspects(np.zeros(shape), [])


class TestPlots:
    def test_waterfall(self):
        steps = [Level("chance", 0.1), Level("model", 0.4, 0.3, 0.5), Level("perfect", 1.0)]
        ax = plots.plot_waterfall(steps, "accuracy")
        spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
        np.testing.assert_allclose(spans, [(0, 0.1), (0.1, 0.4), (0.4, 1.0)])
        assert ax.get_yticklabels()[1].get_text() == "model\n0.4 [0.3, 0.5]"

    def test_amount(self):
        ax = plots.plot_amount([100, 200], [0.3, 0.4], [0.2, 0.3], [0.4, 0.5], 0.05)
        measured, doubled = ax.get_lines()
        np.testing.assert_allclose(doubled.get_data(), ([200, 400], [0.4, 0.45]))
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("samples", "score")
        assert measured.get_linestyle() == "-" and doubled.get_linestyle() == "--"

    def test_confused_classes_become_neighbours(self):
        counts = twins()
        place = np.argsort(block_order(counts))
        apart = np.abs(place - np.roll(place, TWIN))
        assert (apart == 1).all()
        left, right = plot_confusion_blocks(counts)
        assert left.get_xlabel() == right.get_xlabel() == "predicted class"

    def test_confusion_with_an_empty_class(self):
        order = block_order([[3, 0, 2], [0, 0, 0], [2, 0, 3]])
        assert sorted(order) == [0, 1, 2] and abs(order.tolist().index(0) - 1) == 1
        plot_confusion_blocks([[3, 0, 2], [0, 0, 0], [2, 0, 3]])

    @pytest.mark.parametrize("shape", [(2, 3), (4,), (0, 0)])
    def test_confusion_is_square(self, shape):
        with pytest.raises(ValueError, match="Expected a square matrix. Received: shape="):
            block_order(np.ones(shape))

    @pytest.mark.parametrize("shape", [(50, 6, 100, 80, 3), (1, 1, 2, 2, 1), (3, 2, 8, 8, 5)])
    def test_gallery(self, shape):
        images = np.random.default_rng(0).random(shape)
        images[0] = np.nan
        ax = plot_gallery(images)
        assert len(ax.texts) == min(shape[0], 48)
        drawn = ax.get_images()[0].get_array()
        assert drawn.shape[-1] == 3 and np.isfinite(drawn).all()

    def test_gallery_in_order_with_names(self):
        ax = plot_gallery(np.ones((3, 1, 4, 4, 1)), ["a", "long enough", "$"], order=[2, 0, 1])
        assert [text.get_text() for text in ax.texts] == [r"\$", "a", "long eno…"]

    @pytest.mark.parametrize(
        "draw",
        [
            lambda: plots.plot_waterfall([Level("chance", 0.1)]),
            lambda: plots.plot_arms([]),
            lambda: plot_gallery(np.ones((2, 3))),
        ],
    )
    def test_nothing_to_draw(self, draw):
        with pytest.raises(ValueError, match="Expected .*Received: "):
            draw()

    def test_draws_on_given_axes(self):
        left, right = Figure().subplots(1, 2)
        assert mtl.reports.plot_waterfall([Level("a", 0.1), Level("b", 0.2)], ax=right) is right
        assert right.patches and not left.patches
