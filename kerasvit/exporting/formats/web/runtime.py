"""ONNX Runtime for browsers: where its files are found. They are npm's `onnxruntime-web`."""

import os
import pathlib

from kerasvit.errors import UsageError

# What the page needs of the package, by what the page calls it.
FILES = {"runtime": "ort.wasm.bundle.min.mjs", "wasm": "ort-wasm-simd-threaded.wasm"}
VARIABLE = "KERASVIT_ONNXRUNTIME_WEB"
_PACKAGE = "node_modules/onnxruntime-web"


def find_runtime(folder: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """Return the folder that holds `FILES`.

    Args:
        folder: the package `onnxruntime-web`, or its folder `dist`; None: the variable
            KERASVIT_ONNXRUNTIME_WEB, or `node_modules` of this folder or of one above.

    Raises:
        UsageError: if it is not there.
    """
    given = folder or os.environ.get(VARIABLE)
    here = pathlib.Path.cwd()
    places = [pathlib.Path(given)] if given else [at / _PACKAGE for at in (here, *here.parents)]
    for place in places:
        for candidate in (place / "dist", place):
            if all((candidate / name).is_file() for name in FILES.values()):
                return candidate
    received = f"{str(given)!r}, without {' and '.join(FILES.values())}" if given else "none"
    raise UsageError(
        "A page for the browser needs the files of ONNX Runtime Web, which come from npm. "
        f"Received: {received}. Run: npm install onnxruntime-web, in this folder, or name it with "
        f"--runtime, or in {VARIABLE}"
    )
