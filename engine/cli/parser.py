"""What `expdiff` accepts on its command line; `engine.cli` does what is asked."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

from engine.channels import MAP_NAMES
from engine.diffusion.request import DEFAULT_STEPS, LOCKS
from engine.io.map_names import NONE
from engine.open import KINDS

Commands = argparse._SubParsersAction  # argparse has no public name for what add_subparsers returns


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command; the chosen one's name lands in `command`."""
    parser = argparse.ArgumentParser(
        prog="expdiff",
        description="From one neutral head to its expressions: meshes and dynamic reflectance maps.",
        epilog=f"PATH is {KINDS}.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    demo = _command(commands, "demo", "open the window on the built-in head")
    demo.add_argument("--seed", type=_whole, default=0, help="another person (default 0)")
    _add_model(demo)
    view = _command(commands, "view", "open the window")
    _add_path(view, nargs="?")
    _add_model(view)
    info = _command(commands, "info", "say what is in PATH")
    _add_path(info)
    _add_generate(commands)
    _add_render(commands)
    _add_export(commands)
    _add_olat(commands)
    _add_video(commands)
    commands.add_parser("dataset", help="make training data; see expdiff dataset --help", add_help=False)
    commands.add_parser("train", help="train the model; see expdiff train --help", add_help=False)
    commands.add_parser("evaluate", help="measure the model; see expdiff evaluate --help", add_help=False)
    return parser


def _command(commands: Commands, name: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser._negative_number_matcher = re.compile(r"-\.?\d")  # as Python 3.14 has it: "-15,0" is a value, too
    return parser


def _add_path(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument("path", metavar="PATH", nargs=nargs, help=KINDS)
    parser.add_argument(
        "--maps",
        default="",
        metavar="KEY=VALUE,...",
        help="how map files of others are to be read: diffuse=albedo|measured, specular=intensity|mean|f0|unreal, "
        "encoding=linear|srgb (of specular), roughness=roughness|gloss|alpha, "
        "normal=opengl|directx; the first of each is what is assumed",
    )
    parser.add_argument(
        "--hair",
        choices=("painted", "grow"),
        default="painted",
        help="grow: brows, lashes and cropped hair as strands in place of painted ones, on heads of FFHQ-UV and "
        "ICT-FaceKit (default: as the head has it)",
    )
    parser.add_argument(
        "--map",
        type=_map,
        action="append",
        default=[],
        metavar="KIND=FILE",
        help=f"which file is the {', '.join(MAP_NAMES[:-1])} or {MAP_NAMES[-1]} map of an OBJ, where names do not say "
        f"it; again for each, KIND={NONE} for no such map",
    )


def _add_generate(commands: Commands) -> None:
    parser = _command(commands, "generate", "make expressions of a head and write them to a folder")
    _add_path(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="person folder to write, or a NAME.expdiff file")
    parser.add_argument(
        "--expressions", metavar="NAMES", help="all, or names with commas (default: all, or none with --prompt)"
    )
    parser.add_argument(
        "--prompt", default="", metavar="TEXT", help="free text; makes one more expression of that name"
    )
    parser.add_argument(
        "--keep",
        choices=LOCKS,
        default="",
        help="keep this of the expressions that PATH has and make the other to go with it (default: make both)",
    )
    parser.add_argument(
        "--split", choices=("train", "test"), help="also list the person in DIR/../train.json or test.json"
    )
    parser.add_argument(
        "--complete-maps", action="store_true", help="let the model read the maps that PATH lacks from its texture"
    )
    _add_model_options(parser)


def _add_render(commands: Commands) -> None:
    parser = _command(commands, "render", "make a picture without a window")
    _add_path(parser)
    parser.add_argument("--out", required=True, metavar="FILE", help="picture to write: .png, or .exr with every layer")
    _add_scene_options(parser)
    parser.add_argument("--size", type=_size, default=(1024, 1024), metavar="WxH", help="pixels (default 1024x1024)")
    parser.add_argument("--transparent", action="store_true", help="no background: write alpha")
    parser.add_argument(
        "--samples",
        type=_samples,
        default=0,
        metavar="N",
        help="converge over N frames, 256 for a still: the environment casts shadows (default: drawn at once, as "
        "channels without light always are)",
    )
    parser.add_argument("--reference", metavar="PNG", help="compare with this picture; exit code 1 where it differs")
    parser.add_argument(
        "--tolerance", type=_number, default=3.0, metavar="T", help="largest difference of 255 (default 3)"
    )
    _add_model_options(parser)


def _add_olat(commands: Commands) -> None:
    parser = _command(commands, "olat", "write a picture for each lamp of a light stage, to relight from")
    parser.add_argument("path", metavar="PATH", help=KINDS)
    parser.add_argument("--out", required=True, metavar="DIR", help="new or empty folder")
    parser.add_argument("--rig", metavar="FILE", help=_RIG)
    parser.add_argument("--size", type=_size, default=(512, 512), metavar="WxH", help="pixels (default 512x512)")
    parser.add_argument("--weights", default="", metavar="LIST", help=_WEIGHTS)
    parser.add_argument("--camera", type=_angles, metavar="YAW,PITCH", help=_CAMERA)
    parser.add_argument("--linear", action="store_true", help="float OpenEXR instead of sRGB-encoded PNG, slower")
    parser.add_argument("--samples", type=_samples, default=0, metavar="N", help=_SAMPLES)
    _add_model_options(parser)


def _add_video(commands: Commands) -> None:
    parser = _command(commands, "video", "write a film: turntable, turning light, one lamp at a time, expressions")
    parser.add_argument("path", metavar="PATH", help=KINDS)
    parser.add_argument("--out", required=True, metavar="FILE.mp4|DIR", help="H.264, or a new folder of PNG files")
    parser.add_argument("--turntable", action="store_true", help="the camera goes round the head (default)")
    parser.add_argument("--light-turn", action="store_true", help="the light goes round the head")
    parser.add_argument("--olat", action="store_true", help="one lamp of the light stage at a time")
    parser.add_argument("--expressions", metavar="NAMES", help="these in turn, or all: from 0 to 1 and back")
    parser.add_argument(
        "--seconds", type=_positive, metavar="S", help="length (default 6; with --olat one frame a lamp)"
    )
    parser.add_argument("--fps", type=_whole, default=30, metavar="N", help="frames a second (default 30)")
    parser.add_argument("--size", type=_size, default=(720, 720), metavar="WxH", help="pixels (default 720x720)")
    parser.add_argument("--samples", type=_samples, default=0, metavar="N", help=_SAMPLES)
    _add_scene_options(parser)
    _add_model_options(parser)


_WEIGHTS = 'such as "Jaw Open=0.6,Eye Blink:L=1" (:L, :R one side)'
_CAMERA = "degrees; yaw to the subject's left, pitch up"
_SAMPLES = "frames of the converging picture in each, such as 16: soft true shadows, slower (default 0: as it is live)"
_MOST_SAMPLES = 2**16
"""More change nothing: noise falls with the square root."""
_RIG = "lamp directions or positions: .json, .txt, .csv or .npy (default: 156 lamps)"


def _add_scene_options(parser: argparse.ArgumentParser) -> None:
    """What is seen, and in which light."""
    parser.add_argument("--weights", default="", metavar="LIST", help=_WEIGHTS)
    parser.add_argument("--light", metavar="NAME|FILE", help="a built-in light, or a .hdr or .exr file")
    parser.add_argument("--preset", metavar="NAME", help="portrait lighting, such as Rembrandt; --light still counts")
    parser.add_argument("--light-rotation", type=_number, metavar="DEG", help="turn the light around the head")
    parser.add_argument(
        "--stage",
        metavar="MODE|LAMP|FILE",
        help="light stage: full-on, gradient-x, complement-x ..., environment, a lamp's number, or a file with red "
        "green blue of each lamp",
    )
    parser.add_argument("--rig", metavar="FILE", help=_RIG)
    parser.add_argument(
        "--channel", metavar="NAME", help="such as diffuse, roughness, curvature, diffuse change (default shaded)"
    )
    parser.add_argument(
        "--scale-end", type=_number, metavar="X", help="value at the end of the channel's colours (default: fits)"
    )
    parser.add_argument("--uv", action="store_true", help="the skin laid out flat, as the maps are")
    parser.add_argument("--camera", type=_angles, metavar="YAW,PITCH", help=_CAMERA)


def _add_export(commands: Commands) -> None:
    parser = _command(commands, "export", "write a head and its expressions for other programs")
    _add_path(parser)
    parser.add_argument("--format", required=True, choices=("glb", "jreflectance"))
    parser.add_argument("--out", required=True, metavar="PATH", help="NAME.glb, or a folder for jreflectance")
    parser.add_argument(
        "--expressions", metavar="NAMES", help="all, or names with commas (default: those PATH has, or all)"
    )
    parser.add_argument("--weights", default="", metavar="LIST", help="glb: weights to start with")
    parser.add_argument(
        "--textures",
        choices=("neutral", "current"),
        default="neutral",
        help="glb: neutral maps, or mixed by the weights",
    )
    _add_model_options(parser)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model (used where expressions have to be made)")
    group.add_argument(
        "--steps", type=_whole, default=DEFAULT_STEPS, help="sampling steps, 1 to 50 (default %(default)s)"
    )
    group.add_argument("--seed", type=_whole, default=0, help="another variation (default 0)")
    group.add_argument(
        "--folds", type=_number, default=1.0, metavar="X", help="depth of folds of the skin, 0 none to 2 (default 1)"
    )
    group.add_argument(
        "--age", type=_number, metavar="YEARS", help="skin folds as at this age (default: a built-in's own, or 40)"
    )
    group.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    _add_model(group)


def _add_model(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="weights to use: a release, or the --out of a training (default: the program's own)",
    )


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _positive(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 3600:
        raise ValueError(text)
    return value


def _whole(text: str) -> int:
    if int(text) < 0:
        raise ValueError(text)
    return int(text)


def _samples(text: str) -> int:
    count = _whole(text)
    if count > _MOST_SAMPLES:
        raise argparse.ArgumentTypeError(f"expected 0 to {_MOST_SAMPLES} frames, found {text}")
    return count


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]{0,4})[xX×]([1-9][0-9]{0,4})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT such as 1024x768, found '{text}'")
    return int(match[1]), int(match[2])


def _map(text: str) -> tuple[str, str]:
    kind, _, file = (part.strip() for part in text.partition("="))
    if kind.lower() not in MAP_NAMES or not file:
        raise argparse.ArgumentTypeError(f"expected {'|'.join(MAP_NAMES)}=FILE, found '{text}'")
    return kind.lower(), file


def _angles(text: str) -> tuple[float, float]:
    try:
        yaw, pitch = (_number(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected YAW,PITCH in degrees such as 30,10, found '{text}'") from None
    return yaw, pitch
