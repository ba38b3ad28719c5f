"""Build the documentation, offline, with warnings as errors.

    python docs/build.py                 # into build/site
    python docs/build.py -o build/other  # or elsewhere

With the extra `export` and npm's onnxruntime-web (`npm install onnxruntime-web`, here or named by
KERASVIT_ONNXRUNTIME_WEB) the site gets a page on which the shipped CaiT runs in the visitor's
browser.
"""

import argparse
import pathlib
import subprocess
import sys

DOCS = pathlib.Path(__file__).resolve().parent
MODEL = "cait_nano_patch4_32.cifar10"


def main(arguments: list[str] | None = None) -> int:
    """Build the site and say where it lies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=pathlib.Path, default=DOCS.parent / "build" / "site")
    output = parser.parse_args(arguments).output.resolve()
    extra = output.parent / f"{output.name}.extra"
    sphinx = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    sphinx += ["--builder", "html", "--doctree-dir", str(output.parent / f"{output.name}.doctrees")]
    if make_browser_page(extra / "try" / "index.html"):
        sphinx += ["--tag", "browser", "--define", f"html_extra_path={extra}"]
    code = subprocess.run([*sphinx, str(DOCS), str(output)], check=False).returncode
    print(f"{output / 'index.html'}" if code == 0 else "The pages have warnings: see above.")
    return code


def make_browser_page(page: pathlib.Path) -> bool:
    """Export the shipped CaiT as a page, or say why there is none."""
    page.parent.mkdir(parents=True, exist_ok=True)
    command = ["export", MODEL, "-o", str(page), "--format", "web", "--overwrite"]
    result = subprocess.run(
        [sys.executable, "-m", "kerasvit", *command], capture_output=True, text=True, check=False
    )
    if result.returncode:
        print(f"Without the page that runs in a browser: {result.stderr.strip()}")
    return result.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
