"""The private names of Keras and PyTorch that this package leans on: here, and nowhere else.

Whoever removes or renames one of these breaks no promise. So each is looked up before it is used,
and where one is missing, what needs it is off and says so once: Keras' own way is taken instead,
which is always right. A test keeps such names out of all other rooms.
"""

import contextlib
import contextvars
import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

from kerasvit.private_names.lookup import name_in, warn

# Of every layer: how it keeps less for the gradient, if it does (`keras.RematScope`).
_OF_LAYERS = ("_remat_mode",)
# Of every module of PyTorch, and so of every layer there: what to call beside it.
_OF_MODULES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# Of `torch.nn.modules.module`: whether something is called beside all modules.
_OF_PYTORCH = ("_has_any_global_hook",)
# Of every weight: what it holds, whatever scope asks.
_OF_WEIGHTS = ("_value",)
# Of what Keras keeps for each thread: the scope that gives weights other values.
_OF_SCOPES = "stateless_scope"
# Of dense layers: the kernel, where it is neither quantized nor adapted.
_OF_DENSE = ("_kernel",)
# Of every layer: its policy, even where that is a map of policies for many layers.
_OF_POLICIES = ("_dtype_policy",)


_SAVING = "keras.src.saving.saving_lib"


def _resolve(has: Callable[[object, str], bool] = hasattr) -> tuple[bool, bool]:
    """Tell whether layers may be called directly, and whether a layer can be given a policy.

    Args:
        has: tells whether an object has an attribute; tests give another one.
    """
    layer = keras.layers.Layer(name="probe")
    owners: list[tuple[object, tuple[str, ...]]] = [(layer, _OF_LAYERS)]
    if keras.backend.backend() == "torch":
        import torch

        owners += [(layer, _OF_MODULES), (torch.nn.modules.module, _OF_PYTORCH)]
    calls = all(has(owner, name) for owner, names in owners for name in names)
    return calls, all(has(layer, name) for name in _OF_POLICIES)


_KNOWS_CALLS, _KNOWS_POLICIES = _resolve()


def knows_calls() -> bool:
    """Tell whether `is_plain` and `is_unwatched` can be asked; warn once if not."""
    if not _KNOWS_CALLS:
        warn("layers are called through Keras' general preparations, which is slower")
    return _KNOWS_CALLS


def is_plain(layer: Any) -> bool:
    """Tell whether calling a layer on PyTorch comes to its `call`: no hooks, nothing recomputed."""
    return layer._remat_mode is None and not (
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
    )


def is_unwatched() -> bool:
    """Tell whether PyTorch calls nothing beside all modules."""
    import torch

    return not torch.nn.modules.module._has_any_global_hook()


@functools.cache
def _asks_for_scopes() -> Callable[[], bool]:
    """Return what tells whether a scope may give weights other values; without the name, all do."""
    state = name_in("keras.src.backend.common.global_state", "GLOBAL_STATE_TRACKER")
    with keras.StatelessScope():
        is_there = getattr(state, _OF_SCOPES, None) is not None
    if is_there:
        return lambda: getattr(state, _OF_SCOPES, None) is not None
    warn("weights are read through Keras' scopes, which is slower")
    return lambda: True


def held_value(weight: keras.Variable) -> Any:
    """Return the tensor that a weight holds: its value, unless a `StatelessScope` is open.

    On PyTorch reading `value` looks for scopes and devices, 5 to 10 us for each weight. Where a
    name is missing, or the weight holds nothing yet, it is read so.
    """
    if _asks_for_scopes()():
        return weight.value
    held = getattr(weight, _OF_WEIGHTS[0], warn)
    if held is warn:
        warn("weights are read through Keras' scopes, which is slower")
    return weight.value if held is None or held is warn else held


def held_kernel(layer: keras.layers.Dense) -> Any:
    """Return a dense layer's kernel; as Keras makes it, in 10 to 20 us, where it is made."""
    is_own = type(layer).kernel is not keras.layers.Dense.kernel
    is_made = is_own or layer.quantization_mode is not None or layer.lora_enabled
    held = None if is_made else getattr(layer, _OF_DENSE[0], None)
    return layer.kernel if held is None else held


def set_policy(layer: keras.layers.Layer, policy: keras.dtype_policies.DTypePolicy) -> None:
    """Give a layer a policy of its own in place of a map, which Keras' setter would write into.

    Where the name is missing the layer keeps the map, which is right but for a quantized model:
    it cannot be saved once more.
    """
    if _KNOWS_POLICIES:
        layer._dtype_policy = policy
    else:
        warn("a model that is loaded quantized cannot be saved again")


def unlock_state(layer: keras.layers.Layer) -> None:
    """Let a layer that is built take further layers, as one that is not built does.

    Where the name is missing, a class that derives from a model of this package makes its layers
    before it calls the model's constructor.
    """
    unlock = getattr(getattr(layer, "_tracker", None), "unlock", None)
    if unlock is not None:
        unlock()
    else:
        warn("derived classes make their layers before super().__init__()")


@functools.cache
def _autocast_scope() -> Callable[[None], contextlib.AbstractContextManager] | None:
    return name_in("keras.src.backend.common.variables", "AutocastScope")


def knows_autocast() -> bool:
    """Tell whether `without_autocast` can be called; warn once if not."""
    if _autocast_scope() is None:
        warn("blocks are compiled one by one, and the first step of `fit` takes longer")
        return False
    return True


def without_autocast() -> contextlib.AbstractContextManager:
    """Read weights in their own dtype inside, where a layer in mixed precision casts them."""
    scope = _autocast_scope()
    return contextlib.nullcontext() if scope is None else scope(None)


def mark_called(model: keras.Model) -> keras.Model:
    """Have Keras export a Functional model that was never called, and return it."""
    if hasattr(model, "_called"):
        model._called = True
    return model


_MAKES_FOLDERS: contextvars.ContextVar[Callable[[], str] | None] = contextvars.ContextVar(
    "makes_folders", default=None
)


@contextlib.contextmanager
def folders_for_assets(make: Callable[[], str]) -> Iterator[None]:
    """Have Keras ask for the folders that it makes for the assets of models, in this thread.

    Where the name is missing, Keras makes them, and a save that fails leaves one, empty.

    Args:
        make: makes a folder, and returns its path.
    """
    _lend_folders()
    token = _MAKES_FOLDERS.set(make)
    try:
        yield
    finally:
        _MAKES_FOLDERS.reset(token)


@functools.cache
def _lend_folders() -> None:
    own = name_in(_SAVING, "get_temp_dir")
    if own is None:
        return warn("saves that fail leave empty folders among the temporary files")

    def get_temp_dir() -> str:
        return (_MAKES_FOLDERS.get() or own)()

    module: Any = importlib.import_module(_SAVING)
    module.get_temp_dir = get_temp_dir
    return None
