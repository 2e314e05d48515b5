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
from dataclasses import replace
from pathlib import Path
import torch
from engine.diffusion.checkpoint import file_digest
from engine.diffusion.config import read_config
from engine.diffusion.processes import launched
from engine.diffusion.recipe import make_stage
from engine.diffusion.train import Plan, train, use_device
from tests.diffusion.source import WaveSource

out = Path(sys.argv[1])
config = read_config(Path("smoke"))
stage = make_stage("autoencoder", config, WaveSource(), use_device("cpu", 1), out)
train(stage, config, Plan(images=48), out)
here = launched()
weights = torch.cat([weight.detach().flatten() for weight in stage.module.parameters()])
torch.save(weights, out / f"{here.index}-of-{here.count}.pt")
"""


def test_two_processes_share_one_training(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [str(script), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    one, other = (torch.load(tmp_path / f"{index}-of-2.pt", weights_only=True) for index in (0, 1))
    assert torch.equal(one, other)
    lines = (tmp_path / "autoencoder.jsonl").read_text().splitlines()
    assert lines[-1].count('"images": 48')
    assert lines[-1].count('"step": 6,')  # 48 samples are six steps of two batches of four
    assert load_file(tmp_path / "autoencoder.safetensors")


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
