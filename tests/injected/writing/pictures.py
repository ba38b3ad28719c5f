"""Pictures, pages, animations and videos."""

import numpy as np
from PIL import Image
from writing.checks import arrays, explained, frames_of, html, pdf, picture, random, svg, tiny


def of_png():
    from kerasvit.render.files import write_png

    pixels = random((400, 600, 3))
    return lambda path: write_png(path, pixels, True), picture


def of_figure(kind):
    def make():
        from kerasvit.render.figures import write_picture

        pixels = random((120, 160, 3))
        check = pdf if kind == "pdf" else svg
        return lambda path: write_picture(path, pixels, kind, overwrite=True), check

    return make


def of_plot():
    result = explained()
    return lambda path: result.save(path, overwrite=True), picture


def of_probe():
    from kerasvit.render.probes import matrix_plot

    values = np.random.default_rng(0).random((4, 4))
    keys = [f"sa_ffn_block_0{number}_att" for number in range(4)]
    return lambda path: matrix_plot(path, values, keys, keys, ("a", "b"), "x", True), picture


def of_viewer():
    from kerasvit.images.geometry import Geometry
    from kerasvit.layout import TokenLayout
    from kerasvit.render.viewer.page import write_viewer

    scores = np.random.default_rng(0).random((3, 26, 26), np.float32)
    scores /= scores.sum(-1, keepdims=True)
    layout = TokenLayout(("class",), (5, 5), (10, 10))
    key, geometry = "sa_ffn_block_00_att", Geometry((50, 50), (0, 0, 50, 50), (50, 50))
    pixels = random((50, 50, 3))

    def write(path):
        write_viewer(path, pixels, {key: scores}, {key: layout}, geometry, "x", overwrite=True)

    return write, html


def of_features():
    from kerasvit.features.patches import PatchFeatures
    from kerasvit.images.geometry import Geometry
    from kerasvit.render.features.page import write_feature_page

    values = np.random.default_rng(0).normal(size=(5, 5, 32)).astype(np.float32)
    geometry = Geometry((50, 50), (0, 0, 50, 50), (50, 50))
    pages = [PatchFeatures(values, geometry, random((50, 50, 3)), "x")]
    return lambda path: write_feature_page(path, pages, overwrite=True), html


def of_gif():
    from kerasvit.render.video.animation import write_gif

    frames = [Image.fromarray(random((80, 120, 3), seed)) for seed in range(12)]
    return lambda path: write_gif(path, frames, overwrite=True), frames_of


def of_video():
    from kerasvit.render.video.frames import create_video

    frames = [random((64, 96, 3), seed) for seed in range(12)]

    def write(path):
        with create_video(path, 12, overwrite=True) as add:
            for frame in frames:
                add(frame)

    return write, frames_of


def of_series():
    from kerasvit.render.video.series import create_series

    values = np.random.default_rng(0).random((12, 50, 50))

    def write(path):
        with create_series(path, {"box": np.arange(4)}, overwrite=True) as add:
            for value in values:
                add(attention=value)

    return write, arrays


def of_layers():
    """A sheet of a callback while it trains."""
    from kerasvit.callbacks import AttentionCallback

    model = tiny()
    images = random((2, 16, 16, 3)) / np.float32(255)

    def write(path):
        callback = AttentionCallback(images, path, notebook=False, overwrite=True, model=model)
        callback.on_train_begin()
        callback._draw(0, {})

    def check(path):
        picture(path / "epoch_0001.png")
        arrays(path / "epoch_0001.npz")

    return write, check
