"""Every threshold that decides what a diagnosis says, with its reason."""

from __future__ import annotations

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

# --- data ----------------------------------------------------------------------------------------

#: Energy of the last octave of spatial frequency, in shares of that of the octave before it. Photos
#: at their own size have a quarter to more than a half; interpolated ones less than a tenth.
EMPTY_OCTAVE = 0.15

# --- verdict -------------------------------------------------------------------------------------

#: An estimate of so many wrong labels, though unsure, is too much to call a task healthy.
LIKELY_NOISE = 0.1

# --- triage --------------------------------------------------------------------------------------

#: Samples of a task that are looked at: enough for an interval of two points.
TRIAGED = 4000
#: Below this skill nobody learns a task; from the other on, there is little left to learn.
HARDLY_ANY_SKILL, LEARNED = 0.05, 0.9
