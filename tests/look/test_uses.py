"""Which setting changes which output: the table as a whole, against the bytes that are written."""

import dataclasses
import functools

import numpy as np
import pytest

from kerasvit import look
from kerasvit.cli.commands.looking import saliency as command
from kerasvit.cli.main import make_parser
from kerasvit.errors import UsageError
from kerasvit.look.checking import DRAWN_STYLES, FITS, MODES
from kerasvit.look.settings import Settings
from kerasvit.look.spelling import COMMAND
from kerasvit.look.uses import OF_PICTURES, OF_VIDEOS, USERS, check_uses
from kerasvit.saliency import METHODS
from kerasvit.saliency.method import SHARED

# Another value than the default, of each setting; those of `max_pixels` change nothing but errors.
OTHERS = {
    "target": 3,
    "layer": 0,
    "heads": "max",
    "query": (1, 2),
    "stage": "sa",
    "resize": 64,
    "fit": "crop",
    "precision": "bfloat16",
    "frame": 1,
    "max_pixels": 100_000,
    "style": "modulate",
    "mass": 0.4,
    "colormap": "magma",
    "dpi": 100,
    "title": "Another",
    "mode": "overlay",
}
# A method for each of the shared ones that has no use for it, and one that has.
WITHOUT, WITH = "lost", {"target": "gradcam", "layer": "gradcam"}
FILES = {"sheet": "sheet", "arrays": "arrays", "viewer": "viewer", "layers": "layers"}


def test_every_setting_is_in_the_table():
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert set(USERS) == fields - {"method", "formats", "options", "spelling"} == set(OTHERS)
    assert set(SHARED) <= set(USERS)


def contents(file):
    """Return what a file holds, without the record of the settings in an `.npz`."""
    if file.suffix != ".npz":
        return file.read_bytes()
    with np.load(file) as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files if name != "header"}


@pytest.fixture(scope="module")
def drawn(shipped, save_animation, tmp_path_factory):
    """Function from settings of pictures to their outputs, each drawn once."""
    animation = save_animation(tmp_path_factory.mktemp("animation"))

    @functools.cache
    def draw(**settings):
        formats = ("png", "npz", "html", "gif")
        folder = tmp_path_factory.mktemp("drawn")
        given = {"method": "attention", "formats": formats, "dpi": 60, **settings}
        (result,) = look.saliency(animation, shipped, out=folder, **given)
        return result

    return draw


@pytest.mark.parametrize("option", set(OTHERS) - {"max_pixels", "mode"})
def test_a_setting_of_pictures_changes_the_outputs_of_the_table(drawn, option):
    if option in ("target", "layer"):
        pytest.skip("no output beside those of a method's map has a use for it: see below")
    settings = {}
    if option in ("query", "stage"):
        settings["query"] = "mean"
    if option == "query":
        settings["stage"] = "sa"  # The query of class attention is the class token alone.
    plain = drawn(**settings)
    other = drawn(**{**settings, option: OTHERS[option]})
    for name in FILES:
        differs = contents(plain.files[name]) != contents(other.files[name])
        expected = name in USERS[option]
        if option in SHARED and name in ("sheet", "arrays"):
            expected = True  # "attention" takes it.
        assert differs == expected, name


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("option", ["resize", "style", "mass", "colormap", "heads", "stage"])
def test_a_setting_of_videos_changes_the_outputs_of_the_table(
    shipped, animation, tmp_path, option, mode
):
    settings = {"mode": mode, "formats": ("gif", "npz"), "query": "mean"}
    changed = {**settings, option: OTHERS[option]}
    takes = option in METHODS["attention"].takes
    if not (takes or {mode, "maps"} & set(USERS[option])):
        with pytest.raises(UsageError, match=f"^{option} concerns .* alone"):
            look.video(animation, shipped, out=tmp_path / "other", **changed)
        return
    plain = look.video(animation, shipped, out=tmp_path / "plain", **settings)
    other = look.video(animation, shipped, out=tmp_path / "other", **changed)
    for name, output in (("attention.gif", mode), ("attention.npz", "maps")):
        differs = contents(plain.files[name]) != contents(other.files[name])
        assert differs == (takes or output in USERS[option]), name


@pytest.mark.parametrize("option", OTHERS)
@pytest.mark.parametrize("output", [*OF_PICTURES, *OF_VIDEOS])
def test_what_changes_nothing_is_refused_in_one_line(option, output):
    used = output in USERS[option]
    settings = _settings(option)
    if used:
        check_uses(settings, [output])
        return
    with pytest.raises(UsageError) as error:
        check_uses(settings, [output])
    message = str(error.value)
    assert "\n" not in message
    assert f"{COMMAND.name(option)} concerns" in message
    assert f"Received: {COMMAND.name(option)} " in message
    assert message.endswith("Leave it out")


def _settings(option):
    """Return settings whose method has no use for the option."""
    settings = object.__new__(Settings)
    for field in dataclasses.fields(Settings):
        value = field.default if field.default is not dataclasses.MISSING else {}
        object.__setattr__(settings, field.name, value)
    for name, value in {"method": WITHOUT, option: OTHERS[option], "spelling": COMMAND}.items():
        object.__setattr__(settings, name, value)
    return settings


@pytest.mark.parametrize("option", SHARED)
@pytest.mark.parametrize("method", METHODS)
def test_an_option_of_methods_is_refused_without_one_that_takes_it(option, method):
    arguments = {"method": method, option: OTHERS[option]}
    if option in METHODS[method].takes or USERS[option]:
        Settings(**arguments)
        return
    with pytest.raises(UsageError, match=f"{option} concerns the methods"):
        Settings(**arguments)
    Settings(**{**arguments, "method": (method, WITH[option])})


def test_the_command_offers_what_the_settings_know():
    parser = make_parser()
    for option, values in (("fit", FITS), ("style", DRAWN_STYLES), ("mode", MODES)):
        for value in values:
            options = parser.parse_args(["saliency", "x.png", f"--{option}", value])
            assert getattr(options, option) == value
    options = parser.parse_args(["saliency", "x.png"])
    defaults = dataclasses.replace(command.read_settings(options), spelling=Settings().spelling)
    assert defaults == Settings()


def test_every_block_of_a_video_is_refused(shipped, animation, tmp_path):
    with pytest.raises(UsageError, match="A video shows one block"):
        look.video(animation, shipped, out=tmp_path / "out", layer="all")
    with pytest.raises(UsageError, match="concerns the methods attention alone"):
        Settings(method="gradcam", layer="all")


def test_two_ways_to_draw_a_map_contradict_each_other():
    with pytest.raises(UsageError, match=r"style='modulate' with mass=0\.6"):
        Settings(style="modulate", mass=0.6)
