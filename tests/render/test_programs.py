"""How many programs of the head are kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from engine.project import new_project
from engine.render import passes
from engine.render.offscreen import render_image
from engine.render.renderer import Renderer
from engine.scene import ToneCurve, ViewChannel, scene_with
from tests.heads import make_head


def test_programs_used_longest_ago_are_given_back_and_made_again(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "PROGRAMS_KEPT", 6)
    project = new_project(make_head(16, rings=8, segments=12))
    shown = [
        replace(
            project, scene=scene_with(project.scene, dual_specular=dual, tone_curve=tone, channel=channel, uv_view=flat)
        )
        for dual, tone, channel, flat in product((True, False), ToneCurve, ViewChannel, (True, False))
    ]
    first = render_image(project, 40, 30, renderer=renderer)
    for each in shown:
        render_image(each, 8, 6, renderer=renderer)
        assert len(renderer.head.parts.programs) <= passes.PROGRAMS_KEPT
    assert len(renderer.head.parts.programs) == passes.PROGRAMS_KEPT
    np.testing.assert_array_equal(render_image(project, 40, 30, renderer=renderer), first)
