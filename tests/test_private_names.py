"""Private names of Keras and PyTorch stand in one room alone, and nothing overrides one."""

import ast
import importlib
import importlib.util
import inspect
import pathlib
import pkgutil
import textwrap

import keras
import pytest

import kerasvit

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROOM = "kerasvit/private_names/"
FOREIGN = ("keras", "torch", "jax", "tensorflow", "numpy")

# Neither Keras' nor PyTorch's: named tuples document theirs, and timm has rooms of its own.
ALLOWED = {"_replace", "_asdict", "_fields", "_compute_lambda"}
# argparse's, which lists a parser's options in no other way: completion is tested in real shells.
ALLOWED |= {"_actions", "_choices_actions", "_SubParsersAction"}

# Modules of extras that the tests do not install.
NEEDS = {"kerasvit.models.opening.keras_hub": "keras_hub"}


def _sources():
    folders = ("kerasvit", "conversion")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in paths}


def _is_private(name):
    return name.startswith("_") and not name.endswith("__")


def _defined(tree):
    """Names that a file gives: to functions, classes, variables, and attributes of `self`."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name
            # As frozen data classes do it.
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="object"), attr="__setattr__"),
                args=[ast.Name(id="self"), ast.Constant(value=str(name)), _],
            ):
                yield name


def _used(tree):
    """Private names that a file reads or writes of something, asks for as a string or imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                names = [name]
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr"),
                args=[_, ast.Constant(value=str(name)), *_],
            ):
                names = [name]
            case ast.ImportFrom(module=str(module), level=0, names=aliases):
                names = _of_others(*(f"{module}.{alias.name}" for alias in aliases))
            case ast.Import(names=aliases):
                names = _of_others(*(alias.name for alias in aliases))
            case _:
                continue
        yield from ((name, node.lineno) for name in names if _is_private(name))


def _of_others(*modules):
    """The parts of the names of foreign modules; "src", as all of Keras' own, as if private."""
    parts = [module.split(".") for module in modules]
    inner = [part for first, *rest in parts if first in FOREIGN for part in rest]
    return ["_src" if part == "src" else part for part in inner]


def test_private_names_of_others_stand_in_one_room():
    sources = _sources()
    ours = {
        name
        for path, tree in sources.items()
        if not path.startswith(ROOM)
        for name in _defined(tree)
    }
    wrong = [
        f"{path}:{line} {name}"
        for path, tree in sources.items()
        if not path.startswith(ROOM)
        for name, line in _used(tree)
        if name not in ours | ALLOWED
    ]
    assert not wrong, f"What is not ours belongs in {ROOM}"


@pytest.mark.parametrize(
    "code",
    [
        "layer._remat_mode",
        "self._flatten_layers()",
        "layer._dtype_policy = policy",
        "getattr(optimizer, '_iterations', 0)",
        "from keras.src import backend",
        "import keras.src.backend",
        "from torch._dynamo import config",
        "torch._foreach_mul_(weights, 2)",
    ],
)
def test_the_test_sees_every_way_to_a_private_name(code):
    assert list(_used(ast.parse(code)))


def test_the_test_passes_what_is_public_or_ours():
    code = "self.norm(x); super().__init__(); getattr(model, 'head', None); from keras import ops"
    assert not list(_used(ast.parse(code)))
    assert set(_defined(ast.parse("class A:\n  def _f(self, _x): self._y = _z = 1"))) >= {
        *("_f", "_x", "_y", "_z"),
    }


def _classes():
    for module in pkgutil.walk_packages(kerasvit.__path__, "kerasvit."):
        if module.name.startswith("kerasvit.conversion") or module.name.endswith("__main__"):
            continue
        if module.name in NEEDS and importlib.util.find_spec(NEEDS[module.name]) is None:
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(value) and value.__module__ == module.name:
                yield value


def test_no_class_overrides_what_keras_or_pytorch_keeps_to_itself():
    """An override that is no longer called would be noticed by nobody."""
    layer = vars(keras.layers.Layer())
    wrong = []
    for cls in _classes():
        bases = [base for base in cls.__mro__ if base.__module__.split(".")[0] in FOREIGN]
        is_layer = issubclass(cls, keras.layers.Layer)
        theirs = {name for base in bases for name in vars(base)} | (
            set(layer) if is_layer else set()
        )
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
        ours = {name for name in _defined(tree) if _is_private(name)} | set(vars(cls))
        wrong += [f"{cls.__name__}.{name}" for name in ours & theirs if _is_private(name)]
    assert not [name for name in wrong if not name.endswith("._abc_impl")]
