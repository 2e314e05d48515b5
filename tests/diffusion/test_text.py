"""Tokens and the learned prompt encoder."""

from pathlib import Path

import torch

from engine.diffusion.config import read_config
from engine.diffusion.text import PIECES, PromptEncoder, tokenize

SMALL = read_config(Path("smoke")).model


def test_tokens_are_stable_padded_and_cut():
    ids = tokenize(["Jaw Open", "jaw  OPEN", "", "one two three four five six seven eight nine"], 8, 256)
    assert ids.shape == (4, 8, PIECES)
    assert torch.equal(ids[0], ids[1])
    assert ids[2, 0].tolist() == [1] + [0] * (PIECES - 1)
    assert not ids[2, 1:].any()
    assert (ids[3, :, 0] > 0).all()
    assert ids.max() < 256


def test_shape_names_split_and_equal_strengths_are_one_token():
    assert torch.equal(*tokenize(["jawOpen=.4", "jaw open = 40%"], 8, 2048))
    assert not torch.equal(*tokenize(["smile 0.4", "smile 0.8"], 8, 2048))
    assert torch.equal(*tokenize(["AU12C", "au 12 c"], 8, 2048))


def test_a_misspelt_word_is_nearer_to_its_own_than_to_others():
    torch.manual_seed(0)
    encoder = PromptEncoder(SMALL).eval().requires_grad_(False)
    encoder.blocks = torch.nn.ModuleList()
    right, wrong, other = (
        encoder(tokenize([word], SMALL.prompt_length, SMALL.prompt_vocabulary))[0, 1]
        for word in ("eyebrows", "eyebrowss", "wrinkled")
    )
    assert torch.cosine_similarity(right, wrong, 0) > 0.6
    assert torch.cosine_similarity(right, other, 0) < 0.4


def test_padding_does_not_reach_the_words():
    torch.manual_seed(0)
    encoder = PromptEncoder(SMALL).eval()
    ids = tokenize(["jaw open"], SMALL.prompt_length, SMALL.prompt_vocabulary)
    hidden = encoder(ids)
    assert hidden.shape == (1, SMALL.prompt_length, SMALL.prompt_width)
    assert (hidden[:, 3:] == 0).all()
    encoder.words.weight.data[0] += 1.0
    torch.testing.assert_close(encoder(ids), hidden)


def test_the_words_learn():
    encoder = PromptEncoder(SMALL)
    encoder(tokenize(["left eye closed 0.4"], SMALL.prompt_length, SMALL.prompt_vocabulary)).sum().backward()
    touched = encoder.words.weight.grad.abs().sum(1) > 0
    assert 4 < touched.sum() < 20
    assert not touched[0]
