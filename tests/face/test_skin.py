"""Maps that are inferred from a colour texture alone."""

import numpy as np
import pytest

from engine.face.skin import complete_maps


@pytest.mark.parametrize("size", [1024, 2048])
def test_detail_of_a_few_texels_becomes_relief_at_any_size(size):
    period = 6  # texels
    wave = np.cos(np.arange(size) * 2 * np.pi / period)
    texture = np.rint(np.array([190.0, 150.0, 130.0]) * (1 + 0.03 * np.broadcast_to(wave, (size, size)))[..., None])
    maps = complete_maps(texture.astype(np.uint8))
    bare = (slice(int(size * 0.42), int(size * 0.46)), slice(int(size * 0.6), int(size * 0.68)))  # a cheek
    slope = maps.slope[bare].astype(np.float32)
    rise = np.broadcast_to(np.gradient(wave), (size, size))[bare]
    assert np.corrcoef(slope[..., 0].ravel(), -rise.ravel())[0, 1] > 0.95  # bright is high, normals lean downhill
    assert slope[..., 0].std() > 0.01
    assert slope[..., 1].std() < 1e-3
    assert maps.diffuse_srgb.shape[:2] == maps.size == (size, size)
