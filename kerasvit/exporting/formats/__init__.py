"""One module a format; `FORMATS` has them by the names of the command line."""

import pathlib

from kerasvit.backend import installed_backends
from kerasvit.errors import UsageError
from kerasvit.exporting.formats import (
    litert,
    onnx,
    openvino,
    saved_model,
    stablehlo,
    torch_program,
    web,
)
from kerasvit.exporting.formats.format import Format, Runner

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (onnx, saved_model, litert, openvino, torch_program, stablehlo, web)
}


def find_format(name: str, precision: str = "float32") -> Format:
    """Return a format by its name.

    Raises:
        UsageError: if there is none of that name, or it is not written in that precision.
    """
    if name not in FORMATS:
        raise UsageError(
            f"There is no such format. Received: format={name!r}. "
            f"Choose one of {', '.join(FORMATS)}."
        )
    target = FORMATS[name]
    if precision not in target.precisions:
        able = [name for name, other in FORMATS.items() if precision in other.precisions]
        raise UsageError(
            f"{target.title} is written in {' or '.join(target.precisions)}. "
            f"Received: precision={precision!r}. It is there for {', '.join(able)}."
        )
    return target


def format_of(path: pathlib.Path) -> str:
    """Return the name of the format whose suffix a path has.

    Raises:
        UsageError: if there is none.
    """
    for name, target in FORMATS.items():
        if path.suffix and path.suffix in (target.suffix, target.file_suffix):
            return name
    raise UsageError(
        f"The output's suffix must tell its format, or format=... do. Received: {str(path)!r}. "
        f"Choose one of {', '.join(FORMATS)}."
    )


def check_target(target: Format, path: pathlib.Path) -> None:
    """Raise `UsageError` if the path is none for the format, or what writing needs is missing."""
    if target.suffix and path.suffix != target.suffix:
        raise UsageError(
            f"The name of {target.title} ends in {target.suffix}. Received: {str(path)!r}. "
            f"For instance: {path.with_suffix(target.suffix)}"
        )
    if target.backend not in installed_backends():
        raise UsageError(
            f"{target.title} is written by {target.backend}, which must be installed. Received: "
            f'{", ".join(installed_backends())}. Run: pip install "kerasvit[{target.backend}]"'
        )
    missing = target.missing_packages()
    if missing:
        raise UsageError(
            f"Writing {target.title} needs {', '.join(missing)}. Received: an environment without. "
            'Run: pip install "kerasvit[export]"'
        )


__all__ = ["FORMATS", "Format", "Runner", "check_target", "find_format", "format_of"]
