"""Serving the page to this computer alone, and clearing up behind it."""

import contextlib
import os
import pathlib
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence

from kerasvit.app.limits import MAX_UPLOAD, MAX_WAITING
from kerasvit.app.shelf import ModelShelf
from kerasvit.errors import OutputError, UsageError
from kerasvit.images.samples import SAMPLES, sample
from kerasvit.temporary import new_scratch_folder

HOST = "127.0.0.1"
PORT = 7860
# Greys alone say little of a model of colour pictures.
_EXAMPLES = ("chelsea", "coffee", "astronaut", "rocket")
_PROXIES = ("no_proxy", "NO_PROXY")


@contextlib.contextmanager
def serving(
    models: Sequence[str] = (),
    port: int | None = None,
    opens_browser: bool = False,
    precision: str | None = None,
) -> Iterator[str]:
    """Serve the page while the block runs.

    It listens to this computer alone, answers to its own name alone, sends nothing anywhere, and
    keeps uploads in a folder that is removed at the end.

    Args:
        models: see `ModelShelf`.
        port: None for 7860, or the next that is free.
        opens_browser: whether the page is opened.
        precision: see `ModelShelf`.

    Yields:
        The page's address.

    Raises:
        KerasViTError: as `ModelShelf`.
        OutputError: if the port is taken.
        UsageError: if Gradio is not installed.
    """
    shelf = ModelShelf(models, precision)
    with _private_folder() as folder:
        _import_gradio()
        from kerasvit.app.answers import Answers
        from kerasvit.app.downloads import Downloads
        from kerasvit.app.page import Page
        from kerasvit.app.studio import Studio

        studio = Studio(shelf)
        answers = Answers(studio, Downloads(studio, folder / "made"))
        blocks = Page(answers, _examples(folder / "examples")).build()
        with _launched(blocks, port, opens_browser) as address:
            yield address


def serve(
    models: Sequence[str] = (),
    port: int | None = None,
    opens_browser: bool = False,
    say: Callable[[str], None] = print,
    precision: str | None = None,
) -> None:
    """Serve the page until the process is interrupted; see `serving`.

    Args:
        models: see `ModelShelf`.
        port: see `serving`.
        opens_browser: whether the page is opened.
        say: told the address.
        precision: see `ModelShelf`.
    """
    with serving(models, port, opens_browser, precision) as address:
        say(f"{address}  (Ctrl+C ends it)")
        threading.Event().wait()


def _import_gradio() -> None:
    """Import Gradio, which is to call nobody.

    Raises:
        UsageError: if it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # Gradio asks itself whether it is up; a proxy could not tell.
    for name in _PROXIES:
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), HOST, "localhost"]))
    try:
        import gradio  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The page needs Gradio. Received: no module {error.name!r}. "
            'Install it with: pip install "kerasvit[app]"'
        ) from error


@contextlib.contextmanager
def _private_folder() -> Iterator[pathlib.Path]:
    """Yield a folder for uploads and downloads, which is gone at the end."""
    folder = new_scratch_folder()
    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop("GRADIO_TEMP_DIR")
        if before is not None:
            os.environ["GRADIO_TEMP_DIR"] = before
        shutil.rmtree(folder, ignore_errors=True)


def _examples(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return copies of the photographs of scikit-image, or nothing where it is not installed."""
    folder.mkdir()
    copies = []
    for name in _EXAMPLES:
        assert name in SAMPLES
        with contextlib.suppress(UsageError):
            path = sample(name)
            copies.append(pathlib.Path(shutil.copy(path, folder / path.name)))
    return copies


@contextlib.contextmanager
def _launched(blocks, port: int | None, opens_browser: bool) -> Iterator[str]:
    import gradio as gr

    from kerasvit.app.guard import guards
    from kerasvit.app.page import CSS

    blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=1, api_open=False)
    try:
        _, address, _ = blocks.launch(
            server_name=HOST,
            server_port=port,
            share=False,
            inbrowser=opens_browser,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size=MAX_UPLOAD,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            enable_monitoring=False,
            state_session_capacity=64,
            app_kwargs={"middleware": guards(HOST), "docs_url": None, "redoc_url": None},
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            css_paths=CSS,
        )
    except OSError as error:
        raise OutputError(
            f"The page cannot be served. Received: --port {port}, "
            f"{' '.join(str(error).split())} Choose another port, or leave it out"
        ) from error
    try:
        yield address
    finally:
        blocks.close(verbose=False)
