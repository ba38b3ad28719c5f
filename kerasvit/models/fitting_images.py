"""Images that do not fit a model, told apart: one line that says what was meant."""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from kerasvit.errors import UsageError

_sizes_may_be_open = contextvars.ContextVar("sizes_may_be_open", default=False)


@contextlib.contextmanager
def open_sizes() -> Iterator[None]:
    """Let TensorFlow trace models inside whose height and width a run alone will tell."""
    token = _sizes_may_be_open.set(True)
    try:
        yield
    finally:
        _sizes_may_be_open.reset(token)


def check_given(data: Any, image_shape: Sequence[int]) -> None:
    """Raise `UsageError` if what `fit` or `predict` got is images, and does not fit a model.

    Args:
        data: images, or a data set, which is left to the first call.
        image_shape: `(height, width, channels)` of the model.
    """
    if isinstance(data, list | tuple | dict) or hasattr(data, "shape"):
        check_images(data, image_shape)


def check_images(images: Any, image_shape: Sequence[int]) -> None:
    """Raise `UsageError` unless a model may be called with these images.

    Args:
        images: what a call got: an array, a tensor of any backend, or Keras' symbol of one.
        image_shape: `(height, width, channels)` of the model.
    """
    if isinstance(images, list | tuple | dict):
        _refuse(
            f"a {type(images).__name__} of {len(images)}",
            "Stack images of one size: np.stack(images)",
        )
    shape = getattr(images, "shape", None)
    if shape is None:
        _refuse(f"a {type(images).__name__}", "Pass an array or a tensor")
    _check_shape(tuple(shape), image_shape)
    dtype = str(images.dtype).removeprefix("torch.").removeprefix("<dtype: '").rstrip("'>")
    if "float" not in dtype:
        _refuse(
            f"dtype {dtype}",
            'Prepare pixels as the weights want them, or cast: images.astype("float32")',
        )


def _check_shape(shape: tuple[Any, ...], image_shape: Sequence[int]) -> None:
    channels = image_shape[2]
    received = f"shape {shape}"
    if len(shape) == 3 and shape[2] == channels:
        _refuse(received, "Add the axis of the batch to one image: images[None]")
    if len(shape) != 4:
        _refuse(received, f"Add the missing axes, for instance (1, *{tuple(image_shape)})")
    if shape[3] is not None and shape[3] != channels:
        if shape[1] == channels:
            _refuse(received, "Channels come last: np.moveaxis(images, 1, -1)")
        _refuse(received, f"This model takes {channels} channels")
    if None in shape[1:3] and not _sizes_may_be_open.get():
        _refuse(
            received,
            "Height and width must be known when the model is traced: give them, for instance "
            f"keras.Input({tuple(image_shape)}), or one model a size",
        )


def _refuse(received: str, advice: str) -> NoReturn:
    raise UsageError(
        "A model takes images as one float tensor (batch, height, width, channels). "
        f"Received: {received}. {advice}"
    )
