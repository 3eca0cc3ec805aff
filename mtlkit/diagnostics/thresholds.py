"""Every threshold that decides what a diagnosis says, with its reason."""

from __future__ import annotations

# --- all evidence ------------------------------------------------------------------------------

#: How unlikely luck must be before a probe speaks of an effect, after correction for all looks.
ALPHA = 0.01
#: No effect below two points is worth a user's time.
LEAST_EFFECT = 0.02
#: Nor is one below a tenth of what can be learned at all, the way from chance to the ceiling.
LEAST_SHARE = 0.1

# --- preflight -----------------------------------------------------------------------------------

#: Samples that a preflight looks at: enough for rates of dead units, few enough for seconds.
BATCH = 64
#: Training steps that it tries, and then takes back.
STEPS = 10
#: So few whole numbers look like classes.
FEW_VALUES = 10
#: The share of samples whose label an activation cannot reach: below it, they may be outliers.
UNREACHABLE_LABELS = 0.01
#: Probabilities that sum to 1 within this much are normalised: float32 errors stay far below.
NORMALISED = 1e-3
#: Values of a layer's input of this mean or spread are far from the 1 that initial weights expect.
LARGE_INPUT = 10.0
#: Values below this spread are lost beside the biases that training adds.
SMALL_INPUT = 1e-2
#: Columns whose spreads differ this many times share no learning rate.
UNEVEN_COLUMNS = 1000.0
#: A first loss this many times that of the best constant, and at least one nat above it, says that
#: outputs start out wrong, not undecided.
FAR_FROM_CONSTANT = 2.0
#: The same of squared errors, which grow with the square of an offset that is easily learned.
FAR_FROM_CONSTANT_VALUE = 10.0
#: A constant's loss below this is no scale to compare with.
LEAST_LOSS = 1e-3
#: Share of a layer's units that are 0 for every sample. Many are where inputs are positive, so
#: half of them is a hint; nearly all of them leave nothing to learn from.
DEAD_UNITS, MOST_DEAD_UNITS = 0.5, 0.9
#: Share of a bounded activation's values within 1 % of its limits.
SATURATED_UNITS = 0.8
#: Outputs that vary between samples by less than this share of their size are one constant.
CONSTANT_OUTPUT = 1e-5
#: A layer's relative gradient below this share of the largest layer's hardly trains beside it.
VANISHING = 1e-4
#: A relative gradient above this moves weights by far more than their size at common rates.
EXPLODING = 1e4
#: In the steps that are tried the loss must not rise by more than this share of itself.
RISING = 0.05
#: A fall below this share in all steps is hardly one.
HARDLY_FALLS = 1e-3
#: By how much smaller rates are that are tried where the loss rises.
SLOWER = (10, 100, 1_000, 10_000, 100_000)
#: Rates that are tried where the loss hardly falls, in multiples of the model's.
RATES_TRIED = (100, 10_000)
#: How many times the fall must grow at such a rate for the model's to be called too small.
FASTER = 20.0
#: With more steps than this to reach the mean of the labels, their scale is what holds it back.
STEPS_TO_THE_MEAN = 10_000
#: Inference loses this many times more than training on the same samples: statistics lag behind.
STALE_STATISTICS = 1.5
#: The difference must also be this share of the loss of the best constant, to matter.
STALE_SHARE = 0.1
#: Shares of a layer's inputs that dropout removes, from where on it is worth a word.
LARGE_DROPOUT = 0.8
#: Times by which a penalty of weights may exceed the loss of the data.
LARGE_PENALTY = 10.0

# --- references ----------------------------------------------------------------------------------

#: Two references agree on the size of an effect within this much, or this share of it, whichever
#: is more: a poorer one adds mistakes of its own.
AGREE, AGREE_SHARE = 0.06, 0.4
#: So many other references are asked, the best first.
OTHERS_ASKED = 2
#: From so many classes on, wrong labels show by their rank among all classes.
SEVERAL_CLASSES = 6
#: From this skill on a reference makes so few mistakes that they cannot be taken for the data's,
SKILLED_ENOUGH = 0.8
#: unless twice as many samples would still add this much accuracy.
STILL_LEARNS = 0.03

#: Where neighbouring rows have like labels, labels that slipped fit this many times as well once
#: moved back; those of a series that is meant to look ahead fit well where they are.
SLIPPED = 4.0

# --- data ----------------------------------------------------------------------------------------

#: Energy of the last octave of spatial frequency, in shares of that of the octave before it. Photos
#: at their own size have a quarter to more than a half; interpolated ones less than a tenth.
EMPTY_OCTAVE = 0.15
#: A rate below this does not matter.
UNIFORM_NOISE = 0.04
#: A look at more samples may find a higher rate by this share of half its interval, not by more.
RATE_RISES = 0.5
#: Wrong labels stay when there are more samples, mistakes of the reference become fewer: a
#: rate below this share of that with half of the samples is not noise.
NOISE_STAYS = 0.6
#: The same of a reference that will be right more often than the rate allows, if twice as many
#: samples help it as much as the last ones.
NOISE_STAYS_LEARNING = 0.8
#: Where most labels would be wrong, a reference that knows next to nothing looks the same.
MOST_WRONG = 0.5
#: A rate below this many times the threshold may be mistakes of the reference near borders.
SURE_NOISE = 2.5
#: A rate below this does not matter.
STRUCTURED_NOISE = 0.05
#: With fewer samples to read a floor from, mistakes of the reference look like one.
LEAST_OF_LADDER = 400
#: The same holds for classes with fewer samples than this, on average.
FEW_OF_CLASS = 40
#: Wrong labels stay when there are more samples, mistakes of the reference become fewer: a
#: floor below this share of that with half of the samples is not told from them.
EXCHANGE_STAYS = 0.6
#: Where labels of both neighbours are mixed alike: if images tell them apart but for a floor below
#: the first of these, labels were flipped; above the second one, classes overlap; between them,
#: it may be either.
TOLD_APART, UNTOLD = 0.2, 0.28
#: Neighbours on both sides, one at least this share as often as the other, are an overlap.
BOTH_SIDES = 0.6
#: Samples of a class to read a floor from, at least.
LEAST_OF_PAIR = 100
#: A class stands out from this floor on; at most half of the classes do, or it is no matter of
#: single pairs.
STANDS_OUT = 0.05
#: Exchanged labels stay within the two classes, so there are about as many predictions of both
#: as labels. A linear reference takes what is near an end of a scale for the end itself.
AS_MANY = (0.7, 1.15)
#: A class that is predicted less often than this share of its labels is not known by itself: it may
#: be a kind of another class that the inputs do not show, rather than its wrong labels.
HARDLY_PREDICTED = 0.6
#: Above it, labels flipped half of the time are not told from twins.
HALF_EXCHANGED = 0.42
#: What merging the classes must gain, in accuracy, to matter.
AMBIGUITY = 0.05
#: Where floors reach up to this, images do not tell the two classes apart.
TWINS_HALF = 0.42
#: Mixed labels of clear samples that are more than this are no accident.
TWINS_MIXED = 0.3
#: Images stay alike when there are more samples, mistakes of the reference become fewer: a
#: gain below this share of that with half of the samples is not ambiguity.
CONFUSION_STAYS = 0.75
#: Classes that overlap stay mixed, mistakes become fewer: a reference that makes less than this
#: share of the mistakes that it made with half of the samples is still learning to tell them apart.
MISTAKES_STAY = 0.75
#: Labels of neighbours below this share do not matter.
CLASS_OVERLAP = 0.05
#: What doubling the data must gain, in accuracy, to say that there are too few.
TOO_LITTLE_DATA = 0.03
#: Who comes further than this from the best constant to perfection does not lack data in the
#: first place.
FAR_FROM_LEARNED = 0.5
#: A class is rare below this part of an equal share of the samples, and frequent from one on.
RARE_CLASS = 0.5
#: Rare classes are learned badly if so much of the frequent ones' recall is missing.
RARE_LAG = 0.5
#: Where all classes are equally few, rare ones that are known so much less are hard by themselves.
HARDER = 0.5
#: How many times chance a reference has to reach there, so that what it says counts.
LEARNED_EVENLY = 1.5
#: Two tasks are one under two names if so large a share of their labels belongs together; related
#: ones, such as both eyes of a patient, agree in four of five.
SAME_TASK = 0.95
#: The least mutual information that is a leak, in bits: with less, a label is not given away
#: however sure it is that the two depend on each other.
LEAST_BITS = 0.02
#: Copies in the validation data lift its accuracy by at most their share: two points matter.
COPIES_THAT_MATTER = 0.02
#: Samples of classes that were never shown are all missed, so that their share is what they cost.
UNSEEN = 0.02
#: A symmetric image differs from its turned self no more than from its nearest neighbour, give
#: or take: noise moves both alike.
NEAREST_TWIN = 1.5
#: And far less than from a usual other image, in squared distance.
USUAL_TWIN = 0.25
#: Of exact twins, the reference takes each for the other half of the time. A detail that tells
#: them apart makes the right one win; from here on they count as twins.
TWIN_SHARE = 0.35
#: The axis of a flip must be so many times as frequent as any other.
CLEAR_TWIN = 2.0
#: Share of the spread of pixels within blocks that are one repeated pixel.
REPEATED_PIXELS = 1e-4
#: Skill from here on counts, as a share of the way from the baseline to perfection.
LEAST_SKILL = 0.02
#: A near copy is so much nearer than the usual nearest neighbour, by which new images of the
#: same kind are told from images that were saved twice.
NEAR_COPY = 0.25

# --- model ---------------------------------------------------------------------------------------

#: A simple reference has to be so much skill ahead of networks.
SIMPLE_IS_AHEAD = 0.05
#: The share of the gap to the reference that a remedy has to recover, and that by which it has to
#: be ahead of its rivals.
HEAD_RECOVERS, HEAD_AHEAD = 0.5, 1 / 3
#: Features have collapsed where so much of their rank, or so many channels, are gone.
COLLAPSED = 0.9
#: A head reads positions if what it says changes so much when the map is moved, compared with
#: another sample's map.
MOVED = 0.3
#: A handful is learned from this skill on; a loss that is so much behind on it does not fit.
BY_HEART, BEHIND_BY_HEART = 0.5, 0.2
LOSS_RECOVERS = 0.5
#: The share of the gap to the reference that standardised inputs have to recover on the task
#: alone: what raw ones spoil, a poor head often spoils, too.
SCALE_RECOVERS = 1 / 3
#: Where even the best training closes less of the gap, none has left the plateau.
LEFT_THE_PLATEAU = 0.1
#: That there is no effect can be said of arms of which one recovers so much of the gap.
ARMS_LEARN = 0.5
#: A task is starved if its share is below this part of an equal one.
STARVED = 0.5
#: The share of the gap to the reference that a remedy has to recover.
RECOVERED = 0.5
#: That a change does not help is only said after this share of the user's steps.
ENOUGH_STEPS = 0.2
#: The mean may be off by so many deviations, and the deviation by such a factor.
MEAN_OFF, SCALE_OFF = 0.5, 4.0

# --- verdict -------------------------------------------------------------------------------------

#: An estimate of so many wrong labels, though unsure, is too much to call a task healthy.
LIKELY_NOISE = 0.1
#: What other tasks do explains a gap to the reference from this share of it on, unless nothing
#: else does. (The other probes of the model ask the same of themselves.)
EXPLAINS = 0.5
#: The trainings that tell are shorter than the user's, and close less of the gap. Of a task with
#: such a small part of an equal share of the gradient, what they reach at all is the measure.
HARDLY_ANY_SHARE = 0.1
#: Beside exchanged labels, fewer than so many of theirs are not called wrong by chance.
OF_EXCHANGED = 0.5
#: So few samples of a class are few for any task that is not learned from them.
FEW_SAMPLES = 20
#: Of classes so uneven, the rare ones have next to no samples where there are few.
UNEVEN_CLASSES = 10
#: A task that nobody comes half of the way with is not called healthy.
HALF_OF_THE_WAY = 0.5
#: Of a task that nobody comes so far with, labels tell nothing: they may be wrong by chance, or
#: the images may not show them, and one test in a hundred sees a signal where there is none.
FAINT = 0.05
#: A margin for the score of a network on some hundred samples.
MARGIN = 0.03
#: Behind a head that loses positions, standardised inputs must bring so much of what they reach,
#: and surely so much skill.
OF_REACH, SURELY = 0.1, 0.02

# --- triage --------------------------------------------------------------------------------------

#: Samples of a task that are looked at: enough for an interval of two points.
TRIAGED = 4000
#: Below this skill nobody learns a task; from the other on, there is little left to learn.
HARDLY_ANY_SKILL, LEARNED = 0.05, 0.9
