"""Conversion of a foreign checkpoint: read, plan, fill, compare, write."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack

from kerasvit.conversion.pictures import check_names
from kerasvit.conversion.planning import fill, make_plan
from kerasvit.conversion.proof.parity import Parity
from kerasvit.conversion.proof.proving import prove_conversion
from kerasvit.conversion.recording import make_record
from kerasvit.conversion.reporting import found_lines
from kerasvit.conversion.sources.opening import open_source
from kerasvit.conversion.writing import check_output, new_file
from kerasvit.models.base import ScoreModel
from kerasvit.models.weight_options import Options, with_options

Report = Callable[[str], None]
# So many tensors that are left out for one reason are named.
_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The result of a conversion.

    Args:
        model: the model with the checkpoint's weights.
        notes: what was done, in sentences.
        parity: how far the model is from the source's own forward pass; None if not compared.
    """

    model: ScoreModel
    notes: tuple[str, ...]
    parity: Parity | None


@with_options
def convert(
    source: Any,
    output: str | os.PathLike | None = None,
    model: str | None = None,
    *,
    head: Any = None,
    release: str | None = None,
    select: str | None = None,
    sha256: str | None = None,
    verify: bool | None = None,
    overwrite: bool = False,
    report: Report = lambda line: None,
    **options: Unpack[Options],
) -> Conversion:
    """Convert a checkpoint of a ViT, DeiT, DINO, DINOv2 or CaiT to a Keras model.

    Every tensor of the checkpoint is used once or dropped for a stated reason, every weight of the
    model is assigned once, all shapes agree and all values are finite; if not, nothing is written.
    What no tensor says comes from the live module, from config.json and preprocessor_config.json
    beside the file, from the release or from the options; the model's record keeps each fact with
    its origin. Where these contradict each other, or only a name suggests a number of heads that
    networks of this width do not all have, an error asks for it.

    Args:
        source: path of a `.pth`, `.pt`, `.bin`, `.safetensors` or `.npz` file, of the index of a
            sharded one or of a folder that holds one; a mapping of names to arrays, a live
            `torch.nn.Module`, an open `Checkpoint`; or what is downloaded: the name of a release,
            an `https://` address or `hf://organisation/name[@revision][/file]`. Names of timm,
            DINO, DINOv2, DeiT, Hugging Face's transformers and Google's `.npz` files are known.
        output: path of the `.keras` file to write; None to write none.
        model: name of the architecture, or of a release; None to detect it.
        head: a linear head that makes a classifier of the backbone, given likewise; the release of
            a head, such as "dino_vits8.linear", is a source that brings its backbone.
        release: name of the release that the weights are, for preprocessing, class names and
            licence.
        select: network of a full training checkpoint: "teacher" or "student" of DINO and DINOv2,
            "encoder" or "target_encoder" of I-JEPA.
        sha256: published digest of the file, or its first 8 digits or more.
        verify: whether the model is compared with the source's own forward pass: the live module's
            own, transformers' by config.json, else timm's. True: it must be. None: if there is
            something to compare with and a file is written.
        overwrite: whether an existing output is replaced.
        report: called with each line that says what is being done.
        **options: what the user says of the network, its pictures and its classes, see `Options`.

    Returns:
        The model, what was done, and the parity figures.

    Raises:
        DownloadError: if the checkpoint is elsewhere and can't be had.
        InputError: if the checkpoint is missing, damaged, unsafe or holds another architecture, or
            the converted model does not agree with the source.
        OutputError: if the output cannot be written, or exists and `overwrite` is False.
        UsageError: if an argument is wrong, a package is missing, or only the user can say what the
            network is.
    """
    if output is not None:
        check_output(pathlib.Path(output), source, overwrite)
    check_names(model, release)
    opened = open_source(source, head, select=select, sha256=sha256, report=report)
    plan = make_plan(opened, options, model, release)
    for line in found_lines(plan):
        report(line)
    keras_model, assignment = fill(plan)
    report(
        f"Assigned {assignment.num_variables} weights from {assignment.num_source_tensors} tensors."
    )
    proof = prove_conversion(keras_model, plan, verify, output is not None, report)
    keras_model.record = make_record(plan, assignment, proof)
    notes = (*plan.notes, *_dropped(assignment.dropped))
    if output is not None:
        with new_file(pathlib.Path(output), overwrite) as file:
            file.save(keras_model)
            del keras_model  # memory holds it once
            keras_model = file.reload()
        report(f"Wrote {str(output)!r}, reloaded it and found the same weights.")
    return Conversion(keras_model, notes, proof.parity)


def _dropped(reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield what was left out, in sentences: many tensors of one reason in one."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    for reason, those in names.items():
        if len(those) > _SHOWN:
            yield f"Dropped {len(those)} tensors ({those[0]}, ...): {reason}."
        else:
            yield from (f"Dropped {name}: {reason}." for name in those)
