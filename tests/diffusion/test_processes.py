"""Two processes on the CPU train one network, launched as people would launch them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.diffusion import processes
from engine.errors import EngineError

SCRIPT = """
import sys
import time
from dataclasses import replace
from pathlib import Path
import torch
from engine.diffusion.config import read_config
from engine.diffusion.processes import launched
from engine.diffusion.recipe import make_stage
from engine.diffusion.device import use_device
from engine.diffusion.train import Plan, train
from tests.diffusion.source import WaveSource

out = Path(sys.argv[1])
config, here = read_config(Path("smoke")), launched()


class Uneven(WaveSource):
    # pairs take the second process longer and are others there: only what is shared can agree
    def batch(self, count, rng):
        time.sleep(0.4 * here.index)
        batch = super().batch(count, rng)
        return replace(batch, change=batch.change * (1 + here.index), offset_m=batch.offset_m * (1 + here.index))


uneven = len(sys.argv) > 2
source = Uneven() if uneven else WaveSource()
plan = Plan(minutes=0.1) if uneven else Plan(images=48)
for name in ("autoencoder", "denoiser") if uneven else ("autoencoder",):
    stage = make_stage(name, config, source, use_device("cpu", 1), out)
    pool = train(stage, config, plan, out).pool
    state = {"pool": torch.tensor(pool), **stage.module.state_dict()}
    torch.save(state, out / f"{name}-{here.index}-of-{here.count}.pt")
here.leave()
# a thread of the closed group that drops a tensor while the interpreter ends aborts the process, once in some ten runs
threads = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in threads if "gloo" in name], threads
"""


def launch(folder, *arguments):
    """Run SCRIPT in two processes that write into `folder`."""
    script = folder / "train.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [str(script), str(folder), *arguments]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr


def assert_alike(folder, stage):
    """Both processes have the same pool's length, fitted statistics and weights; returns the length."""
    one, other = (torch.load(folder / f"{stage}-{index}-of-2.pt", weights_only=True) for index in (0, 1))
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
    return int(one["pool"])


def test_two_processes_share_one_training(tmp_path):
    launch(tmp_path)
    assert assert_alike(tmp_path, "autoencoder") == 32
    lines = (tmp_path / "autoencoder.jsonl").read_text().splitlines()
    assert lines[-1].count('"images": 48')
    assert lines[-1].count('"step": 6,')  # 48 samples are six steps of two batches of four
    assert load_file(tmp_path / "autoencoder.safetensors")


def test_processes_with_clocks_of_their_own_agree_on_the_pool_and_on_what_is_fitted_on_it(tmp_path):
    launch(tmp_path, "uneven")
    for stage, least, most in (("autoencoder", 16, 32), ("denoiser", 48, 48)):
        assert least <= assert_alike(tmp_path, stage) <= most


def test_alone_gradients_stay_and_no_accelerate_is_needed(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([1.0, 2.0])
    alone = processes.launched()
    alone.average_gradients([weight])
    assert weight.grad.tolist() == [1.0, 2.0]
    assert alone.is_main
    assert alone.agree(0.5) == 0.5


def test_several_processes_without_accelerate_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(EngineError, match="expected accelerate"):
        processes.launched()
