"""PhasesTarget: an angle as its cosines at several phases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import i0e, i1e
from scipy.stats import vonmises

from mtlkit.heads.targets import PhasesTarget

PHASES = [(0.0, -90.0), (120, 240, 360), (72, 144, 216, 288, 360), (0, 50)]
PSC = PHASES[1:3]  # evenly spread
turns = st.floats(0, 1, exclude_max=True)


def array(x):
    return ops.convert_to_numpy(x)


def encoded(turn, phases, length=1.0):
    """`cos(a + phase)`, shrunk as the expectation over a distribution of that length is."""
    angle = 2 * np.pi * np.atleast_1d(turn)[:, None]
    return (length * np.cos(angle + np.deg2rad(phases))).astype("float32")


@pytest.mark.parametrize("phases", PHASES)
@given(turn=turns, length=st.floats(0.05, 1.0))
def test_round_trip(phases, turn, length):
    target, outputs = PhasesTarget(32, phases), encoded(turn, phases, length)
    gap = (array(target.position(outputs))[0] - 32 * turn + 16) % 32 - 16
    assert abs(gap) < 1e-3
    assert array(target.resultant_length(outputs))[0] == pytest.approx(length, abs=1e-5)


@pytest.mark.parametrize("phases", PSC)
def test_phase_shifting_coder(phases):
    """Of evenly spread phases: the sum is 0, the sum of squares half their number."""
    profile = np.eye(32, dtype="float32") * 16  # whose first harmonic has the length 1
    outputs = array(PhasesTarget(32, phases).outputs(profile))
    np.testing.assert_allclose(outputs, encoded(np.arange(32) / 32, phases), atol=1e-5)
    np.testing.assert_allclose(outputs.sum(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose((outputs**2).sum(axis=1), len(phases) / 2, rtol=1e-5)


def test_position_of_psc_is_that_of_the_paper():
    x = np.random.default_rng(0).normal(size=(20, 3))
    n = 2 * np.pi * np.arange(1, 4) / 3
    angle = -np.arctan2((x * np.sin(n)).sum(axis=1), (x * np.cos(n)).sum(axis=1))
    found = array(PhasesTarget(360, PSC[0]).position(x.astype("float32")))
    gap = (found - np.rad2deg(angle) + 180) % 360 - 180
    np.testing.assert_allclose(gap, 0, atol=1e-3)


class TestOutputs:
    @pytest.mark.parametrize("phases", PHASES)
    def test_first_harmonic(self, phases):
        profile = np.random.default_rng(0).normal(size=(5, 16))
        harmonic = 2 * np.fft.fft(profile, axis=1)[:, 1].conj() / 16
        expected = (harmonic[:, None] * np.exp(1j * np.deg2rad(phases))).real
        found = array(PhasesTarget(16, phases).outputs(profile.astype("float32")))
        np.testing.assert_allclose(found, expected, atol=1e-5)

    @pytest.mark.parametrize("phases", PHASES)
    @given(shift=st.integers(0, 15), seed=st.integers(0, 99))
    def test_rolling_the_profile_turns_the_angle(self, phases, shift, seed):
        target = PhasesTarget(16, phases)
        profile = np.random.default_rng(seed).normal(size=(3, 16)).astype("float32")
        plain, rolled = (target.outputs(p) for p in (profile, np.roll(profile, shift, axis=1)))
        gap = array(target.position(rolled)) - array(target.position(plain)) - shift
        np.testing.assert_allclose((gap + 8) % 16 - 8, 0, atol=1e-3)
        length = array(target.resultant_length(plain))
        np.testing.assert_allclose(array(target.resultant_length(rolled)), length, atol=1e-4)
        probability = array(target.probability(plain))
        np.testing.assert_allclose(
            array(target.probability(rolled)), np.roll(probability, shift, axis=1), atol=1e-3
        )


class TestProbability:
    """The von Mises distribution of the angle and length that the outputs say."""

    @pytest.mark.parametrize("phases", PHASES)
    @given(turn=turns, length=st.floats(0.05, 0.95))
    def test_direction_and_length(self, phases, turn, length):
        """The concentration is an approximation: lengths are up to 0.012 too large."""
        probability = array(PhasesTarget(32, phases).probability(encoded(turn, phases, length)))[0]
        moment = np.sum(probability * np.exp(2j * np.pi * (np.arange(32) / 32 - turn)))
        assert abs(np.angle(moment)) < 1e-3
        assert abs(moment) == pytest.approx(length, abs=0.012)

    def test_error_of_the_concentration(self):
        """Against the ratio of Bessel functions: largest, 0.0116, at a length of 0.79."""
        length = np.linspace(0.05, 0.95, 91)
        outputs = encoded(np.zeros(91), PHASES[0], length[:, None])
        found = array(PhasesTarget(360).probability(outputs)) @ np.cos(np.deg2rad(np.arange(360)))
        concentration = length * (2 - length**2) / (1 - length**2)
        expected = i1e(concentration) / i0e(concentration)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert length[np.argmax(found - length)] == pytest.approx(0.79, abs=0.02)
        assert np.max(found - length) == pytest.approx(0.0116, abs=1e-4)
        assert np.min(found - length) > -1e-5

    def test_shape_is_that_of_scipy(self):
        probability = array(PhasesTarget(32).probability(encoded(0.3, PHASES[0], 0.8)))[0]
        angle = 2 * np.pi * (np.arange(32) / 32 - 0.3)
        concentration = np.log(probability.max() / probability.min()) / np.ptp(np.cos(angle))
        density = vonmises(concentration).pdf(angle)
        np.testing.assert_allclose(probability, density / density.sum(), atol=1e-5)

    @pytest.mark.parametrize("length", [1.0, 1.5, 40.0])
    def test_sure(self, length):
        target, outputs = PhasesTarget(32), encoded(7 / 32, PHASES[0], length)
        probability = array(target.probability(outputs))[0]
        assert probability.argmax() == 7 and probability[7] > 0.99
        assert array(target.resultant_length(outputs)) == pytest.approx([1.0], abs=1e-6)

    def test_nothing_said(self):
        target, zero = PhasesTarget(32), np.zeros((1, 2), "float32")
        np.testing.assert_allclose(array(target.probability(zero)), 1 / 32, atol=1e-6)
        assert array(target.resultant_length(zero)) == pytest.approx([0.0], abs=1e-6)
        assert array(target.position(zero)) == [0.0]


def test_just_below_zero_is_zero():
    """In float32 the angle is a whole turn, which is no position."""
    outputs = np.array([[1.0, -1e-9], [1.0, -1e-30], [1.0, 1e-9]], "float32")
    np.testing.assert_allclose(array(PhasesTarget(32).position(outputs)), 0, atol=1e-6)


@pytest.mark.parametrize("phases", [(), (30,), (0, 180), (0, 360), (10, 190, 370)])
def test_phases_that_do_not_tell_angles_apart(phases):
    with pytest.raises(ValueError, match="neither equal nor opposite. Received: phases="):
        PhasesTarget(8, phases)


def test_phases_are_kept():
    assert PhasesTarget(8, [0, 60]).get_config()["phases"] == (0.0, 60.0)
