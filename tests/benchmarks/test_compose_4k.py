"""The composing benchmark compares like with like."""

import numpy as np

from benchmarks.compose_4k import MAPS, inputs, peak_mib, table, whole_maps
from engine.composer import compose_maps


def test_both_ways_give_the_same_maps_and_strips_need_less_memory():
    given = inputs(512, 2)
    strips, whole = compose_maps(*given), whole_maps(*given)
    for name in MAPS[:3]:
        assert np.abs(getattr(strips, name).astype(int) - getattr(whole, name)).max() <= 1  # halves round either way
    np.testing.assert_allclose(strips.slope, whole.slope, atol=4e-3)
    assert peak_mib(compose_maps, *given) < peak_mib(whole_maps, *given)


def test_the_table_gives_ratios_to_strips():
    text = table(4096, 4, {"strips": 0.5, "whole maps": 4.0}, {"strips": 20.0, "whole maps": 1600.0})
    assert "| strips | 0.50 | 1.0 | 20 | 1.0 |" in text
    assert "| whole maps | 4.00 | 8.0 | 1600 | 80.0 |" in text
