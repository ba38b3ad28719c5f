"""Saliency maps of more pictures than one machine draws, by Ray Data: the files of the command.

    pip install "kerasvit[torch]" "ray[data]"
    python examples/ray_saliency.py photos -o out --workers 8
    python examples/ray_saliency.py --listing addresses.txt -o out --workers 8

Ray hands the pictures out; each worker loads the model once. The outputs, byte for byte, and the
manifest are those of `kerasvit saliency photos --recursive -o out`. Each picture that is done is
noted at once, so a run that was killed goes on when it is started again: no picture is twice on
record, and none is missing.

On a cluster (`ray job submit`), pictures and outputs lie on a file system that all machines see;
what a listing names by https is downloaded by the worker that draws it.
"""

import argparse
import dataclasses
import math
import os
import pathlib
import pickle
import sys
import urllib.parse
from typing import Any

from kerasvit import look
from kerasvit.errors import InputError, KerasViTError
from kerasvit.images import arriving
from kerasvit.images.inputs import Found, PictureFile, find
from kerasvit.look.desk import Desk
from kerasvit.look.planning.plan import Job, Plan, make_plan, remove_empty


class Worker:
    """Draws batch after batch with one model.

    Args:
        model: as for `kerasvit.look.load_model`.
        settings: what is drawn and how.
        folder: of all outputs.
        overwrite: whether files may be replaced.
    """

    def __init__(
        self, model: str | None, settings: look.Settings, folder: pathlib.Path, overwrite: bool
    ) -> None:
        self.desk = Desk(look.load_model(model), settings, folder, overwrite)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Draw some pictures, and return what the manifest says of each."""
        return {"entry": [pickle.dumps(self._draw(pickle.loads(job))) for job in batch["job"]]}

    def _draw(self, job: Job) -> tuple[str, dict[str, Any]]:
        name = job.picture.name
        try:
            if arriving.is_address(name):
                path = arriving.download(name)
                job = dataclasses.replace(job, picture=PictureFile(path, name))
            return name, self.desk.draw(job)[1]
        except KerasViTError as error:
            if not isinstance(error, InputError | arriving.DownloadError):
                raise
            return name, {"error": str(error)}


def listed(file: str) -> Found:
    """Return the pictures that a text names, a path or an https address a line.

    Raises:
        InputError: if a path does not exist.
    """
    lines = [line.strip() for line in pathlib.Path(file).read_text().splitlines()]
    addresses = [line for line in lines if arriving.is_address(line)]
    paths = [line for line in lines if line and not arriving.is_address(line)]
    found = find(paths, recursive=True)
    names = {url: urllib.parse.unquote(urllib.parse.urlsplit(url).path) for url in addresses}
    elsewhere = [
        PictureFile(pathlib.Path(pathlib.PurePosixPath(name).name or "picture"), url)
        for url, name in names.items()
    ]
    return Found((*found.pictures, *elsewhere), found.left_out)


def _anywhere(job: Job) -> Job:
    """Return a job whose picture is found from any folder."""
    picture = job.picture
    if arriving.is_address(picture.name):
        return job
    path = pathlib.Path(os.path.abspath(picture.path))
    return dataclasses.replace(job, picture=dataclasses.replace(picture, path=path))


def draw(
    plan: Plan, model: str | None, settings: look.Settings, workers: int, batch_size: int
) -> int:
    """Draw the pictures of a plan by Ray, note each in the manifest, and return how many failed."""
    import ray

    record = plan.record(look.load_model(model).facts(), settings)
    failed = 0
    with record as manifest:
        if not plan.jobs:
            return 0
        arguments = {"model": model, "settings": settings, "folder": plan.folder}
        rows = [{"job": pickle.dumps(_anywhere(job))} for job in plan.jobs]
        blocks = math.ceil(len(rows) / batch_size)
        entries = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Worker,
            fn_constructor_kwargs={**arguments, "overwrite": plan.overwrite},
            batch_size=batch_size,
            concurrency=workers,
        )
        for row in entries.iter_rows():
            name, entry = pickle.loads(row["entry"])
            manifest.add(name, **entry)
            if "error" in entry:
                failed += 1
                print(f"{name}: {entry['error']}", file=sys.stderr)
    return failed


def main() -> int:
    """Draw what the command line names; the exit code is that of `kerasvit saliency`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", nargs="*", help="pictures and folders")
    parser.add_argument("--listing", help="a text with a path or an https address a line")
    parser.add_argument("-m", "--model", help="a .keras file or a release")
    parser.add_argument("-o", "--output", default="out")
    parser.add_argument("--method", help="of kerasvit saliency, such as attention,rollout")
    parser.add_argument("--format", help="png, npz, html, gif, mp4; several with commas")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=16, help="pictures handed out at once")
    options = parser.parse_args()
    settings = look.Settings(
        method=tuple(options.method.split(",")) if options.method else None,
        formats=tuple(options.format.split(",")) if options.format else None,
    )
    try:
        inputs = listed(options.listing) if options.listing else options.inputs
        folder = os.path.abspath(options.output)
        plan = make_plan(inputs, settings, folder, recursive=True, resume=True)
        failed = draw(plan, options.model, settings, options.workers, options.batch_size)
        remove_empty(plan.new_folders)
    except KerasViTError as error:
        print(f"ray_saliency: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{len(plan.jobs)} pictures drawn, {failed} failed, {len(plan.done)} were there already")
    return InputError.exit_code if failed else 0


if __name__ == "__main__":
    sys.exit(main())
