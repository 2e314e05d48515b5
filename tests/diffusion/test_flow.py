"""Schedule and sampler against a case with a closed form: data that is normal with known mean and deviation."""

from itertools import pairwise

import pytest
import torch

from engine.diffusion.schedule import FULL_NOISE_SHARE, GROUPS, euler, geometry_time, sampling_times, training_times

MEAN, DEVIATION = 1.5, 0.4


def exact_velocity(state, time):
    """E[n - x | z] for x ~ N(MEAN, DEVIATION^2), z = (1 - t) x + t n: linear in z."""
    variance = (1 - time) ** 2 * DEVIATION**2 + time**2
    gain = (time - (1 - time) * DEVIATION**2) / variance
    return -MEAN + gain * (state - (1 - time) * MEAN)


def exact_end(start):
    """The flow keeps quantiles: noise of n deviations ends n deviations from the mean."""
    return MEAN + DEVIATION * start


def error(steps, start):
    *_, (state, _) = euler(exact_velocity, start, list(torch.linspace(1, 0, steps + 1, dtype=torch.float64)))
    return float((state - exact_end(start)).abs().max())


def test_euler_converges_with_first_order():
    start = torch.linspace(-2, 2, 9, dtype=torch.float64)
    errors = [error(steps, start) for steps in (32, 64, 128, 256)]
    orders = [torch.log2(torch.tensor(a / b)).item() for a, b in pairwise(errors)]
    assert orders == pytest.approx([1.0] * 3, abs=0.12)
    assert errors[-1] < 0.01


def test_a_point_is_reached_in_one_step_with_times_per_channel():
    goal, start = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    times = [torch.tensor(row)[:, None, None] for row in ((1.0, 1.0, 1.0), (0.4, 0.4, 0.7), (0.0, 0.0, 0.0))]
    samples = list(euler(lambda state, time: (state - goal) / time, start, times))
    assert len(samples) == 2
    for _, clean in samples:
        torch.testing.assert_close(clean, goal)
    torch.testing.assert_close(samples[0][0], goal + times[1] * (start - goal))
    torch.testing.assert_close(samples[1][0], goal)


def test_training_times_cover_full_noise_and_keep_geometry_cleaner():
    times = training_times(20_000, torch.Generator().manual_seed(0))
    assert times.shape == (20_000, GROUPS)
    assert ((times > 0) & (times <= 1)).all()
    full = (times == 1).all(1)
    assert full.float().mean() == pytest.approx(FULL_NOISE_SHARE, abs=0.02)
    tied = times[~full][(times[~full, 0] - geometry_time(times[~full, 1])).abs() < 1e-6]
    assert len(tied) / (~full).sum() == pytest.approx(0.75, abs=0.02)
    assert (tied[:, 0] < tied[:, 1]).all()
    assert torch.equal(times, training_times(20_000, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_sampling_times_fall_from_one_to_zero(steps):
    times = sampling_times(steps)
    assert times.shape == (steps + 1, GROUPS)
    assert (times[0] == 1).all()
    assert (times[-1] == 0).all()
    assert (times.diff(dim=0) < 0).all()
    assert (times[1:-1, 0] < times[1:-1, 1]).all()


def test_no_steps_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        sampling_times(0)
