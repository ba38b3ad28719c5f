"""The tree itself: sizes of folders, files and functions, and who imports whom inside a room."""

import ast
import io
import pathlib
import tokenize

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PARTS = ("kerasvit", "conversion", "tests", "benchmarks")
MODULES_OF_A_FOLDER = 16
LINES_OF_A_MODULE = 250
CODE_LINES_OF_A_FUNCTION = 40

# Tables of data, one entry after the other, and what is to be divided yet.
LONGER_MODULES = {
    "conversion/names/layouts.py": 300,
    "conversion/names/unwrapping/unwrapper.py": 280,
}

# The folders of each room, and what else is named: each line may import the ones before it, and
# what stands in one line may not import one another. `kerasvit` itself has its order in
# test_packaging.py.
ORDER = {
    "kerasvit.cli": ["reports", "commands", "main"],
    "kerasvit.conversion": [
        "facts",
        "files",
        "names",
        "architecture sources options",
        "pictures",
        "planning",
        "reporting",
        "proof",
        "recording writing huggingface_folder",
        "export",
        "converter registry_records",
    ],
    "kerasvit.exporting": ["formats"],
    "kerasvit.layers": ["direct_calls", "base", "primitives", "attention rotary", "blocks"],
    "kerasvit.look": ["records", "planning"],
    "kerasvit.models": ["steps", "base", "cait vit", "xcit", "factory", "opening"],
    "kerasvit.render": [
        "colour",
        "sheet",
        "look",
        "maps standard video",
        "pages",
        "viewer",
        "features",
    ],
    "kerasvit.saliency": [
        "scores maps",
        "figures",
        "result",
        "request",
        "gradients",
        "methods",
        "probes",
    ],
    "kerasvit.training": ["losses recipe outputs", "data", "finetuning", "distillation", "run"],
}


def _files(*parts):
    return sorted(path for part in parts for path in (ROOT / part).rglob("*.py"))


def _name(path):
    return path.relative_to(ROOT).as_posix()


def test_no_folder_holds_more_modules_than_one_takes_in():
    folders = {path.parent for path in _files(*PARTS)}
    counts = {
        _name(folder): len([one for one in folder.glob("*.py") if "__" not in one.name])
        for folder in folders
    }
    assert not {name: count for name, count in counts.items() if count > MODULES_OF_A_FOLDER}


def test_no_module_is_longer_than_it_may_be():
    lengths = {
        _name(path): len(path.read_text().splitlines()) for path in _files("kerasvit", "conversion")
    }
    assert not {
        name: length
        for name, length in lengths.items()
        if length > LONGER_MODULES.get(name, LINES_OF_A_MODULE)
    }


def _lines_of_code(text):
    """Return the numbers of the lines that hold more than comments and blanks."""
    blank = (
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
        *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
    )
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in blank:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def _functions(path):
    """Yield each function's name and number of lines without comments and docstring."""
    text = path.read_text()
    lines = _lines_of_code(text)
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        own = lines & set(range(node.lineno, node.end_lineno + 1))
        if ast.get_docstring(node, clean=False) is not None:
            own -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
        yield node.name, len(own)


@pytest.mark.parametrize("part", ["kerasvit", "conversion", "benchmarks"])
def test_no_function_is_longer_than_it_may_be(part):
    assert not {
        (_name(path), function): length
        for path in _files(part)
        for function, length in _functions(path)
        if length > CODE_LINES_OF_A_FUNCTION
    }


def _module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = ("kerasvit", *parts) if parts[0] == "conversion" else parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _imports(path):
    """Yield the modules, and what may be one, that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((*node.module.split("."), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)


def _arrows(room):
    """Return the pairs of a room's folders and modules of which the first imports the second."""
    prefix = tuple(room.split("."))
    inside = [
        path
        for path in _files("kerasvit", "conversion")
        if _module_of(path)[: len(prefix)] == prefix
    ]
    members = {_module_of(path)[len(prefix)] for path in inside if _module_of(path) != prefix}
    pairs = set()
    for path in inside:
        if _module_of(path) == prefix:
            continue
        here = _module_of(path)[len(prefix)]
        for module in _imports(path):
            if module[: len(prefix)] == prefix and module[len(prefix)] in members - {here}:
                pairs.add((here, module[len(prefix)]))
    return pairs


@pytest.mark.parametrize("room", ORDER)
def test_a_rooms_folders_import_in_one_direction(room):
    rank = {name: number for number, line in enumerate(ORDER[room]) for name in line.split()}
    assert not {
        (one, other) for one, other in _arrows(room) if rank.get(other, -1) >= rank.get(one, 99)
    }


def _rooms():
    """Return the packages, which have modules or folders that may import one another."""
    packages = [path for path in _files("kerasvit", "conversion") if path.name == "__init__.py"]
    return sorted(".".join(_module_of(path)) for path in packages)


@pytest.mark.parametrize("room", [room for room in _rooms() if room != "kerasvit"])
def test_nothing_imports_in_a_circle(room):
    arrows = _arrows(room)
    left = {name for pair in arrows for name in pair}
    while ends := {name for name in left if not any((name, other) in arrows for other in left)}:
        left -= ends
    assert not left


def test_every_room_of_folders_has_its_order():
    for room in _rooms():
        prefix = tuple(room.split("."))
        folders = {
            one.split(".")[-1]
            for one in _rooms()
            if len(one.split(".")) == len(prefix) + 1 and one.startswith(f"{room}.")
        }
        if len(prefix) == 2 and folders:
            assert folders <= {name for line in ORDER[room] for name in line.split()}
