"""The generation benchmark: an honest stand-in, and a table that says what it is."""

import torch

from benchmarks.generate_speed import Peer, Program, Row, peak, table
from benchmarks.peers.stable_diffusion import (
    DECODER_PARAMETERS,
    TEXT_LENGTH,
    TEXT_WIDTH,
    UNET_PARAMETERS,
    Decoder,
    UNet,
    parameters_of,
)


def test_the_stand_in_has_the_published_size_and_shapes():
    with torch.device("meta"):  # shapes only: no memory, no arithmetic
        denoiser, decoder = UNet(), Decoder()
        latent = torch.zeros(1, 4, 64, 64)
        noise = denoiser(latent, torch.zeros(1), torch.zeros(1, TEXT_LENGTH, TEXT_WIDTH))
        assert noise.shape == latent.shape
        assert decoder(latent).shape == (1, 3, 512, 512)
    assert parameters_of(denoiser) == UNET_PARAMETERS
    assert parameters_of(decoder) == DECODER_PARAMETERS


def test_the_table_holds_what_was_measured_and_calls_the_stand_in_one():
    rows = [Row(4, 0.5, 1.25, 30.0, 9.875, 900.0), Row(1, None, 0.75, 20.0, 5.0, 800.0)]
    program = Program("ExpDiff x", "Ada", "some CPU", 2, "9.9", 3.0, 0.25, rows)
    text = table(program, Peer(909.0, 5.0, 2.0, 4.0, 5000.0))
    assert "some CPU, 2 threads, torch 9.9" in text
    assert "| ExpDiff Studio | 4 | 0.50 | 1.25 | 30.0 | 9.88 | 3.0 | 900 |" in text
    assert "| ExpDiff Studio | 1 | - | 0.75 | 20.0 | 5.00 | 3.0 | 800 |" in text
    assert (
        "| SD-1.5-size stand-in | 4 | - | 12.00 | 372.0 | - | 5.0 | 5000 |" in text
    )  # 4 steps of 2 s and a decode of 4
    assert "| SD-1.5-size stand-in, guided | 20 | - | 84.00 |" in text
    assert "random weights" in text
    assert "stand-in" not in table(program, None).casefold()


def test_peak_memory_is_in_mib():
    assert 50 < peak() < 100_000
