"""`kerasvit.export`: write a model for another runtime, and prove that it computes the same."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from kerasvit.errors import KerasViTError, UsageError
from kerasvit.exporting.checking import Report, check, silent
from kerasvit.exporting.computation import Computation
from kerasvit.exporting.facts import describe, sidecar, to_json
from kerasvit.exporting.formats import FORMATS, Format, check_target, find_format, format_of
from kerasvit.exporting.placing import new_files
from kerasvit.exporting.process import export_elsewhere
from kerasvit.exporting.request import DYNAMIC, ExportRequest, check_model
from kerasvit.models.base import ScoreModel
from kerasvit.pretrained import from_pretrained


@dataclasses.dataclass(frozen=True)
class Export:
    """What an export wrote.

    Args:
        path: the file or folder.
        sidecar: the JSON file beside it, which tells `facts`, the files' digests and `check`.
        facts: what the file says of the model: input, outputs, tokens, preprocessing, licence.
        check: whether it was run in its runtime, and how far each output is from the model's.
    """

    path: pathlib.Path
    sidecar: pathlib.Path
    facts: dict[str, Any]
    check: dict[str, Any]


def export(
    model: Any,
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    attention: str | None = None,
    blocks: Sequence[int] | None = None,
    image_size: tuple[int, int] | str | None = None,
    precision: str = "float32",
    saliency: str | None = None,
    preprocess: bool = False,
    runtime: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> Export:
    """Write a model for another runtime, with its scores as named outputs.

    The input is `images`, `(batch, height, width, channels)`, whose batch is dynamic; the outputs
    are `logits` and the scores by their names, such as `sa_ffn_block_00_att`. The result is run in
    the runtime that it is for, at two batch sizes, and is kept only if every output is within 1e-5
    of the model's (other precisions: `kerasvit.exporting.checking.TOLERANCES`). Without the runtime
    it is kept unchecked, and says so. Where Keras runs on another backend than the format needs, a
    process of its own does the work.

    Args:
        model: a model of kerasvit, or what `from_pretrained` takes.
        path: where to: a file, or a folder for "saved_model". `path` + ".json" is written too.
        format: "onnx", "saved_model", "litert", "openvino", "torch" or "stablehlo"; "web", a page
            that runs the model in the browser, as a folder or one `.html` file; None: by the
            path's suffix.
        attention: "full", "cls" or "none", which scores come out; None: as the model is.
        blocks: numbers of the self-attention blocks whose scores come out; None for all.
        image_size: `(height, width)` in pixels; "dynamic": any that the patches divide, for which
            the file resamples the position embedding itself (all formats but "web"); None: the
            model's own.
        precision: of the weights: "float32", "float16" (stored in halves, computed in float32) or
            "int8" (ONNX and LiteRT).
        saliency: "attention" or "rollout": besides the logits, the map `saliency`,
            `(batch, rows, columns)`, comes out instead of the scores.
        preprocess: whether the file takes uint8 pictures of its size and normalises them itself.
        runtime: for "web": the folder of npm's `onnxruntime-web`; None: it is looked for.
        overwrite: whether an existing output is replaced.
        report: called with each line that says what is being done.

    Returns:
        What was written.

    Raises:
        UsageError: if an argument is wrong, a package or a backend is missing, or the model can't
            give what is asked for.
        OutputError: if the runtime computes something else, or the files can't be written; what
            was there before is untouched.
    """
    path = pathlib.Path(path)
    place = None if runtime is None else os.path.abspath(runtime)
    request = ExportRequest(attention, blocks, image_size, precision, saliency, preprocess, place)
    target = find_format(format or format_of(path), request.precision)
    check_target(target, path)
    if not isinstance(model, ScoreModel):
        model = from_pretrained(model)
    check_model(model)
    if target.name == "web":
        request = request.for_page(model)
    require_size(target, request)
    order: dict[str, Any] = {
        "path": str(path.absolute()),
        "format": target.name,
        "request": request.to_dict(),
        "overwrite": overwrite,
    }
    if keras.backend.backend() == target.backend:
        result = export_here(model, **order, report=report)
    else:
        report(f"Writing and checking {target.title} in a process on {target.backend}")
        result = export_elsewhere(model, target.backend, order)
    return Export(path, sidecar_of(path), **result)


def require_size(target: Format, request: ExportRequest) -> None:
    """Raise `UsageError` if any size is asked for, and the format has a fixed one."""
    if request.image_size == DYNAMIC and not target.may_have_open_size:
        raise UsageError(
            f"The height and width of {target.title} are fixed. Received: image_size={DYNAMIC!r}. "
            "Write one a size: image_size=(224, 224)."
        )


def sidecar_of(path: pathlib.Path) -> pathlib.Path:
    """Return the path of the JSON file that lies beside an export."""
    return path.with_name(f"{path.name}.json")


def export_here(
    model: ScoreModel,
    path: str,
    format: str,
    request: dict[str, Any],
    overwrite: bool,
    report: Report = silent,
) -> dict[str, Any]:
    """Export in this process, whose backend is the format's; see `export`.

    Returns:
        The fields `facts` and `check` of `Export`.
    """
    output, target = pathlib.Path(path), FORMATS[format]
    computation = Computation(model, ExportRequest(**request))
    facts = describe(computation, target)
    is_folder = target.is_folder(output)
    files = [output.with_suffix(suffix) for suffix in target.companions]
    targets = [sidecar_of(output), *files, *([] if is_folder else [output])]
    with new_files(targets, output if is_folder else None, overwrite) as made:
        with warnings.catch_warnings():
            # Of the tools among themselves: nothing that a user could mend.
            warnings.simplefilter("ignore")
            report(f"Writing {target.title}")
            _write(computation, target, made[-1], to_json(facts))
            found = check(computation, target, made[-1], report)
        made[0].write_text(sidecar(facts, made[1:], found), encoding="utf-8")
    return {"facts": facts, "check": found}


def _write(computation: Computation, target: Format, path: pathlib.Path, facts: str) -> None:
    try:
        target.write(computation, path, facts)
    except KerasViTError:
        raise
    except Exception as error:
        if not computation.has_open_size:
            raise
        raise UsageError(
            f"{target.title} of this model can't leave height and width open. Received: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}. Write one file a size: "
            "image_size=(224, 224)."
        ) from error
