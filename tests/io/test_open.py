"""What `open_project` takes, and how it goes from one kind to the next without loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import FileFormatError
from engine.export import export_jreflectance, save_screenshot
from engine.face.builtin import builtin_identity
from engine.io.images import read_rgb
from engine.io.project import save_project
from engine.open import READERS, open_project
from engine.project import Project, framed, new_project
from tests.heads import make_expressions, make_head, write_mesh


def test_folder_and_project_open_to_the_same_head(tmp_path: Path) -> None:
    head = make_head(16)
    project = Project(head, make_expressions(head), {"Jaw Open": 0.5}, new_project(head).scene)
    save_project(project, tmp_path / "a.expdiff")
    export_jreflectance(project, tmp_path / "a")
    from_file, from_folder = open_project(str(tmp_path / "a.expdiff")), open_project(str(tmp_path / "a"))
    assert dict(from_file.weights) == {"Jaw Open": 0.5}
    assert dict(from_folder.weights) == {}
    assert set(from_file.expressions.names) == set(from_folder.expressions.names)
    assert from_file.identity.topology.hash == from_folder.identity.topology.hash
    assert from_folder.scene.view.camera == framed(from_folder.identity)


def test_a_real_head_keeps_its_topology_through_the_folder(tmp_path: Path) -> None:
    """So has all that is kept by that hash."""
    head = open_project("builtin:3").identity
    export_jreflectance(new_project(head), tmp_path / "p")
    found = open_project(str(tmp_path / "p")).identity
    assert found.topology.hash == head.topology.hash
    np.testing.assert_array_equal(found.positions_m, head.positions_m)
    assert found.name == head.name
    assert found.provenance == head.provenance


def test_one_reader_is_surer_than_all_others(tmp_path: Path) -> None:
    """So that no order of them decides."""
    export_jreflectance(new_project(make_head(16)), tmp_path / "set" / "p1")
    save_project(new_project(make_head(16)), tmp_path / "a.expdiff")
    write_mesh(tmp_path / "mesh" / "head.obj")
    inputs = ["builtin", "builtin:3", "builtin:?seed=1", "none?seed=3", str(tmp_path / "set" / "p1")]
    inputs += [str(tmp_path / name) for name in ("a.expdiff", "mesh", "mesh/head.obj")]
    for path in inputs:
        scores = sorted(reader.can_read(path) for reader in READERS)
        assert scores[-1] > scores[-2], path
    assert all(reader.can_read(str(tmp_path)) == 0 for reader in READERS)


def test_a_built_in_head_is_painted_once_and_anew_where_what_was_kept_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPDIFF_CACHE", str(tmp_path))
    painted = builtin_identity(4)
    calls: list[int] = []
    monkeypatch.setattr("engine.face.builtin.builtin_identity", lambda seed: calls.append(seed) or painted)
    for wanted in ([4], [4], [4, 4]):
        head = open_project("builtin:4").identity
        assert calls == wanted
        assert head.hash == painted.hash
        assert (head.name, head.provenance, head.known_maps) == (painted.name, painted.provenance, painted.known_maps)
        np.testing.assert_array_equal(head.occlusion, painted.occlusion)
        if len(calls) == 1 and head is not painted:
            (kept,) = tmp_path.glob("*.head")
            kept.write_bytes(kept.read_bytes()[:-100])


@pytest.mark.parametrize("path", ["builtin:-1", "builtin:1.5", "builtin:99999999999"])
def test_odd_seeds(path: str) -> None:
    with pytest.raises(FileFormatError, match="whole number"):
        open_project(path)


def test_a_question_that_is_no_seed(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"\?seed=N"):
        open_project(f"{tmp_path}?size=3")


def test_a_screenshot_is_the_picture(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    save_screenshot(picture, str(tmp_path / "new" / "a.png"))
    np.testing.assert_array_equal(read_rgb(tmp_path / "new" / "a.png"), picture[..., :3])
