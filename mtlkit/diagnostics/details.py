"""The details of each piece of evidence: which names there are, and what they hold.

At run time details are dicts, ready for JSON: `evidence.details["score"]`. The classes here name
their keys for readers and type checkers.

Example:
    ```python
    from mtlkit.diagnostics.details import DETAILS

    assert DETAILS["signal"].__required_keys__ >= {"score", "null_scores", "chance"}
    ```
"""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict, TypeVar, cast

from numpy.typing import NDArray

from mtlkit.diagnostics.evidence import Evidence, Status
from mtlkit.references._partners import Steps

#: Numbers: an array where it was measured, a list where it was read from a file.
Numbers = NDArray[Any] | Sequence[float]
Interval = tuple[float, float]
_T = TypeVar("_T")


class Opinion(TypedDict):
    """What a reference of another kind says of the same labels."""

    status: Status
    effect: float | None
    interval: Interval | None


class AnyDetails(TypedDict, total=False):
    """What may stand beside all details.

    Attributes:
        interrupted: The diagnosis was interrupted before.
        left_out: The budget was spent before.
        without_power: An effect at the threshold would not have been seen.
        planted: The effect that was seen of one at the threshold, planted in the same labels.
        second_opinions: What other references say, by their kind.
        weak_reference: No other reference confirms the effect.
    """

    interrupted: bool
    left_out: bool
    without_power: bool
    planted: float | None
    second_opinions: Mapping[str, Opinion]
    weak_reference: bool


# === Of the data ===


class SplitDetails(AnyDetails):
    """Details of `"invalid_split"`: copies between training and validation samples.

    Attributes:
        exact: Number of validation samples that are copies.
        exact_rows: Which, the first of them.
        exact_of: The training samples that they are copies of.
        near: Number of near copies; `near_rows` and `near_of` as above.
        near_share: Their share, and `near_share_expected` without a leak.
        distances: Quantiles of the distance to the nearest training sample;
            `distances_expected` without a leak.
        equal_by_chance: The share of training samples that equal another one.
        copies_with_other_labels: Copies whose label differs, by task.
    """

    exact: int
    exact_rows: Numbers
    exact_of: Numbers
    near: int
    near_rows: Numbers
    near_of: Numbers
    near_share: float
    near_share_expected: float
    distances: Numbers
    distances_expected: Numbers
    equal_by_chance: float
    copies_with_other_labels: Mapping[str, int]


class UnseenClassesDetails(AnyDetails):
    """Details of `"unseen_classes"`: which classes, and the number of their samples."""

    classes: Numbers
    samples: int


class DuplicateDetails(AnyDetails):
    """Details of `"duplicates"`.

    Attributes:
        groups: The samples of each group of copies, the first groups.
        num_groups: Number of groups.
        one_shade: Samples of one shade, which are left aside.
        tasks: By task, in how many groups labels differ.
    """

    groups: Sequence[Sequence[int]]
    num_groups: int
    one_shade: int
    tasks: Mapping[str, Mapping[str, Any]]


class AlignmentDetails(AnyDetails):
    """Details of `"misaligned_labels"`.

    Attributes:
        task: The task whose labels slipped most.
        offset: By how many rows; 0 if none did.
        block_offsets: The same for parts of the samples.
        tasks: By task the offsets that were tried, and their scores.
    """

    task: str
    offset: int
    block_offsets: Any
    tasks: Mapping[str, Mapping[str, Any]]


class SignalDetails(AnyDetails):
    """Details of `"signal"`.

    Attributes:
        score: How well labels are predicted, of left-out samples.
        null_scores: The same for permuted labels.
        chance: The mean of these.
        watermarks_found: Whether a signal that was planted is seen, by its strength.
    """

    score: float
    null_scores: Numbers
    chance: float
    watermarks_found: NotRequired[Mapping[str, bool] | None]


class SkillDetails(AnyDetails):
    """Details of `"skill"`.

    Attributes:
        task: The task that is asked about.
        tasks: By task its metric, score, interval, baseline and skill.
        not_scored: By task why it has none.
        optimism: By how much the choice of the reference flatters it.
        by_reference: As `tasks`, for the reference, where `tasks` is of the model.
    """

    task: str
    tasks: Mapping[str, Mapping[str, Any]]
    not_scored: Mapping[str, str]
    optimism: NotRequired[float]
    by_reference: NotRequired[Mapping[str, Mapping[str, Any]]]


class SuspectDetails(TypedDict):
    """Labels to check, the most suspicious first.

    Attributes:
        rows: Numbers of the samples, as the user counts them.
        given: Their classes.
        likeliest: The classes that they look like.
        expected: How many are wrong by the estimated rate.
        images: The first of them, from 0 to 1.
    """

    rows: Numbers
    given: Numbers
    likeliest: Numbers
    expected: int
    images: NotRequired[NDArray[Any] | Sequence[Any]]


class UniformNoiseDetails(AnyDetails):
    """Details of `"uniform_noise"`.

    Attributes:
        ranks: How many labels have each rank by the reference's scores.
        rate_with_half_the_samples: The rate by a reference of half of the samples.
        suspects: Labels to check.
    """

    ranks: Numbers
    rate_with_half_the_samples: float
    suspects: SuspectDetails


class StructuredNoiseDetails(AnyDetails):
    """Details of `"structured_noise"`.

    Attributes:
        suspects: Labels to check.
        distance: By how many classes partners are apart around the circle; `None`: each class
            has a partner of its own.
        neighbours: Whether partners are neighbours.
        pairs: Class, partner, and the share of the partner's labels, the largest first.
        ladder: How often labels are the own class or the partner's, from clear samples on.
        single_pairs: Only some classes have exchanged labels.
    """

    suspects: SuspectDetails
    distance: int | None
    neighbours: bool
    pairs: Sequence[Sequence[float]]
    ladder: NotRequired[Steps]
    single_pairs: NotRequired[bool]


class AmbiguityDetails(AnyDetails, total=False):
    """Details of `"ambiguity"`, where classes are confused.

    Attributes:
        ladder: How often labels are the own class or the partner's, from clear samples on.
        distance: As in `StructuredNoiseDetails`.
        pairs: As there.
        or_flipped: Labels are mixed even where samples are clear.
        gain_with_half_the_samples: The gain by a reference of half of the samples.
    """

    ladder: Steps
    distance: int | None
    pairs: Sequence[Sequence[float]]
    or_flipped: bool
    gain_with_half_the_samples: float


class ClassOverlapDetails(AnyDetails, total=False):
    """Details of `"class_overlap"`, where classes are confused with both neighbours.

    Attributes:
        ladder: That of one side; `other_side` that of the other.
        or_flipped: Labels may be flipped instead.
    """

    ladder: Steps
    other_side: Steps
    or_flipped: bool


class AmountDetails(AnyDetails):
    """Details of `"too_little_data"`: the learning curve of the reference.

    Attributes:
        samples: Numbers of samples.
        scores: What is reached with each, from `low` to `high`.
        doubling_gain: What twice as many would gain.
        samples_of_class: Samples of a class, on average.
        way_from_constant: The share of the way from the best constant to perfection.
    """

    samples: Numbers
    scores: Numbers
    low: Numbers
    high: Numbers
    doubling_gain: float
    samples_of_class: float
    way_from_constant: float


class ConfusionDetails(AnyDetails):
    """Details of `"confusion"`.

    Attributes:
        matrix: A row for each true class, a column for each predicted one.
        of: Whose predictions they are.
    """

    matrix: NDArray[Any] | Sequence[Sequence[float]]
    of: str


class GalleryDetails(AnyDetails):
    """Details of `"gallery"`: some images of each class, from 0 to 1, and the classes or values."""

    images: NDArray[Any] | Sequence[Any]
    labels: Sequence[str]


class SymmetryDetails(AnyDetails):
    """Details of `"symmetry"`.

    Attributes:
        transform: The turn or flip that matters most.
        symmetric_share: The share of images that look the same after it, and its interval.
        twins: Classes that it turns into each other.
        groups: The group of each class; `None`: not known.
        twin_share: How often a symmetric image is taken for its twin.
        gain_of_random_groupings: What random groups of equal size gain.
        classes: By other task, which of its classes are symmetric.
        examples: Numbers of symmetric samples.
        transforms: By transform its status, share, gain and interval.
    """

    transform: str
    symmetric_share: float
    symmetric_share_interval: Interval
    twins: Sequence[Sequence[int]]
    groups: Numbers | None
    twin_share: float
    gain_of_random_groupings: float
    classes: Mapping[str, Mapping[str, Any]]
    examples: Numbers
    transforms: Mapping[str, Mapping[str, Any]]


class ContextDetails(AnyDetails):
    """Details of `"needs_context"`: what the label of another task adds.

    Attributes:
        task: The other task that adds most; the other names are of it.
        arms: Accuracies and intervals by what is given: the image alone, with the true, the
            predicted or a shuffled label, or the true label alone.
        gain: What the true label adds to the predicted one, with `interval`, `p`, `threshold`.
        gain_predicted: What a head that sees the prediction may gain.
        leaks: Whether the other label gives this one away.
        accuracy_of_other: How well the other task is read.
        read: Whether it is read better than its most frequent class.
        association: Whether the task is right more often where the other one is.
        tasks: The same by task.
        shown: The inputs show some of what is needed of the other task, or all of it.
    """

    task: str
    samples: int
    arms: Mapping[str, Mapping[str, Any]]
    gain: float
    interval: Interval
    p: float
    threshold: float
    status: Status
    gain_over_image: float
    gain_over_image_interval: Interval
    gain_over_shuffled: float
    gain_over_shuffled_interval: Interval
    gain_predicted: float
    gain_predicted_interval: Interval
    leaks: Any
    accuracy_of_other: float
    read: bool
    association: Mapping[str, Any]
    tasks: Mapping[str, Mapping[str, Any]]
    shown: bool


class LeakDetails(AnyDetails, total=False):
    """Details of `"label_leak"`: another label, or marks in the inputs, that give the label away.

    Attributes:
        task: The other task that gives most away; `bits`, `gain` and the rest are of it.
        bits_by_luck: The same after permutations.
        table: A row for each class of the other task, a column for each of this one.
        same: It is this task with its classes renamed.
        tasks: The same by task.
        pixels: Places of inputs whose values only training samples have.
        images: How many samples have them.
    """

    task: str
    samples: int
    bits: float
    bits_by_luck: float
    gain: float
    interval: Interval
    p: float
    threshold: float
    status: Status
    table: NDArray[Any] | Sequence[Sequence[float]]
    same: bool
    tasks: Mapping[str, Mapping[str, Any]]
    pixels: Numbers
    images: Numbers


class ImbalanceDetails(AnyDetails):
    """Details of `"imbalance"`.

    Attributes:
        of: Whose predictions were judged.
        counts: Training samples of each class; `ratio` of the most to the least.
        empty_classes: Classes without any.
        tau: How much of the frequency was taken off, in each half.
        mean_recall: Of the classes.
        accuracy: As predicted, and `accuracy_adjusted`.
        recall: By class, and `recall_adjusted`.
        recall_of_rare: Where rare classes lag behind, and `recall_of_frequent`.
        gain_of_adjustment: There, too.
        unit: Where the reference shows a cost, what that is of.
        harder: Unless it shows none, how much less it recalls of rare classes where all are
            equally few, as a share.
    """

    of: str
    counts: Numbers
    ratio: float
    empty_classes: Numbers
    tau: Sequence[float]
    mean_recall: float
    accuracy: float
    accuracy_adjusted: float
    recall: Sequence[float | None]
    recall_adjusted: Sequence[float | None]
    recall_of_rare: NotRequired[float]
    recall_of_frequent: NotRequired[float]
    gain_of_adjustment: NotRequired[float | None]
    unit: NotRequired[str]
    harder: NotRequired[float | None]


class ResolutionDetails(AnyDetails):
    """Details of `"resolution"`.

    Attributes:
        sides: Pixels of a side, by name of the resolution.
        scores: What is reached, by the same names.
        best_reduced: The best of the reduced ones.
        higher_given: Whether images of a higher resolution were given.
        detail_share: The share of the resolution that holds all detail.
        lost_by_halving: What half of it costs.
    """

    sides: Mapping[str, int | None]
    scores: Mapping[str, float]
    best_reduced: str
    higher_given: bool
    detail_share: float
    lost_by_halving: float


class UncertaintyDetails(AnyDetails):
    """Details of `"uncertainty"`.

    Attributes:
        of: Whose predictions they are.
        entropy: In bits: `total`, `quantiles`, `by_class`, and how it splits.
        share_of_a_guess: The entropy, as a share of that of a guess.
        bins: Samples, mean confidence and accuracy of bins of confidence.
        confidence: The mean, and the `accuracy`.
        temperature: What scores should be divided by.
        ensemble: How the entropy of an ensemble splits.
    """

    of: str
    entropy: Mapping[str, Any]
    share_of_a_guess: float
    bins: Sequence[Mapping[str, float]]
    confidence: float
    accuracy: float
    temperature: float
    ensemble: NotRequired[Mapping[str, Any] | None]


# === Of the model ===


class GapDetails(AnyDetails):
    """Details of `"model_gap"`: the model beside the best reference, on the same samples.

    Attributes:
        reference: Name of the reference.
        reference_skill: From 0, chance, to 1; `user_skill` of the model.
        reference_score: In the metric; `user_score` of the model.
        baseline: The score without skill.
        metric: `"accuracy"` or `"mae"`.
        reference_rows: The skill of each sample; `user_rows` of the model.
        labels: Their labels.
        class_counts: Training samples of each class; `None` for values.
        reference_probability: Probabilities of the classes; `user_probability` of the model.
        inner_skill: By reference, of a part of the training samples; `inner_score` of the best.
        features_rows: The skill by the user's features.
        seen_in_training: Samples that are copies of training samples.
        retrained: Whether a copy, trained on a part, stands for the model.
    """

    reference: str
    reference_skill: float
    user_skill: float
    reference_score: float
    user_score: float
    baseline: float
    metric: str
    reference_rows: Numbers
    user_rows: Numbers
    labels: Numbers
    class_counts: Numbers | None
    reference_probability: NDArray[Any] | None
    user_probability: NDArray[Any] | None
    inner_skill: Mapping[str, float]
    inner_score: float
    features_rows: Numbers | None
    seen_in_training: int
    retrained: bool


class ChangeDetails(AnyDetails, total=False):
    """Details of what was changed about the model, to see whether it helps.

    Attributes:
        gain: What the change gains over the model, and `gain_interval`.
        recovered: Which share of the gap to the reference that is.
        scores: The skill of each arm, that of the model and of the reference among them.
        steps: Steps of a training.
        code: The line that makes the change.
    """

    gain: float
    gain_interval: Interval
    recovered: float
    scores: Mapping[str, float]
    steps: Any
    code: str


class LocationDetails(ChangeDetails, total=False):
    """Details of `"head_destroys_space"` and `"backbone_lacks_task"`.

    Attributes:
        probes: Skills of linear probes along the network.
        reads_positions: How much the head's outputs depend on positions.
    """

    probes: Mapping[str, float]
    reads_positions: float | None


class CollapseDetails(AnyDetails):
    """Details of `"backbone_collapse"`: the rank of features, and channels that are constant."""

    rank: float
    rank_at_start: float
    dead: float
    dead_at_start: float
    code: str


class InputScaleDetails(ChangeDetails, total=False):
    """Details of `"input_scale"`: the inputs' mean and deviation, and the early lead."""

    mean: float
    deviation: float
    early: Sequence[Mapping[str, Any]]


class MismatchDetails(ChangeDetails, total=False):
    """Details of `"loss_mismatch"`: the skill on a handful of samples learned by heart, by loss."""

    by_heart: Mapping[str, float]


class UnderTrainedDetails(ChangeDetails, total=False):
    """Details of `"under_trained"`: the steps that the model had before."""

    steps_before: int


class HeadContextDetails(ChangeDetails, total=False):
    """Details of `"head_lacks_context"`: the other task."""

    task: str


class OptimizerDetails(ChangeDetails, total=False):
    """Details of `"optimizer"`: the rate of the model, and whether a higher one is better."""

    learning_rate: float
    rate_too_low: bool


class InterferenceDetails(ChangeDetails, total=False):
    """Details of `"interference"` and `"loss_starvation"`.

    Attributes:
        by_seed: The skill of each arm, by seed.
        reach: The best mean.
        share_of_equal: The share of the gradient, where 1 is an equal one.
        shares: By task; `shares_at_start` before any training.
        pairs: What `mtlkit.balancing.InterferenceMonitor` says of the gradients of the task and of
            each other one where they meet, while all are trained.
    """

    by_seed: Mapping[str, Sequence[float]]
    reach: float
    share_of_equal: float
    shares: Mapping[str, float]
    shares_at_start: Mapping[str, float]
    pairs: Sequence[Mapping[str, Any]]


class WiringDetails(AnyDetails):
    """Details of `"label_scale"` and `"stale_batch_norm"`: the place, and the line to mend it."""

    code: str
    task: str | None
    layer: str | None


class WeakFeaturesDetails(AnyDetails):
    """Details of `"weak_features"`, which has nothing beside its effect."""


#: The details of each piece of evidence, by its name.
DETAILS: dict[str, Any] = {
    "invalid_split": SplitDetails,
    "unseen_classes": UnseenClassesDetails,
    "duplicates": DuplicateDetails,
    "misaligned_labels": AlignmentDetails,
    "signal": SignalDetails,
    "skill": SkillDetails,
    "uniform_noise": UniformNoiseDetails,
    "structured_noise": StructuredNoiseDetails,
    "ambiguity": AmbiguityDetails,
    "class_overlap": ClassOverlapDetails,
    "too_little_data": AmountDetails,
    "confusion": ConfusionDetails,
    "gallery": GalleryDetails,
    "symmetry": SymmetryDetails,
    "needs_context": ContextDetails,
    "label_leak": LeakDetails,
    "imbalance": ImbalanceDetails,
    "resolution": ResolutionDetails,
    "uncertainty": UncertaintyDetails,
    "model_gap": GapDetails,
    "head_destroys_space": LocationDetails,
    "backbone_lacks_task": LocationDetails,
    "backbone_collapse": CollapseDetails,
    "input_scale": InputScaleDetails,
    "loss_mismatch": MismatchDetails,
    "under_trained": UnderTrainedDetails,
    "optimizer": OptimizerDetails,
    "head_lacks_context": HeadContextDetails,
    "interference": InterferenceDetails,
    "loss_starvation": InterferenceDetails,
    "label_scale": WiringDetails,
    "stale_batch_norm": WiringDetails,
    "weak_features": WeakFeaturesDetails,
}


def details_of(evidence: Evidence, kind: type[_T]) -> _T:
    """Reads the details of evidence as those of a kind."""
    return cast(_T, evidence.details)
