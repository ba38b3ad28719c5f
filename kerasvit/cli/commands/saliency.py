"""`kerasvit saliency`: pictures of where a model looks, with the raw arrays beside them."""

import pathlib

from kerasvit.cli.options import (
    add_inputs,
    add_model,
    add_output,
    add_resize,
    add_target,
    load_model,
)


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "saliency", parents=[common], help="pictures of where a model looks"
    )
    add_inputs(parser, "pictures, videos")
    add_model(parser)
    add_output(parser)
    parser.add_argument(
        "--method",
        default="attention",
        metavar="METHOD,...",
        help="one or several: attention (default), rollout, class_attention_rollout, "
        "grad_attention, relevance, legrad, headwise, gradcam, integrated_gradients, smoothgrad, "
        "occlusion, rise, tokencut, lost; several are drawn side by side",
    )
    add_target(parser)
    parser.add_argument(
        "--layer",
        help="block: a number, -1, last, first, all; defaults to all blocks of class attention, or "
        "the last block of self-attention",
    )
    parser.add_argument("--stage", choices=("sa", "ca"), help="self- or class attention")
    parser.add_argument("--head", help="mean, max, min or a head's number; defaults to mean")
    parser.add_argument(
        "--query",
        default="class",
        help="who asks: class (or cls), distillation (dist), mean, patches, or ROW,COLUMN",
    )
    _add_drawing(parser)
    parser.set_defaults(run=run, needs_keras=True)


def _add_drawing(parser) -> None:
    add_resize(parser)
    parser.add_argument(
        "--fit",
        choices=("aspect", "crop", "exact"),
        default="aspect",
        help="the whole picture (default), the evaluation's crop, or its own pixels",
    )
    parser.add_argument(
        "--style",
        choices=("blend", "modulate", "heatmap"),
        default="blend",
        help="how a map lies over the photograph: its colour over it (default), the grey "
        "photograph times the map, or the map alone",
    )
    parser.add_argument(
        "--mass",
        type=float,
        metavar="SHARE",
        help="show the patches that hold this share of a map, such as 0.6",
    )
    parser.add_argument("--colormap", default="cividis", help="of Matplotlib; defaults to cividis")
    parser.add_argument(
        "--format",
        metavar="FORMAT,...",
        help="png (sheet and overlays), npz (arrays), html (a viewer of every score), gif (through "
        "the layers; of a video, the video), mp4 (videos); defaults to png,npz, and mp4,npz for "
        "videos. With mp4 among them, an animated GIF, PNG or WebP counts as a video",
    )
    parser.add_argument(
        "--mode",
        choices=("side-by-side", "overlay", "mask"),
        help="of a video: beside the frames (default), over them, or the mask of --mass",
    )


def run(options) -> int:
    """Write a sheet, overlays, arrays or a video for each input, and the manifest."""
    from kerasvit.cli.drawing import Artist
    from kerasvit.cli.explaining import Explainer
    from kerasvit.cli.manifest import Manifest, weights_sha256
    from kerasvit.cli.outputs import plan_outputs
    from kerasvit.cli.pictures import each_picture
    from kerasvit.cli.settings import Settings

    settings = Settings.read(options)
    paths, videos = find_inputs(options.inputs, settings)
    folder = pathlib.Path(options.output)
    outputs = plan_outputs(paths, videos, settings, folder, options.overwrite)
    model, preprocessing = load_model(options)
    explainer = Explainer(model, preprocessing, settings, options)
    facts = {
        "model": {
            "name": explainer.label,
            "source": str(options.model),
            "weights_sha256": weights_sha256(model),
        },
        "settings": settings.to_dict(),
    }

    def load(path):
        return None if path in videos else explainer.load(path)

    def work(path, loaded, progress):
        if path in videos:
            draw_video_by_methods(path, explainer, outputs[path], manifest, progress)
        else:
            artist.draw(path, loaded, outputs[path], progress)

    with Manifest(folder, facts) as manifest:
        artist = Artist(explainer, manifest)
        return each_picture(paths, load, work, options.fail_fast, manifest.fail)


def find_inputs(texts, settings) -> tuple[list[pathlib.Path], set[pathlib.Path]]:
    """Return the files that the inputs name, and which of them are videos."""
    from kerasvit.images import resolve
    from kerasvit.render.video.frames import SUFFIXES, is_video

    paths = resolve(texts, SUFFIXES)
    wants_videos = "mp4" in (settings.formats or ())
    videos = {
        path
        for path in paths
        if path.suffix.lower() in SUFFIXES or (wants_videos and is_video(path))
    }
    return paths, videos


def draw_video_by_methods(path, explainer, outputs, manifest, progress) -> None:
    """Draw a video once for each method."""
    import time

    from kerasvit.cli.pictures import shown
    from kerasvit.cli.videos import draw_video
    from kerasvit.files import make_folder

    settings = explainer.settings
    make_folder(outputs.folder)
    started, written = time.perf_counter(), []
    for method in settings.methods:
        written += draw_video(
            path,
            outputs.folder,
            explainer.model,
            explainer.preprocessing,
            method=method,
            settings=settings.arguments(method, explainer.target),
            formats=settings.formats_of("video"),
            mode=settings.mode,
            resize=settings.resize,
            colormap=settings.colormap,
            mass=settings.mass,
            overwrite=explainer.options.overwrite,
            report=progress.part,
        )
    seconds = round(time.perf_counter() - started, 3)
    names = [file.relative_to(manifest.path.parent).as_posix() for file in written]
    manifest.add(path, outputs=names, seconds=seconds)
    progress.line(f"{shown(path)}: {', '.join(shown(file) for file in written)}")
