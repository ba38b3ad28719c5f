"""No writer of the package is forgotten by the kills and the full disks."""

import ast
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent
ROOT = FOLDER.parents[1]
# What writes, whatever it is called on: `os.replace`, `path.write_text`, `model.save`.
WRITING = {
    *("atomic_path", "write_npz", "write_png", "write_text", "write_bytes", "savez", "save"),
    *("savez_compressed", "open_memmap", "replace_folder", "exchange", "mkdir", "makedirs"),
    *("savefig", "save_npz", "posix_fallocate", "TemporaryDirectory", "mkdtemp", "rmtree"),
}
# Of `os` alone: a text has a `replace` too, and a plan a `rename`.
OF_OS = {"replace", "rename", "link", "symlink", "truncate"}
MODES = set("wax")


def _writes(tree):
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        function = call.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = getattr(getattr(function, "value", None), "id", "")
        modes = [*call.args[:2], *(keyword.value for keyword in call.keywords)]
        texts = [node.value for node in modes if isinstance(node, ast.Constant)]
        if name == "open" and any(
            isinstance(text, str) and MODES & set(text) and len(text) < 4 for text in texts
        ):
            return True
        if name in WRITING or (owner == "os" and name in OF_OS):
            return True
    return False


def _writing_modules():
    for room in ("kerasvit", "conversion"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if _writes(ast.parse(path.read_text(encoding="utf-8"))):
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                name = name.removesuffix(".__init__")
                yield name if room == "kerasvit" else f"kerasvit.{name}"


def test_every_module_that_writes_is_in_the_table(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import writers

    covered = {name for writer in writers.WRITERS.values() for name in writer.covers}
    known = covered | set(writers.ELSEWHERE)
    found = set(_writing_modules())
    assert found - known == set(), "give it a writer in tests/injected/writers.py"
    gone = {
        name
        for name in known
        if not any(
            (ROOT / place).with_suffix(".py").exists()
            for place in (
                name.replace(".", "/"),
                name.removeprefix("kerasvit.").replace(".", "/"),
            )
        )
    }
    assert not gone, "the tables name modules that are no more"


def test_a_sample_of_kills_full_disks_and_crowds():
    """`python tests/injected` is the whole of it. The teacher's mapped file died of SIGBUS."""
    options = ["--kinds", "text,cache,teacher", "--kills", "3", "--limits", "3"]
    options += ["--crowds", "same"]
    command = [sys.executable, "-W", "ignore", str(FOLDER), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert done.stdout.count(", 0 damaged") == 7
