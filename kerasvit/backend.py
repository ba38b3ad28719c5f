"""Which backend Keras runs on, decided before Keras is imported."""

import importlib.util
import itertools
import json
import os
import pathlib
import sys

from kerasvit.errors import UsageError

BACKENDS = ("jax", "tensorflow", "torch", "openvino", "numpy")

# Those that differentiate, and so train.
WITH_GRADIENTS = BACKENDS[:3]

# Keras' NumPy backend leaves convolutions to JAX.
_PACKAGES = {"numpy": "jax"}


def installed_backends() -> list[str]:
    """Return the backends that can be imported here, in order of preference."""
    packages = {name: _PACKAGES.get(name, name) for name in BACKENDS}
    return [name for name in BACKENDS if importlib.util.find_spec(packages[name]) is not None]


def has_gradients() -> bool:
    """Tell whether the backend that Keras runs on differentiates."""
    return choose_backend() in WITH_GRADIENTS


def require_gradients(what: str) -> None:
    """Refuse what needs gradients, on a backend that has none.

    Args:
        what: "Training", for instance.

    Raises:
        UsageError: on OpenVINO and NumPy.
    """
    if not has_gradients():
        raise UsageError(
            f"{what} needs gradients, which the backends {', '.join(WITH_GRADIENTS)} have. "
            f"Received: {choose_backend()!r}. Choose one by --backend or KERAS_BACKEND"
        )


def choose_backend(requested: str | None = None) -> str:
    """Set `KERAS_BACKEND` where nothing has set it: to the request, or an installed backend.

    Keras' own settings win over our preference: the environment variable, then Keras' config file.

    Args:
        requested: one of `BACKENDS`; None to take what is set or installed.

    Returns:
        The backend that Keras will use, or uses already.

    Raises:
        UsageError: if the request or the environment names no backend that is installed, or Keras
            runs on another one already.
    """
    if "keras" in sys.modules:
        return _check_running(requested)
    name = requested or os.environ.get("KERAS_BACKEND")
    installed = installed_backends()
    if name is None:
        # Keras writes this file by itself, so what it names may not be installed.
        configured = _configured_backend()
        choices = [configured] if configured in installed else installed
        name = choices[0] if choices else _complain("Received: none")
    elif name not in installed:
        _complain(f"Received: {name!r}")
    os.environ["KERAS_BACKEND"] = name
    return name


def is_command_line() -> bool:
    """Tell whether this process is the `kerasvit` command, or `python -m kerasvit`."""
    if sys.argv[:1] == ["-m"]:
        # While `python -m` looks for the module, the original arguments are all that tells it.
        after = sys.orig_argv[1:]
        return ("-m", "kerasvit") in itertools.pairwise(after)
    return bool(sys.argv) and pathlib.Path(sys.argv[0]).stem == "kerasvit"


def _configured_backend() -> str | None:
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    try:
        return json.loads((pathlib.Path(home) / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return None


def _check_running(requested: str | None) -> str:
    import keras

    running = keras.backend.backend()
    if requested not in (None, running):
        raise UsageError(
            f"Keras runs on {running} already; its backend is chosen before it is imported. "
            f"Received: {requested!r}. Start a new process with KERAS_BACKEND={requested}"
        )
    return running


def _complain(received: str):
    installed = ", ".join(installed_backends()) or "none"
    raise UsageError(
        f"The backend must be one of {', '.join(BACKENDS)}, and installed. {received}; installed: "
        f'{installed}. Install one, for instance: pip install "kerasvit[jax]"'
    )
