"""Every reader, over damaged inputs of its kind: it reads them, or says in one line what is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.checks import one_line
from engine.errors import EngineError
from tests.mutations import damage
from tests.readers import READERS, Reader

PER_READER = 20
SLOW = {"training folder", "release"}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damage_is_read_or_refused(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPDIFF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "good").mkdir()
    good = reader.make(tmp_path / "good")
    reader.read(good)
    others = [path.read_bytes() for path in sorted((tmp_path / "good").rglob("*")) if path.is_file()][:4]
    refused = 0
    count = PER_READER // 4 if reader.name in SLOW else PER_READER
    for number in range(count):
        rng = np.random.default_rng([number, *reader.name.encode()])
        shutil.rmtree(tmp_path / "bad", ignore_errors=True)
        shutil.copytree(tmp_path / "good", tmp_path / "bad")
        bad = tmp_path / "bad" / good.relative_to(tmp_path / "good")
        what = damage(bad, [*others, b"hello", b"\xef\xbb\xbf[]"], rng)
        try:
            if reader.read(bad) is None:  # a cache that throws it away
                refused += 1
        except EngineError as error:
            refused += len(one_line(error)) > 20
        except Exception as error:
            raise AssertionError(f"{reader.name}, seed {number}, {what}: {error!r}") from error
    assert refused > count // 4  # or nothing was damaged
