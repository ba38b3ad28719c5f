"""What README and docs show runs as it stands: their Python, and their commands.

A page runs its blocks in order, in a folder with small stand-ins for the files that it names:
README and the first steps without KERAS_BACKEND, as on a fresh machine, the other pages on PyTorch,
which compiles nothing, or with `--broad` without it too. Those of a kind share a process, in which
a command that several pages show is run once.
"""

import ast
import contextlib
import io
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import traceback

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Statements that are compiled and not run, by how they start, each with its reason.
LEFT_OUT = {
    'model = kerasvit.from_pretrained("mine.safetensors"': "converts 22 M weights: see conversion/",
    "model = kerasvit.from_pretrained(timm_model": "converts 12 M weights: see conversion/",
    'model = kerasvit.from_pretrained("dino_vits8")': "downloads",
}
# Pages whose Python continues a program of the reader's own: its imports are run.
PARTS_OF_PROGRAMS = {
    "docs/how_to/distillation.md": "a teacher of one's own; training/test_distillation.py",
    "docs/how_to/distribution.md": "several devices; training/test_distribution.py",
}
# Pages whose Python other tests run; their commands are parsed.
RUN_ELSEWHERE = {
    "docs/how_to/sharing.md": "models/test_keras_hub.py and publishing/test_push.py",
    "docs/how_to/exporting.md": "exporting/test_docs.py runs it on what it exported",
}
# Commands that run on the stand-ins; all others are parsed.
RUN = (
    "kerasvit saliency sample:chelsea -o out",
    "kerasvit saliency dog.jpg",
    "kerasvit predict sample:",
    "kerasvit list",
    "kerasvit info",
)


_DONE: set[str] = set()


def name_of(page):
    """Return a page's place in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(text):
    """Return the language and the text of each block of a page."""
    return re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.S | re.M)


def has_code(page):
    """Tell whether a page has something to run."""
    return any(language in ("python", "bash") for language, _ in blocks(page.read_text()))


def commands(text):
    """Return the arguments of each call of `kerasvit` in a block of the shell."""
    lines = text.replace("\\\n", " ").splitlines()
    calls = []
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&")
        lexer.whitespace_split = True
        words = list(lexer)
        ends = [i for i, word in enumerate(words) if word and set(word) <= set(";&")]
        for start in [0, *(end + 1 for end in ends)]:
            call = words[start:]
            end = next((end - start for end in ends if end >= start), len(call))
            call = call[:end]
            while call and re.fullmatch(r"[A-Z_]+=.*", call[0]):
                call = call[1:]
            if call[:1] == ["kerasvit"]:
                calls.append(call)
    return calls


def how_much(page):
    """Return what of a page's Python is run: "all", "imports" or "nothing"."""
    run = "imports" if name_of(page) in PARTS_OF_PROGRAMS else "all"
    return "nothing" if name_of(page) in RUN_ELSEWHERE else run


def run_pages(stand_ins, folder, pages):
    """Run pages in this process, each in a folder of its own; write their counts, or their errors.

    Args:
        stand_ins: a folder with the files that pages name.
        folder: for the pages' folders and `results.json`.
        pages: paths.
    """
    results = {}
    for page in pages:
        here = folder / name_of(page).replace("/", "_")
        shutil.copytree(stand_ins, here)
        os.chdir(here)
        try:
            results[name_of(page)] = _run_page(page.read_text(), how_much(page))
        except BaseException:
            results[name_of(page)] = {"error": traceback.format_exc()}
    (folder / "results.json").write_text(json.dumps(results))


def _run_page(text, run):
    """Run the blocks of a page, and return how many of each kind ran."""
    names = {"__name__": "__main__"}
    counts = {"statements": 0, "left out": 0, "commands": 0, "parsed": 0}
    for language, block in blocks(text):
        if language == "python":
            for statement in ast.parse(block).body:
                source = ast.get_source_segment(block, statement)
                imports = isinstance(statement, ast.Import | ast.ImportFrom)
                wanted = run == "all" or (run == "imports" and imports)
                if not wanted or any(map(source.startswith, LEFT_OUT)):
                    counts["left out"] += 1
                    continue
                exec(compile(ast.Module([statement], []), source, "exec"), names)
                counts["statements"] += 1
        elif language == "bash":
            for call in commands(block):
                counts["parsed"] += 1
                counts["commands"] += _run_command(call)
    return counts


def _run_command(call):
    from kerasvit.cli.main import main, make_parser

    make_parser().parse_args(call[1:])
    line = shlex.join(call)
    if not line.startswith(RUN) or line in _DONE:
        return 0
    _DONE.add(line)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = main(call[1:])
    assert code == 0, (call, output.getvalue())
    return 1


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    """A folder with small files under the names that the pages use."""
    import numpy as np
    from PIL import Image

    import kerasvit
    from kerasvit.images import Preprocessing

    folder = tmp_path_factory.mktemp("pages")
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)) for _ in range(3)]
    for name in ("cat.jpg", "dog.jpg"):
        frames[0].save(folder / name)
    small = {"image_shape": (28, 28, 3), "patch_size": 14, "hidden_dim": 12, "num_heads": 3}
    small |= {"num_layers": 2, "mlp_dim": 24}
    for name, classes in (("dinov2_vits14.keras", 0), ("deit3.keras", 5)):
        model = kerasvit.models.VisionTransformer(num_classes=classes, **small)
        centre = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
        model.record["preprocessing"] = Preprocessing((28, 28), **centre).to_dict()
        model.save(folder / name)
    with contextlib.suppress(ImportError):
        import imageio_ffmpeg

        writer = imageio_ffmpeg.write_frames(str(folder / "clip.mp4"), (48, 32), fps=3)
        writer.send(None)
        for frame in frames:
            writer.send(np.ascontiguousarray(frame.crop((0, 0, 48, 32))))
        writer.close()
    return folder


@pytest.fixture(scope="module")
def results(stand_ins, tmp_path_factory, request):
    """What became of each page, by its place."""
    pytest.importorskip("skimage")
    pytest.importorskip("imageio_ffmpeg")
    folder = tmp_path_factory.mktemp("ran")
    environment = {name: os.environ[name] for name in os.environ if name != "KERAS_BACKEND"}
    # Keras' own settings are those of a fresh machine, and XLA need not optimise.
    environment |= {"KERAS_HOME": str(folder), "MPLBACKEND": "agg"}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    pages = [page for page in PAGES if has_code(page)]
    first = [page for page in pages if page.parent in (ROOT, ROOT / "docs" / "getting_started")]
    others = [page for page in pages if page not in first]
    is_broad = request.config.getoption("broad")
    outcomes = {}
    for chosen, backend in ((first, {}), (others, {} if is_broad else {"KERAS_BACKEND": "torch"})):
        command = [sys.executable, __file__, *map(str, (stand_ins, folder, *chosen))]
        subprocess.run(command, env=environment | backend, check=True, capture_output=True)
        outcomes |= json.loads((folder / "results.json").read_text())
    return outcomes


@pytest.mark.parametrize("page", [page for page in PAGES if has_code(page)], ids=name_of)
def test_a_page_runs_as_it_stands(page, results):
    counts = results[name_of(page)]
    assert "error" not in counts, counts["error"]
    if page.name == "README.md":
        assert counts["commands"] >= 2
        assert counts["left out"] == 0


def test_what_is_left_out_is_still_on_its_page():
    python = [
        block
        for page in PAGES
        for language, block in blocks(page.read_text())
        if language == "python"
    ]
    assert not [start for start in LEFT_OUT if not any(start in block for block in python)]
    assert {*PARTS_OF_PROGRAMS, *RUN_ELSEWHERE} <= set(map(name_of, PAGES))


def test_keras_is_imported_after_kerasvit_on_every_page():
    for page in PAGES:
        for language, block in blocks(page.read_text()):
            lines = block.splitlines()
            if language == "python" and "import keras" in lines:
                ours = [i for i, line in enumerate(lines) if line.startswith("import kerasvit")]
                assert ours, f"{page.name} imports keras without kerasvit"
                assert ours[0] < lines.index("import keras")


if __name__ == "__main__":
    run_pages(*map(pathlib.Path, sys.argv[1:3]), [pathlib.Path(page) for page in sys.argv[3:]])
