"""What is installed, what imports what, and that the README says what is true."""

import ast
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = {
    "kerasvit": "kerasvit",
    "conversion": "kerasvit/conversion",
    "configs": "kerasvit/configs",
}
DATA_SUFFIXES = (".py", ".toml", ".keras", ".html", ".css", ".js", ".typed")

# Each room may import the ones before it, and itself.
ORDER = [
    ("errors",),
    ("private_names",),
    ("digests", "fields", "temporary", "texts", "untrusted"),
    ("files", "numerics", "ahead", "layout", "backend", "cache", "memory"),
    ("images",),
    ("releases",),
    ("layers",),
    ("models",),
    ("pretrained",),
    ("saliency",),
    ("evaluation", "features"),
    ("render",),
    ("callbacks", "look"),
    ("training",),
    ("app", "exporting", "publishing"),
    ("cli",),
]


def _sources():
    return sorted((ROOT / "kerasvit").rglob("*.py"))


def _imports(path):
    """Return the modules of kerasvit that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _room(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "kerasvit" and len(parts) > 1 else None


def test_rooms_import_in_one_direction():
    rank = {room: number for number, rooms in enumerate(ORDER) for room in rooms}
    wrong = []
    for path in _sources():
        relative = path.relative_to(ROOT / "kerasvit")
        room = relative.parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        assert room in rank, f"{relative} is in no room: place it in ORDER"
        for module in _imports(path):
            other = _room(module)
            if other in rank and rank[other] > rank[room]:
                wrong.append(f"{relative} imports {module}")
    assert not wrong


def test_only_the_doors_of_weights_and_pictures_and_the_command_line_import_the_converter():
    importers = {
        path.relative_to(ROOT / "kerasvit").parts[0]
        for path in _sources()
        if any(module.startswith("kerasvit.conversion") for module in _imports(path))
    }
    assert importers <= {"cli", "pretrained.py", "images"}
    downloads = [
        module
        for path in (ROOT / "kerasvit" / "images").glob("*.py")
        for module in _imports(path)
        if module.startswith("kerasvit.conversion")
    ]
    assert downloads == ["kerasvit.conversion.sources.fetch"], "pictures come by the same door"


def test_wheel_holds_every_file_of_the_folders(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path)]
    subprocess.run([*command, str(ROOT)], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in DATA_SUFFIXES and "__pycache__" not in path.parts
    }
    assert packed == expected


def _run_without(blocked, code):
    """Run code in a process that cannot import the blocked packages."""
    guard = (
        "import sys\n"
        "class Guard:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {blocked!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Guard())\n"
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda n, *a: None if n in {blocked!r} else found(n, *a)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", guard + code], capture_output=True, text=True, env=os.environ
    )


def test_imports_and_runs_without_torch_timm_and_matplotlib():
    result = _run_without(
        {"torch", "torchvision", "timm", "matplotlib", "huggingface_hub"},
        "import os\n"
        "os.environ['KERAS_BACKEND'] = 'jax'\n"
        "import numpy as np, kerasvit, kerasvit.conversion.converter, kerasvit.saliency\n"
        "model = kerasvit.from_pretrained()\n"
        "logits, sa, ca = model(np.zeros((1, 32, 32, 3), 'float32'))\n"
        "print(logits.shape, len(ca))\n",
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["(1,", "10)", "2"]


def test_reading_a_torch_file_without_torch_names_the_extra(tmp_path):
    import torch

    path = tmp_path / "x.pth"
    torch.save({"cls_token": torch.zeros(1)}, path)
    result = _run_without(
        {"torch", "torchvision", "timm"},
        "import os\n"
        "os.environ['KERAS_BACKEND'] = 'jax'\n"
        "from kerasvit.cli import main\n"
        f"sys.exit(main(['convert', {str(path)!r}, '-o', {str(tmp_path / 'x.keras')!r}]))\n",
    )
    assert result.returncode == 2
    assert 'pip install "kerasvit[convert]"' in result.stderr
    assert not (tmp_path / "x.keras").exists()


def test_no_backend_installed_says_how_to_install_one():
    result = _run_without(
        {"torch", "tensorflow", "jax", "openvino"},
        "import os\n"
        "os.environ.pop('KERAS_BACKEND', None)\n"
        "from kerasvit.backend import choose_backend\n"
        "from kerasvit.errors import UsageError\n"
        "try: choose_backend()\n"
        "except UsageError as error: print(error)\n",
    )
    # `import kerasvit` itself chooses a backend, so the error may come from there.
    assert 'pip install "kerasvit[jax]"' in result.stdout + result.stderr


@pytest.mark.parametrize("heading", ["Set up"])
def test_ci_runs_the_readmes_test_command(heading):
    readme = (ROOT / "README.md").read_text()
    lines = "\n".join(re.findall(r"```bash\n(.*?)```", readme, flags=re.S)).splitlines()
    test_commands = [line for line in lines if "all_backends" in line]
    assert heading in readme
    assert len(test_commands) == 1
    assert test_commands[0] in (ROOT / ".ci" / "run").read_text()
