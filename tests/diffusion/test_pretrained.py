"""Pretrained parts in the real format: tiny random checkpoints saved by diffusers and transformers themselves."""

import json
import shutil
import string
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from engine.diffusion.budget import Budget
from engine.diffusion.config import Config, StageConfig, read_config
from engine.diffusion.pretrained import ClipText, StableImageAutoencoder
from engine.diffusion.tile_model import TileModel, TileParts
from engine.diffusion.tile_stages import TileDenoiserStage
from engine.errors import EngineError, WeightsError
from tests.diffusion.source import WaveSource

CPU = torch.device("cpu")
LENGTH = 12
START, END = "<|startoftext|>", "<|endoftext|>"


def vocabulary():
    """Single letters, one word and the two signs, numbered as in CLIP: the end is last and pads."""
    letters = string.ascii_lowercase + string.digits + ".,+"
    words = [*letters, *(letter + "</w>" for letter in letters), "ja", "jaw</w>", START, END]
    return {word: number for number, word in enumerate(words)}


def text_config():
    last = len(vocabulary()) - 1
    return CLIPTextConfig(
        vocab_size=last + 1,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        bos_token_id=last - 1,
        eos_token_id=last,
        pad_token_id=last,
    )


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A folder as of a whole Stable Diffusion pipeline: vae, text_encoder, tokenizer."""
    torch.manual_seed(0)
    folder, files = tmp_path_factory.mktemp("pipeline"), tmp_path_factory.mktemp("files")
    AutoencoderKL(
        block_out_channels=(8, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=64,
    ).save_pretrained(folder / "vae")
    CLIPTextModel(text_config()).save_pretrained(folder / "text_encoder")
    (files / "vocab.json").write_text(json.dumps(vocabulary()))
    (files / "merges.txt").write_text("#version: 0.2\nj a\nja w</w>\n")
    tokenizer = CLIPTokenizer(str(files / "vocab.json"), str(files / "merges.txt"), model_max_length=LENGTH)
    tokenizer.save_pretrained(folder / "tokenizer")
    return folder


@pytest.fixture(scope="module")
def config(pipeline):
    """The smallest sizes that fit them: an eighth of 64 is a grid of 8."""
    source = str(pipeline)
    return replace(
        read_config(Path("smoke")).tiles, channels=4, prompt_width=32, image_autoencoder=source, text_encoder=source
    )


def test_the_image_autoencoder_is_the_libraries_own(config, pipeline):
    codec = StableImageAutoencoder(config)
    images = torch.rand(3, 3, 64, 64) * 2 - 1
    original = AutoencoderKL.from_pretrained(pipeline / "vae", low_cpu_mem_usage=False)
    with torch.no_grad():
        latent = codec.encode(images)
        assert latent.shape == (3, 4, 8, 8)
        wanted = original.encode(images).latent_dist.mode() * original.config.scaling_factor
        torch.testing.assert_close(latent, wanted, atol=1e-5, rtol=1e-4)
        decoded = original.decode(wanted / original.config.scaling_factor).sample
        torch.testing.assert_close(codec.decode(latent), decoded, atol=1e-5, rtol=1e-4)
    assert codec.gains.tolist() == [1.0] * 4
    assert not any(weight.requires_grad for weight in codec.parameters())


def test_the_text_encoder_is_the_libraries_own(config, pipeline):
    text = ClipText(config)
    ids = text.tokens(["Jaw Open", "", "a" * 40])
    names = vocabulary()
    assert ids.shape == (3, LENGTH)
    assert ids[0, :3].tolist() == [names[START], names["jaw</w>"], names["o"]]
    assert ids[1].tolist() == [names[START]] + [names[END]] * (LENGTH - 1)
    assert ids[2, -1] == names[END]
    original = CLIPTextModel.from_pretrained(pipeline / "text_encoder")
    with torch.no_grad():
        hidden = text(ids)
        torch.testing.assert_close(hidden, original(ids).last_hidden_state, atol=1e-5, rtol=1e-4)
    assert hidden.shape == (3, LENGTH, config.prompt_width)


def test_parts_alone_and_a_whole_clip_are_read_too(config, pipeline, tmp_path):
    codec = StableImageAutoencoder(replace(config, image_autoencoder=str(pipeline / "vae")))
    torch.testing.assert_close(codec.state_dict(), StableImageAutoencoder(config).state_dict())
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    clip = CLIPModel(CLIPConfig(text_config=text_config().to_dict(), vision_config=vision | {"image_size": 32}))
    clip.save_pretrained(tmp_path)
    for file in (pipeline / "tokenizer").iterdir():
        shutil.copy(file, tmp_path)
    text = ClipText(replace(config, text_encoder=str(tmp_path)))
    loaded = dict(text.network.named_parameters())
    for name, weight in clip.text_model.named_parameters():
        torch.testing.assert_close(loaded[name if name in loaded else f"text_model.{name}"], weight)


def test_the_tile_model_trains_and_answers_on_them(config):
    torch.manual_seed(0)
    source = WaveSource(people=6)
    whole = Config(layout="tiles", tiles=config, denoiser=StageConfig(batch=4, pool=16, fit=8))
    stage = TileDenoiserStage(whole, source, CPU)
    assert stage.prepare(Budget(stage.name), None) == 16
    assert set(stage.module.keys()) == {"space", "statistics", "denoiser"}
    assert stage.parts.space.mean_position.abs().max() > 0
    loss = stage.loss(torch.Generator().manual_seed(0))
    loss.backward()
    assert loss.isfinite()
    assert not any(name.startswith(("autoencoder", "text")) for name in stage.module.state_dict())
    model = TileModel(whole, stage.parts, "hf", "cpu")
    batch = source.pairs([4, 4], [5, 6])
    neutral = model.read(batch.neutral_position_m[:1], batch.texture_srgb[:1])
    *_, (latent, _) = model.sample(neutral, batch.expression, ["jaw open", "smile"], model.noise("a"), 2)
    maps = model.decode(latent, neutral)
    assert maps.offset_m.shape == batch.offset_m.shape
    assert maps.change.shape == batch.change.shape
    assert maps.change.isfinite().all()
    assert model.decode_preview(latent, neutral).change.shape == (2, 9, 32, 32)


def test_sizes_that_do_not_fit_are_said(config):
    with pytest.raises(WeightsError, match="grid 8 and channels 4; set them so"):
        StableImageAutoencoder(replace(config, channels=16))
    with pytest.raises(WeightsError, match="found 32; set it so"):
        ClipText(replace(config, prompt_width=16))


def copied(pipeline, tmp_path):
    return shutil.copytree(pipeline, tmp_path / "copy")


@pytest.mark.parametrize(
    ("name", "content"), [("vae/config.json", "{"), ("vae/diffusion_pytorch_model.safetensors", "nonsense")]
)
def test_a_damaged_folder_is_refused(config, pipeline, tmp_path, name, content):
    folder = copied(pipeline, tmp_path)
    (folder / name).write_text(content)
    with pytest.raises(WeightsError, match="saved by diffusers or transformers"):
        StableImageAutoencoder(replace(config, image_autoencoder=str(folder)))


@pytest.mark.parametrize("name", ["vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"])
def test_weights_that_lack_a_tensor_are_refused(config, pipeline, tmp_path, name):
    folder = copied(pipeline, tmp_path)
    tensors = load_file(folder / name)
    del tensors[sorted(tensors)[0]]
    save_file(tensors, folder / name, {"format": "pt"})
    other = replace(config, image_autoencoder=str(folder), text_encoder=str(folder))
    with pytest.raises(WeightsError, match="expected all weights"):
        TileParts.fresh(other)


def test_a_tokenizer_without_its_words_is_refused(config, pipeline, tmp_path):
    folder = copied(pipeline, tmp_path)
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        (folder / "tokenizer" / name).unlink(missing_ok=True)
    with pytest.raises(WeightsError, match="tokenizer"):
        ClipText(replace(config, text_encoder=str(folder)))


def test_a_folder_of_something_else_is_refused(config, tmp_path):
    with pytest.raises(WeightsError, match=r"found no config\.json and no diffusion_pytorch_model\.safetensors"):
        StableImageAutoencoder(replace(config, image_autoencoder=str(tmp_path)))


def test_nothing_is_fetched_unasked(config):
    for part in (StableImageAutoencoder, ClipText):
        with pytest.raises(WeightsError, match="local cache"):
            part(replace(config, image_autoencoder="nobody/nothing", text_encoder="nobody/nothing"))


@pytest.mark.parametrize(("part", "library"), [(StableImageAutoencoder, "diffusers"), (ClipText, "transformers")])
def test_without_the_extra_it_says_how_to_get_it(config, part, library, monkeypatch):
    for name in [name for name in sys.modules if name == library or name.startswith(library + ".")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match=r"scripts/install '\.\[hf\]'"):
        part(config)
