"""What README and docs show runs as it stands: their Python, and their commands.

A page runs in a process of its own, without KERAS_BACKEND, its blocks in order, in a folder with
small stand-ins for the files that it names.
"""

import ast
import contextlib
import io
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
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


def name_of(page):
    """Return a page's place in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(text):
    """Return the language and the text of each block of a page."""
    return re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.S | re.M)


def commands(text):
    """Return the arguments of each call of `kerasvit` in a block of the shell."""
    lines = text.replace("\\\n", " ").splitlines()
    calls = []
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&")
        lexer.whitespace_split = True
        words = list(lexer)
        starts = [0, *(i + 1 for i, word in enumerate(words) if set(word) <= set(";&"))]
        for start in starts:
            call = words[start:]
            end = next((i for i, word in enumerate(call) if set(word) <= set(";&")), len(call))
            call = call[:end]
            while call and re.fullmatch(r"[A-Z_]+=.*", call[0]):
                call = call[1:]
            if call[:1] == ["kerasvit"]:
                calls.append(call)
    return calls


def run_page(text, run):
    """Run the blocks of a page in this process, and print how many of each kind ran.

    Args:
        text: the page.
        run: what of its Python: "all", "imports" or "nothing".
    """
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
    print("\n" + json.dumps(counts))


def _run_command(call):
    from kerasvit.cli.main import main, make_parser

    make_parser().parse_args(call[1:])
    if not shlex.join(call).startswith(RUN):
        return 0
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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_runs_as_it_stands(page, stand_ins, tmp_path):
    if page.name == "README.md":
        pytest.importorskip("skimage")
        pytest.importorskip("imageio_ffmpeg")
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    # Keras' own settings are those of a fresh machine, and XLA need not optimise.
    environment |= {"KERAS_HOME": str(tmp_path), "MPLBACKEND": "agg"}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    run = "imports" if name_of(page) in PARTS_OF_PROGRAMS else "all"
    run = "nothing" if name_of(page) in RUN_ELSEWHERE else run
    result = subprocess.run(
        [sys.executable, str(pathlib.Path(__file__)), str(page), run],
        cwd=stand_ins,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    counts = json.loads(result.stdout.splitlines()[-1])
    if page.name == "README.md":
        assert counts["left out"] == len(LEFT_OUT)
        assert counts["commands"] >= len(RUN)
        assert (stand_ins / "figure.pdf").read_bytes().startswith(b"%PDF")


def test_what_is_left_out_is_still_on_its_page():
    readme = PAGES[0].read_text()
    statements = [block for language, block in blocks(readme) if language == "python"]
    assert not [start for start in LEFT_OUT if not any(start in block for block in statements)]
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
    run_page(pathlib.Path(sys.argv[1]).read_text(), sys.argv[2])
