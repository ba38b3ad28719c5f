"""Files that a visitor takes along: those that the command writes, in folders that go away."""

import collections
import dataclasses
import pathlib
import secrets
import shutil
import threading
from collections.abc import Callable, Sequence

from kerasvit.app.asked import Asked, Drawing
from kerasvit.app.limits import KEPT_DOWNLOADS, MAX_FRAMES
from kerasvit.app.studio import Studio
from kerasvit.errors import InputError, UsageError
from kerasvit.look import Explainer
from kerasvit.look.video import draw_video
from kerasvit.render import patch_sheet, write_png

# What a visitor may ask for: label and suffix, by what `kerasvit.look.Artist.write` calls it.
KINDS = {
    "sheet": ("sheet (PNG)", ".png"),
    "sheet.pdf": ("sheet (PDF)", ".pdf"),
    "overlay": ("overlay (PNG)", ".overlay.png"),
    "arrays": ("arrays (NPZ)", ".npz"),
    "patches": ("what the model sees, in patches (PNG)", ".patches.png"),
    "viewer": ("viewer of every score (HTML)", ".html"),
    "layers": ("way through the blocks (GIF)", ".layers.gif"),
}
_SUFFIXES = {kind: suffix for kind, (_, suffix) in KINDS.items()} | {"overlay.pdf": ".overlay.pdf"}
MODES = ("side-by-side", "overlay", "mask")
_LONGEST_STEM = 80


class Downloads:
    """Makes files for visitors; only the latest few folders of them stay.

    Args:
        studio: explains the pictures.
        folder: where the folders of files are made.
    """

    def __init__(self, studio: Studio, folder: pathlib.Path) -> None:
        self._studio, self._folder = studio, folder
        self._made: collections.deque[pathlib.Path] = collections.deque()
        self._lock = threading.Lock()

    def of_picture(
        self, path: pathlib.Path, asked: Asked, drawing: Drawing, kinds: Sequence[str]
    ) -> dict[str, pathlib.Path]:
        """Write files of a picture, as `kerasvit saliency` does.

        Sheet and overlay are drawn with the opacity and the clipping of the page.

        Args:
            path: the picture.
            asked: what is shown.
            drawing: how.
            kinds: keys of `KINDS`.

        Returns:
            The files by kind.

        Raises:
            KerasViTError: as `kerasvit.look.saliency`.
        """
        if not kinds or set(kinds) - set(KINDS):
            raise UsageError(
                f"Files to make are {', '.join(KINDS)}. Received: {', '.join(kinds) or 'none'}. "
                "Choose one at least"
            )
        artist, explained, _ = self._studio.explain(path, asked, drawing)
        folder, stem = self._new_folder(), path.stem[:_LONGEST_STEM]
        # A sheet and its overlay are written together.
        needed = [*kinds, "sheet", "overlay", *(["overlay.pdf"] if "sheet.pdf" in kinds else [])]
        files = {kind: folder / f"{stem}{_SUFFIXES[kind]}" for kind in needed}
        artist.write(explained, files, stem)
        if "patches" in kinds:
            pixels = explained.picture.prepared.pixels
            sheet = patch_sheet(artist.explainer.model, pixels, title=stem)
            write_png(files["patches"], sheet)
        return {kind: files[kind] for kind in kinds}

    def of_video(
        self,
        path: pathlib.Path,
        asked: Asked,
        drawing: Drawing,
        mode: str,
        report: Callable[[int, int | None], None],
    ) -> dict[str, pathlib.Path]:
        """Write a video and the maps of its frames, as `kerasvit saliency` does.

        Args:
            path: the video.
            asked: what is shown; the usual method of videos in place of the one that leads.
            drawing: how.
            mode: one of `MODES`.
            report: called with the number of frames done and how many there are, if known.

        Returns:
            The files by suffix: `"mp4"` and `"npz"`.

        Raises:
            InputError: if it cannot be read, or is too long for the page.
            KerasViTError: as `kerasvit.look.video`.
        """
        loaded = self._studio.shelf.get(asked.model)
        settings = asked.settings(loaded.model, drawing=drawing)
        mass = settings.mass if mode == "mask" else None
        style = settings.style if mode == "overlay" else "fade"
        settings = dataclasses.replace(settings, formats=("mp4", "npz"), mode=mode)
        settings = dataclasses.replace(settings, mass=mass, style=style)
        (method,) = settings.video_methods
        folder, stem = self._new_folder(), path.stem[:_LONGEST_STEM]
        files = {suffix: folder / f"{stem}.{method}.{suffix}" for suffix in ("mp4", "npz")}

        def report_checked(done: int, count: int | None) -> None:
            if max(done, count or 0) > MAX_FRAMES:
                raise InputError(
                    f"The page draws videos of up to {MAX_FRAMES} frames. Received: "
                    f"{count or 'more'}. Cut it, or use: kerasvit saliency {path.name!r}"
                )
            report(done, count)

        with self._studio.turn():
            explainer = Explainer(loaded, settings)
            draw_video(path, explainer, method, list(files.values()), True, report_checked)
        return files

    def _new_folder(self) -> pathlib.Path:
        """Return a new folder that nobody can guess; the oldest one goes."""
        folder = self._folder / secrets.token_urlsafe(16)
        with self._lock:
            while len(self._made) >= KEPT_DOWNLOADS:
                shutil.rmtree(self._made.popleft(), ignore_errors=True)
            folder.mkdir(parents=True)
            self._made.append(folder)
        return folder
