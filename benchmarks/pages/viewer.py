"""Size of the HTML viewer of a large model, and how quickly it follows the pointer in Chromium.

    python benchmarks/pages/viewer.py --layers 24 --heads 16 --side 37

Scores are random softmaxes with a few peaks a row, made block by block: they compress less than
those of a model, so a real page is smaller. The time is from the pointer's move until the frame
with the new map has been shown.
"""

import argparse
import collections.abc
import json
import pathlib
import re
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "helpers"))

import browser

from kerasvit.images.geometry import Geometry
from kerasvit.layout import TokenLayout
from kerasvit.render.viewer.page import write_viewer

_MOVES = """(async () => {
  const stage = document.getElementById("stage");
  const box = stage.getBoundingClientRect();
  const times = [];
  for (let i = 0; i < 100; i++) {
    const started = performance.now();
    const at = (step) => 0.05 + 0.9 * (((i * step) % 100) / 100);
    const place = { clientX: box.x + box.width * at(37), clientY: box.y + box.height * at(61) };
    stage.dispatchEvent(new PointerEvent("pointermove", { ...place, bubbles: true }));
    while (!kerasvit.settled()) await new Promise((done) => setTimeout(done, 0));
    const drawn = performance.now();
    await new Promise((done) => requestAnimationFrame(done));
    times.push([drawn - started, performance.now() - started]);
  }
  return times;
})()"""


class Scores(collections.abc.Mapping):
    """The scores of a model's blocks, each made when it is asked for."""

    def __init__(self, layers: int, heads: int, tokens: int) -> None:
        self._names = [f"sa_ffn_block_{number:02d}_att" for number in range(layers)]
        self._shape = heads, tokens, tokens

    def __iter__(self):
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> np.ndarray:
        random = np.random.default_rng(self._names.index(name))
        scores = random.standard_normal(self._shape, dtype=np.float32)
        scores = np.exp(2 * scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return scores


def main() -> None:
    """Write a page, move the pointer over it, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--side", type=int, default=37, help="patches along each side")
    options = parser.parse_args()
    layout = TokenLayout(("class",), (options.side, options.side), (14, 14))
    scores = Scores(options.layers, options.heads, layout.num_tokens)
    picture = np.random.default_rng(0).integers(0, 256, (683, 1024, 3), dtype=np.uint8)
    geometry = Geometry((683, 1024), (0.0, 170.5, 683.0, 853.5), layout.image_size)
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder, "page.html")
        write_viewer(page, picture, scores, dict.fromkeys(scores, layout), geometry, "benchmark")
        text = page.read_text(encoding="utf-8")
        facts = json.loads(re.search(r'id="facts">(.*?)</script>', text, re.S)[1])
        grid = facts["blocks"][0]["grid"]
        print(f"{len(text) / 1e6:.1f} MB, patches in {grid[0]}x{grid[1]} cells, tokens whole")
        with browser.running(browser.find_chromium(), pathlib.Path(folder, "profile")) as pipes:
            tab = browser.Page(*pipes)
            tab.open(page)
            drawn, shown = np.array(tab.run(_MOVES)).T
        for name, times in (("until drawn", drawn), ("until shown", shown)):
            print(
                f"{name}: median {np.median(times):.0f} ms, 95 % {np.percentile(times, 95):.0f} ms"
            )


if __name__ == "__main__":
    main()
