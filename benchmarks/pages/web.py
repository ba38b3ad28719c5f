"""How soon the page of the shipped CaiT, `kerasvit export --format web`, shows its first map.

    KERASVIT_ONNXRUNTIME_WEB=DIR python benchmarks/pages/web.py

The time is from the moment that Chromium is sent to the page, of one file, until the map of a
picture that is dropped as soon as the page takes one has been drawn. Each round is a browser of its
own with an empty profile.
"""

import argparse
import base64
import io
import pathlib
import sys
import tempfile
import time

import numpy as np
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "helpers"))

import browser

import kerasvit

_DROP = """(async () => {{
  const ready = performance.now();
  const bytes = Uint8Array.from(atob("{png}"), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "picture.png", {{ type: "image/png" }}));
  dispatchEvent(new DragEvent("drop", {{ dataTransfer: data, cancelable: true }}));
  while (!window.kerasvit.settled()) await new Promise((done) => setTimeout(done, 5));
  await new Promise((done) => requestAnimationFrame(done));
  return [ready, performance.now(), window.kerasvit.map.length];
}})()"""


def _picture() -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 451, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def first_map(page: pathlib.Path, profile: pathlib.Path, png: str) -> tuple[float, float]:
    """Return the seconds until the page takes a picture, and until the map of one is drawn."""
    with browser.running(browser.find_chromium(), profile) as pipes:
        tab = browser.Page(*pipes)
        start = time.perf_counter()
        tab.visit(page.as_uri())
        settled = time.perf_counter() - start
        ready, drawn, _ = tab.run(_DROP.format(png=png))
        return settled, settled + (drawn - ready) / 1000


def main() -> None:
    """Print a line for each round, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    png = _picture()
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        page = folder / "page.html"
        kerasvit.export(kerasvit.from_pretrained(), page, "web")
        print(f"{page.stat().st_size / 1e6:.1f} MB")
        for number in range(options.rounds):
            rounds.append(first_map(page, folder / f"profile{number}", png))
            print("ready {:.2f} s, first map {:.2f} s".format(*rounds[-1]), flush=True)
    ready, drawn = np.median(rounds, axis=0)
    print(f"median: ready {ready:.2f} s, first map {drawn:.2f} s")


if __name__ == "__main__":
    main()
