"""Made evidence, and what follows from it."""

from dataclasses import replace

import pytest

from mtlkit.diagnostics import Evidence, decide
from mtlkit.diagnostics.causes import LABELS, RULES
from mtlkit.diagnostics.verdict import LIMITS, reinterpreted

#: What is known of a task that can be learned.
SIGNAL = Evidence("signal", "found", "", 0.5, (0.4, 0.6))
NO_SIGNAL = Evidence("signal", "absent", "", 0.0, (-0.1, 0.1))
UNSURE = Evidence("signal", "unclear", "", 0.0, (-0.1, 0.1))
DATA = [rule.cause for rule in RULES if rule.limit == "data"]
MODEL = [rule.cause for rule in RULES if rule.limit == "model"]
#: Details of classes that are mixed up, but told apart where images are clear.
PARTLY = {"or_flipped": False}


def verdict(*found, signal=SIGNAL, **details):
    """The verdict where these causes were found, and all others were looked for in vain."""
    evidence = {
        rule.cause: Evidence(rule.cause, "absent", "", 0.0, (-0.1, 0.1))
        for rule in RULES
        if rule.cause != "no_signal"
    }
    for name in found:
        given = details.get(name, {})
        evidence[name] = Evidence(name, "found", "", 0.3, (0.2, 0.4), details=given)
    if signal is not None:
        evidence["signal"] = signal
    return decide(evidence, "pose")


def names(given):
    return [cause.name for cause in given.causes]


def test_nothing_found_is_healthy():
    given = verdict()
    assert given.limit == "healthy" and given.causes == () and given.undetermined == ()
    assert given.sentence == "Nothing was found that holds pose back."


def test_labels_of_both_neighbours_are_flipped_or_classes_overlap():
    flips = Evidence("structured_noise", "unclear", "", 0.14, (0.1, 0.2), threshold=0.05)
    details = {"or_flipped": True}
    overlap = Evidence("class_overlap", "unclear", "", 0.25, (0.2, 0.3), details=details)
    evidence = {"signal": SIGNAL, "structured_noise": flips, "class_overlap": overlap}
    given = decide(evidence, "pose")
    assert given.limit == "undetermined" and not given.causes
    assert given.undetermined == ("structured_noise", "class_overlap")
    assert "several labels per sample" in given.sentence
    pooled = Evidence("head_destroys_space", "found", "", 0.5, (0.4, 0.6))
    beside = decide({**evidence, "head_destroys_space": pooled}, "pose")
    assert beside.limit == "model" and beside.undetermined == given.undetermined


def test_a_context_that_the_inputs_show_is_open_until_a_head_has_seen_it():
    details = {"shown": True}
    shown = Evidence(
        "needs_context", "unclear", "", 0.2, (0.1, 0.3), threshold=0.05, details=details
    )
    evidence = {"signal": SIGNAL, "needs_context": shown}
    before = decide(evidence, "pose")
    assert before.undetermined == ("needs_context",) and "condition_on" in before.missing
    helps = Evidence("head_lacks_context", "found", "", 0.2, (0.1, 0.3))
    given = decide({**evidence, "head_lacks_context": helps}, "pose")
    assert names(given) == ["head_lacks_context"] and not given.undetermined
    assert given.limit == "model" and "what another task predicts" in given.sentence
    in_vain = decide({**evidence, "head_lacks_context": replace(helps, status="absent")}, "pose")
    assert in_vain.undetermined == ("needs_context",) and "condition_on" not in in_vain.missing


def test_a_hierarchy_may_be_a_leak_which_holds_nothing_back():
    leak = Evidence("label_leak", "unclear", "", 0.3, (0.2, 0.4), details={"bits": 1.0})
    given = decide({"signal": SIGNAL, "label_leak": leak}, "pose")
    assert given.limit == "healthy" and given.undetermined == ("label_leak",)
    decides = "whether the other label is known when the model is used"
    assert given.sentence.endswith(f"Possible: a label leak. What would decide: {decides}.")
    marks = {"pixels": [[0, 3, 0]], "images": [40]}  # what only training images have
    for details in ({}, marks):
        other = replace(leak, details=details)
        assert decide({"signal": SIGNAL, "label_leak": other}).undetermined == ()


@pytest.mark.parametrize("cause", [one for one in DATA if one != "no_signal"])
def test_each_cause_in_the_data(cause):
    given = verdict(cause)
    assert given.limit == "data" and names(given) == [cause]
    assert given.sentence.startswith("The data hold pose back: ")
    assert given.causes[0].effect == 0.3 and given.causes[0].interval == (0.2, 0.4)


@pytest.mark.parametrize("cause", MODEL)
def test_each_cause_in_the_model(cause):
    given = verdict(cause)
    assert given.limit == "model" and names(given) == [cause]
    assert given.sentence.startswith("The model holds pose back: ")


@pytest.mark.parametrize(
    ("found", "limit", "causes"),
    [
        # Several at a time.
        (["uniform_noise", "head_destroys_space"], "mixed", None),
        (["uniform_noise", "symmetry"], "data", None),
        (["input_scale", "head_destroys_space"], "model", None),
        # What explains the others away.
        (["invalid_split", "misaligned_labels", "uniform_noise"], "data", ["invalid_split"]),
        (["misaligned_labels", "structured_noise"], "data", ["misaligned_labels"]),
        (["invalid_split", "optimizer"], "data", ["invalid_split"]),
        (["structured_noise", "ambiguity"], "data", ["structured_noise"]),
        (["uniform_noise", "too_little_data"], "data", ["uniform_noise"]),
        (["class_overlap", "too_little_data"], "data", ["class_overlap"]),
        (["needs_context", "too_little_data"], "data", ["needs_context"]),
        (["needs_context", "uniform_noise", "class_overlap"], "data", ["needs_context"]),
        (["loss_mismatch", "optimizer"], "model", ["loss_mismatch"]),
        (["optimizer", "under_trained"], "model", ["optimizer"]),
        (["loss_starvation", "interference"], "model", ["loss_starvation"]),
    ],
)
def test_several_findings(found, limit, causes):
    given = verdict(*found)
    assert given.limit == limit
    assert sorted(names(given)) == sorted(causes or found)


def test_next_to_no_signal_is_not_called_noise():
    evidence = {
        "signal": Evidence("signal", "found", "", 0.01, (0.001, 0.02)),
        "uniform_noise": Evidence("uniform_noise", "found", "", 0.93, (0.9, 0.95)),
        "too_little_data": Evidence(
            "too_little_data", "absent", "", 0.0, (-0.1, 0.1), details={"way_from_constant": 0.01}
        ),
    }
    given = decide(evidence, "pose")
    assert given.limit == "undetermined" and given.causes == ()
    assert set(given.undetermined) == {"uniform_noise", "no_signal"}  # of what is no image
    images = decide({**evidence, "resolution": Evidence("resolution", "absent", "")}, "pose")
    assert set(images.undetermined) == {"uniform_noise", "no_signal", "resolution"}
    assert "resolution" in images.missing and "resolution" not in given.missing
    # At a higher resolution there is a signal: then that is the cause, alone.
    evidence["resolution"] = Evidence("resolution", "found", "", 0.6, (0.5, 0.7))
    assert names(decide(evidence, "pose")) == ["resolution"]

    # Where a network learns it, rates of noise are believed again.
    learned = {"metric": "accuracy", "reference_skill": 0.1, "user_skill": 0.0}
    learned |= {"reference_score": 0.1, "user_score": 0.03}
    del evidence["resolution"]
    evidence["model_gap"] = Evidence("model_gap", "absent", "", 0.0, (-0.1, 0.1), details=learned)
    assert names(decide(evidence, "pose")) == ["uniform_noise"]


def test_labels_of_a_series_are_wrong_or_late():
    noise = Evidence("uniform_noise", "found", "", 0.1, (0.08, 0.12))
    late = Evidence("misaligned_labels", "unclear", "", 0.08, (0.07, 0.09), threshold=0.08)
    given = decide({"signal": SIGNAL, "uniform_noise": noise, "misaligned_labels": late}, "pose")
    assert given.undetermined == ("uniform_noise", "misaligned_labels") and not given.causes
    assert "same order" in given.missing
    in_order = replace(late, status="absent", effect=-0.3, interval=(-0.4, -0.2))
    certain = {"signal": SIGNAL, "uniform_noise": noise, "misaligned_labels": in_order}
    assert names(decide(certain, "pose")) == ["uniform_noise"]


def test_values_leave_no_question_of_classes_open():
    gap = Evidence("model_gap", "absent", "", 0.0, (-0.1, 0.1))
    poor = Evidence("signal", "found", "", 0.2, (0.1, 0.3), unit="share of the variance")
    given = decide({"signal": replace(poor, details={"score": 0.2})}, "price")
    assert given.limit == "undetermined" and given.undetermined == ("too_little_data",)
    assert set(decide({"signal": poor, "model_gap": gap}).undetermined).isdisjoint(LABELS)


def test_no_signal_explains_all_but_what_would_bring_it_back():
    spoilt = ("uniform_noise", "structured_noise", "ambiguity", "imbalance", "head_destroys_space")
    given = verdict(*spoilt, signal=NO_SIGNAL)
    assert given.limit == "data" and names(given) == ["no_signal"]
    assert (given.causes[0].effect, given.causes[0].interval) == (0.0, (-0.1, 0.1))
    given = verdict("resolution", "needs_context", "uniform_noise", signal=NO_SIGNAL)
    assert set(names(given)) == {"resolution", "needs_context"} and not given.undetermined
    assert names(verdict("misaligned_labels", signal=NO_SIGNAL)) == ["misaligned_labels"]


def test_only_a_higher_resolution_tells_whether_the_signal_was_lost():
    given = verdict(signal=NO_SIGNAL)
    assert given.limit == "data" and names(given) == ["no_signal"]
    assert set(given.undetermined) == {"no_signal", "resolution"}
    assert "What would decide: the same images at a higher resolution." in given.sentence
    evidence = {
        "signal": NO_SIGNAL,
        "resolution": Evidence("resolution", "absent", "", details={"higher_given": True}),
    }
    assert decide(evidence).undetermined == ()


# A poor reference tells less of imbalance than of noise, so the best estimate counts.
@pytest.mark.parametrize(
    ("cause", "low"), [("uniform_noise", (0.1, 0.04)), ("imbalance", (0.04, 0.01))], ids=range(2)
)
def test_what_is_evident_but_has_several_explanations(cause, low):
    unclear = Evidence(cause, "unclear", "", 0.1, (0.06, 0.14), threshold=0.05)
    given = decide({"signal": SIGNAL, cause: unclear})
    few = {"too_little_data"} if cause == "uniform_noise" else set()  # of imbalance it was asked
    assert given.limit == "undetermined" and set(given.undetermined) == {cause, *few}
    weak = Evidence(cause, "unclear", "", low[0], (low[1], 0.14), threshold=0.05)
    assert decide({"signal": SIGNAL, cause: weak}).limit == "healthy"
    known = Evidence("optimizer", "found", "", 0.3, (0.2, 0.4))
    assert decide({"signal": SIGNAL, cause: unclear, "optimizer": known}).undetermined == ()


@pytest.mark.parametrize(
    ("score", "limit", "left"),
    [(0.7, "data", set()), (0.95, "undetermined", {"uniform_noise", "weak_reference"})],
)
def test_no_more_labels_are_wrong_than_a_reference_gets_wrong(score, limit, left):
    """Of training labels; those of the validation data may be better ones."""
    noise = Evidence("uniform_noise", "found", "", 0.25, (0.2, 0.3), threshold=0.05)
    scores = {"metric": "accuracy", "inner_score": score, "reference_score": 0.99}
    gap = Evidence("model_gap", "absent", "", 0.0, (-0.1, 0.1), details=scores)
    found = decide({"signal": SIGNAL, "uniform_noise": noise, "model_gap": gap})
    assert found.limit == limit and set(found.undetermined) == left


@pytest.mark.parametrize(
    ("way", "reference", "limit"),
    [(0.3, None, "undetermined"), (0.7, None, "healthy"), (0.3, 0.8, "healthy")],
)
def test_a_task_that_nobody_learns_is_not_healthy(way, reference, limit):
    amount = Evidence("too_little_data", "unclear", "", details={"way_from_constant": way})
    evidence = {"signal": SIGNAL, "too_little_data": amount}
    if reference is not None:
        skills = {"reference_skill": reference, "user_skill": reference}
        evidence["model_gap"] = Evidence("model_gap", "absent", "", details=skills)
    assert decide(evidence).limit == limit


def test_too_weak_a_test_decides_nothing():
    given = verdict(signal=UNSURE)
    assert given.limit == "undetermined" and not given.causes
    assert set(given.undetermined) == {"no_signal", "too_little_data"}
    assert given.missing and given.missing in given.sentence


def test_without_a_signal_nothing_is_healthy():
    assert verdict(signal=None).limit == "undetermined"
    assert decide({}).limit == "undetermined"


def test_twins_or_labels_flipped_half_of_the_time():
    given = verdict("ambiguity", ambiguity={"or_flipped": True})
    assert given.limit == "undetermined" and not given.causes
    assert set(given.undetermined) == {"structured_noise", "ambiguity"}
    assert "second label" in given.missing and given.missing in given.sentence


@pytest.mark.parametrize("neighbours", [False, True])
def test_other_classes_are_mixed_up_beside_twins(neighbours):
    """A reference that does not tell twins apart is poor, and seems sure of other classes."""
    seen = {"ambiguity": {"or_flipped": True}, "structured_noise": {"neighbours": neighbours}}
    given = verdict("ambiguity", "structured_noise", **seen)
    assert given.limit == "undetermined" and not given.causes
    seen["ambiguity"] = {"or_flipped": False}
    assert names(verdict("ambiguity", "structured_noise", **seen)) == ["structured_noise"]


def test_the_images_may_tell_them_apart():
    given = verdict("ambiguity", "symmetry", ambiguity={"or_flipped": True})
    assert "symmetry" in names(given) and given.limit == "data" and not given.undetermined
    assert names(verdict("ambiguity", "symmetry", ambiguity=PARTLY)) == ["symmetry", "ambiguity"]
    assert names(verdict("ambiguity", ambiguity=PARTLY)) == []  # the reference may be at fault


@pytest.mark.parametrize(
    ("rate", "interval", "undetermined"),
    [
        (0.17, (0.02, 0.25), ("structured_noise", "ambiguity")),
        (0.03, (0.01, 0.06), ()),
    ],
    ids=range(2),
)
def test_flips_that_are_likely_beside_classes_that_are_mixed_up(rate, interval, undetermined):
    """Merging classes helps, and the images do not say why: flips would, if there are some."""
    evidence = {
        "signal": SIGNAL,
        "ambiguity": Evidence("ambiguity", "found", "", 0.3, (0.28, 0.32), details=PARTLY),
        "structured_noise": Evidence(
            "structured_noise", "unclear", "", rate, interval, threshold=0.05
        ),
    }
    given = decide(evidence)
    assert not given.causes and given.undetermined == undetermined
    assert given.limit == ("undetermined" if undetermined else "healthy")


def test_other_causes_stand_beside_what_cannot_be_decided():
    given = verdict("ambiguity", "head_destroys_space", ambiguity={"or_flipped": True})
    assert names(given) == ["head_destroys_space"] and given.undetermined


@pytest.mark.parametrize("cause", ["loss_starvation", "interference"])
def test_a_trunk_that_serves_others_is_what_they_do(cause):
    assert names(verdict(cause, "backbone_lacks_task")) == [cause]


@pytest.mark.parametrize("status", ["unclear", "not_tested", "absent"])
def test_a_trunk_that_may_serve_others_is_left_open(status):
    evidence = {
        "signal": SIGNAL,
        "model_gap": Evidence("model_gap", "found", "", 0.5, (0.4, 0.6)),
        "backbone_lacks_task": Evidence("backbone_lacks_task", "found", "", 0.3, (0.2, 0.4)),
        "loss_starvation": Evidence("loss_starvation", status, ""),
    }
    given = decide(evidence)
    assert given.limit == "model"
    if status == "absent":
        assert names(given) == ["backbone_lacks_task"] and not given.undetermined
    else:
        assert not given.causes
        assert given.undetermined == ("backbone_lacks_task", "loss_starvation")


@pytest.mark.parametrize(("causes", "words"), [(1, "Possible: "), (2, "cannot decide between")])
def test_what_may_be_wrong_with_a_model_is_named(causes, words):
    """Behind the reference, but no test is sure why."""
    gap = Evidence("model_gap", "found", "", 0.3, (0.2, 0.4))
    open_ones = ("interference", "under_trained")[:causes]
    evidence = {name: unclear(name, -0.1, 0.2) for name in open_ones}
    given = decide({"signal": SIGNAL, "model_gap": gap, **evidence})
    assert given.limit == "model" and not given.causes
    assert set(given.undetermined) == set(open_ones)
    assert words in given.sentence and "longer training runs" in given.sentence
    sure = Evidence("optimizer", "found", "", 0.3, (0.2, 0.4))
    assert not decide({"signal": SIGNAL, "model_gap": gap, **evidence, "optimizer": sure}).missing


def test_a_rate_that_is_too_high_kills_features():
    assert names(verdict("backbone_collapse", "optimizer")) == ["optimizer"]
    assert names(verdict("backbone_lacks_task", "optimizer")) == ["optimizer"]


def test_a_gap_without_a_cause_is_the_models():
    given = verdict("model_gap")
    assert given.limit == "model" and given.causes == ()
    assert "none of the tests shows why" in given.sentence
    assert verdict("model_gap", "uniform_noise").limit == "mixed"
    assert "none of the tests" not in verdict("model_gap", "optimizer").sentence
    assert verdict("model_gap", signal=NO_SIGNAL).limit == "data"


def test_a_gap_whose_tests_the_budget_left_out():
    left = Evidence("under_trained", "not_tested", "", details={"left_out": True})
    gap = Evidence("model_gap", "found", "", 0.3, (0.2, 0.4))
    given = decide({"signal": SIGNAL, "model_gap": gap, "under_trained": left})
    assert "none of the tests shows why" not in given.sentence
    assert "(a larger budget would look for 1 more cause)" in given.sentence


def test_skipped_and_unclear_evidence_makes_no_cause():
    evidence = {
        "signal": SIGNAL,
        "uniform_noise": Evidence("uniform_noise", "unclear", "", 0.5, (0.0, 1.0)),
        "optimizer": Evidence("optimizer", "not_tested", "No time."),
    }
    assert not decide(evidence).causes


def test_the_order_of_evidence_does_not_matter():
    evidence = {
        name: Evidence(name, "found", "", 0.3, (0.2, 0.4))
        for name in ("optimizer", "under_trained", "signal", "uniform_noise", "symmetry")
    }
    assert decide(evidence) == decide(dict(reversed(evidence.items())))
    assert next(iter(evidence)) == "optimizer"  # and it is not changed


def test_rules_are_about_known_causes():
    causes = [rule.cause for rule in RULES]
    assert len(set(causes)) == len(causes)
    for number, rule in enumerate(RULES):
        assert rule.limit in LIMITS and rule.words
        assert set(rule.unless) <= set(causes[:number])  # which must have been judged before


@pytest.mark.parametrize(("gain", "named"), [(0.5, True), (0.16, False)])
def test_other_tasks_must_explain_half_of_the_gap(gain, named):
    evidence = {
        "signal": Evidence("signal", "found", "", 0.5, (0.4, 0.6)),
        "model_gap": Evidence("model_gap", "found", "", 0.8, (0.7, 0.9)),
        "input_scale": Evidence("input_scale", "found", "", 0.7, (0.6, 0.8)),
        "loss_starvation": Evidence("loss_starvation", "found", "", gain, (0.1, 0.6)),
    }
    names = [cause.name for cause in decide(evidence).causes]
    assert "input_scale" in names and ("loss_starvation" in names) == named


@pytest.mark.parametrize(
    ("share", "gain", "named"), [(0.01, 0.3, True), (0.01, 0.15, False), (0.3, 0.3, False)]
)
def test_a_task_with_hardly_any_gradient_is_judged_by_what_short_trainings_reach(
    share, gain, named
):
    details = {"share_of_equal": share, "reach": 0.4}
    starved = Evidence("loss_starvation", "found", "", gain, (0.1, 0.4), details=details)
    evidence = {
        "signal": SIGNAL,
        "model_gap": Evidence("model_gap", "found", "", 0.7, (0.6, 0.8)),
        "backbone_lacks_task": Evidence("backbone_lacks_task", "found", "", 0.5, (0.4, 0.6)),
        "loss_starvation": starved,
    }
    assert names(decide(evidence)) == ["loss_starvation" if named else "backbone_lacks_task"]


@pytest.mark.parametrize(
    "consequence", ["optimizer", "under_trained", "loss_starvation", "interference"]
)
def test_a_head_without_positions_is_slow_which_is_no_cause_of_its_own(consequence):
    assert names(verdict("head_destroys_space", consequence)) == ["head_destroys_space"]


def test_what_explains_little_of_the_gap_is_named_where_nothing_else_is_found():
    evidence = {
        "signal": SIGNAL,
        "model_gap": Evidence("model_gap", "found", "", 0.8, (0.7, 0.9)),
        "interference": Evidence("interference", "found", "", 0.2, (0.1, 0.3)),
        "backbone_lacks_task": Evidence("backbone_lacks_task", "absent", ""),
    }
    assert names(decide(evidence)) == ["interference"]
    lacks = Evidence("backbone_lacks_task", "found", "", 0.5, (0.4, 0.6))
    assert names(decide({**evidence, "backbone_lacks_task": lacks})) == ["backbone_lacks_task"]


def test_what_tells_of_imbalance():
    unsure = {"signal": SIGNAL, "imbalance": unclear("imbalance", 0.0, 0.2)}
    assert "a trained model" in decide(unsure).missing
    unsure["imbalance"].details["of"] = "the model"
    assert "held-out samples of the rare classes" in decide(unsure).missing


def unclear(name, low, high, effect=None):
    effect = min(0.06, high) if effect is None else effect
    return Evidence(name, "unclear", "", effect, (low, high), threshold=0.05)


def test_too_little_data_is_left_open_while_labels_are_in_doubt():
    amount = Evidence("too_little_data", "found", "", 0.1, (0.05, 0.15), threshold=0.03)
    evidence = {"signal": SIGNAL, "too_little_data": amount}
    assert names(decide(evidence)) == ["too_little_data"]
    doubt = unclear("structured_noise", 0.0, 0.2)
    given = decide({**evidence, "structured_noise": doubt})
    assert given.limit == "undetermined" and given.causes == ()
    assert given.undetermined == ("too_little_data", "structured_noise")
    small = unclear("structured_noise", 0.0, 0.04)  # it cannot be as much as matters
    assert names(decide({**evidence, "structured_noise": small})) == ["too_little_data"]


@pytest.mark.parametrize(("way", "hidden"), [(0.3, True), (0.7, False)])
def test_what_may_hide_behind_a_poor_score_is_named(way, hidden):
    amount = Evidence(
        "too_little_data", "unclear", "", 0.04, (0.0, 0.1), threshold=0.03,
        details={"way_from_constant": way},
    )  # fmt: skip
    imbalance = unclear("imbalance", 0.0, 0.1, effect=0.04)
    given = decide({"signal": SIGNAL, "too_little_data": amount, "imbalance": imbalance})
    assert given.undetermined == (("too_little_data", "imbalance") if hidden else ())


def few(status="found", **others):
    amount = Evidence(
        "too_little_data", status, "", 0.1, (0.08, 0.12), details={"samples_of_class": 11}
    )
    return decide({"signal": SIGNAL, "too_little_data": amount, **others})


def test_a_dozen_samples_a_class_are_few_even_if_labels_may_be_wrong_too():
    may_be = Evidence("uniform_noise", "unclear", "", 0.02, (0.0, 0.12), threshold=0.04)
    found = few(uniform_noise=may_be)
    assert names(found) == ["too_little_data"] and found.limit == "data"
    assert found.undetermined == ("uniform_noise",)
    assert "Also possible: uniform label noise" in found.sentence


def test_a_dozen_samples_a_class_with_labels_that_are_evidently_wrong_stay_open():
    wrong = Evidence("uniform_noise", "unclear", "", 0.4, (0.3, 0.45), threshold=0.04)
    found = few(uniform_noise=wrong)
    assert not names(found) and set(found.undetermined) == {"too_little_data", "uniform_noise"}


@pytest.mark.parametrize(
    ("ratio", "of", "hidden"),
    [(100, "the reference", True), (3, "the reference", False), (100, "the model", False)],
)
def test_of_few_samples_of_uneven_classes_a_simple_reference_sees_nothing(ratio, of, hidden):
    uneven = Evidence("imbalance", "absent", "", 0.0, details={"ratio": ratio, "of": of})
    found = few(imbalance=uneven)
    assert names(found) == ["too_little_data"]
    assert found.undetermined == (("imbalance",) if hidden else ())


@pytest.mark.parametrize(
    ("interval", "head", "named"),
    [((0.04, 0.08), "found", True), ((0.0, 0.08), "found", False), ((0.04, 0.08), "absent", False)],
)
def test_what_raw_inputs_cost_is_measured_by_what_a_poor_head_can_reach(interval, head, named):
    scale = Evidence(
        "input_scale",
        "absent",
        "",
        0.06,
        interval,
        details={"scores": {"standardised inputs": 0.15, "as it is": 0.09}},
    )
    evidence = {
        "signal": SIGNAL,
        "model_gap": Evidence("model_gap", "found", "", 0.8, (0.7, 0.9)),
        "head_destroys_space": Evidence("head_destroys_space", head, "", 0.7, (0.6, 0.8)),
        "input_scale": scale,
    }
    assert ("input_scale" in names(decide(evidence))) is named
    assert scale.status == "absent"  # and it is not changed
    early = {"steps": 20, "reach": 0.5, "effect": 0.12, "interval": (0.09, 0.15)}
    late = replace(scale, interval=(0.0, 0.08), details={**scale.details, "early": [early]})
    seen = reinterpreted({**evidence, "input_scale": late})["input_scale"]
    assert seen.found is (head == "found")
    if head == "found":
        assert (seen.effect, seen.interval, seen.threshold) == (0.12, (0.09, 0.15), 0.05)
        assert "After 20 steps" in seen.text and seen == reinterpreted({"a": seen})["a"]


@pytest.mark.parametrize(("chance", "named"), [(0.06, "structured_noise"), (0.15, "uniform_noise")])
def test_what_looks_wrong_by_chance_may_come_of_exchanged_neighbours(chance, named):
    near = {"neighbours": True}
    evidence = {
        "signal": SIGNAL,
        "uniform_noise": Evidence("uniform_noise", "found", "", chance, (0.05, 0.2)),
        "structured_noise": Evidence(
            "structured_noise", "found", "", 0.2, (0.18, 0.22), details=near
        ),
    }
    assert names(decide(evidence)) == [named]


def test_what_raw_inputs_cost_a_poor_head_is_left_open_where_nothing_was_learned():
    def given(status):
        scale = Evidence("input_scale", status, "", 0.0, (-0.01, 0.01))
        head = Evidence("head_destroys_space", "found", "", 0.7, (0.6, 0.8))
        return decide({"signal": SIGNAL, "head_destroys_space": head, "input_scale": scale})

    assert names(given("unclear")) == ["head_destroys_space"]
    assert given("unclear").undetermined == ("input_scale",)
    assert "Also possible: inputs that are not standardised." in given("unclear").sentence
    assert given("absent").undetermined == ()
    assert given("not_tested").undetermined == ()


@pytest.mark.parametrize("cause", ["uniform_noise", "structured_noise", "class_overlap"])
def test_labels_are_not_blamed_where_no_signal_could_be_seen(cause):
    """Permuted labels of few samples look wrong, of course."""
    weak = Evidence("signal", "unclear", "", 0.01, (-0.1, 0.1))
    given = verdict(cause, signal=weak)
    assert names(given) == [] and given.undetermined == ("no_signal", "too_little_data")


def test_values_that_are_hardly_predicted_are_not_healthy():
    def given(share, **others):
        details = {"score": share}
        unit = "share of the variance"
        found = Evidence("signal", "found", "", share, (0.0, 1.0), unit=unit, details=details)
        return decide({"signal": found, **others})

    assert given(0.9).limit == "healthy"
    assert given(0.04).limit == "undetermined"
    assert "too_little_data" in given(0.04).undetermined and given(0.04).missing
    # A network that is good at it, by its mean absolute error, tells more.
    scores = {"metric": "mae", "reference_skill": 0.6, "user_skill": 0.6}
    gap = Evidence("model_gap", "absent", "", 0.0, (-0.1, 0.1), details=scores)
    assert given(0.04, model_gap=gap).limit == "healthy"


def test_what_a_simple_reference_does_not_learn_a_model_would_tell():
    evidence = {
        name: Evidence(name, "absent", "", 0.0, (-0.1, 0.1))
        for name in ("too_little_data", *LABELS, "imbalance")
    }
    evidence["too_little_data"] = replace(
        evidence["too_little_data"], details={"way_from_constant": 0.2}
    )
    given = decide({"signal": SIGNAL, **evidence}, "pose")
    assert given.limit == "undetermined" and given.undetermined == ()
    assert given.sentence.endswith("for held-out samples, which `diagnose` looks at.")


def test_what_was_not_measured_is_left_open():
    gap = Evidence("model_gap", "not_tested", "")
    given = decide(
        {"signal": SIGNAL, "model_gap": gap, "optimizer": Evidence("optimizer", "absent", "")}
    )
    assert given.limit == "undetermined" and "budget" in given.missing
    assert "under_trained" in given.undetermined and "optimizer" not in given.undetermined


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("others", [0.9, 0.1])
def test_why_there_is_no_signal(images, others):
    """Other tasks that are read from the same samples point to labels of other samples."""
    tasks = {"pose": {"skill": 0.0}, "kind": {"skill": others}}
    evidence = {
        "signal": NO_SIGNAL,
        "skill": Evidence("skill", "absent", "", details={"task": "pose", "tasks": tasks}),
    }
    if images:
        evidence["resolution"] = Evidence("resolution", "unclear", "")
    given = decide(evidence, "pose")
    wanted = [
        "no_signal",
        *(["misaligned_labels"] if others > 0.5 else []),
        *(["resolution"] if images else []),
    ]
    assert names(given) == ["no_signal"]
    assert list(given.undetermined) == (wanted if len(wanted) > 1 else [])
    assert ("same order" in given.missing) == (others > 0.5)


@pytest.mark.parametrize(("share", "left"), [(0.5, ("resolution",)), (1.0, ())])
def test_of_enlarged_images_more_detail_may_help(share, left):
    details = {"detail_share": share}
    coarse = Evidence(
        "resolution", "unclear", "", 0.1, (0.05, 0.15), threshold=0.06, details=details
    )
    found = decide({"signal": SIGNAL, "resolution": coarse}, "pose")
    assert found.limit == "healthy" and found.undetermined == left
    assert ("higher resolution" in found.sentence) == bool(left)
