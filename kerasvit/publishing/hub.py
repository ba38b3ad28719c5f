"""A model in a repository of the Hugging Face Hub."""

import os
import pathlib
import re
from typing import Any

from kerasvit.errors import InputError, OutputError, UsageError
from kerasvit.files import atomic_path, check_outputs
from kerasvit.look import load_model, saliency
from kerasvit.publishing.card import SHEET, model_card
from kerasvit.temporary import scratch_folder

MODEL = "model.keras"
_SAMPLE = "sample:chelsea"
_SAMPLE_CREDIT = "scikit-image's photograph of Chelsea, by Stéfan van der Walt, CC0"
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def push(
    model: Any,
    repository: str,
    *,
    picture: str | os.PathLike[str] | None = None,
    credit: str | None = None,
    private: bool = False,
) -> str:
    """Publish a model: its file, a card, and a sheet of where it looks.

    `kerasvit.from_pretrained("hf://user/name")` brings it back. The token is that of
    `huggingface_hub`: `hf auth login`, or `HF_TOKEN`.

    Args:
        model: as for `kerasvit.look.load_model`: a kerasvit model, a file, a release.
        repository: `"user/name"`; it is made if missing.
        picture: what the sheet shows; None for scikit-image's cat, where that is installed. It
            is published with the card: be sure that you may.
        credit: of the picture, for the card.
        private: whether a new repository is private.

    Returns:
        The address of the commit.

    Raises:
        OutputError: if the Hub cannot be reached or refuses.
        UsageError: if the name is malformed, or `huggingface_hub` is missing.
    """
    _check_repository(repository)
    try:
        import huggingface_hub
    except ImportError as error:
        raise UsageError(
            "Publishing needs the package huggingface_hub. "
            f'Received: {error}. Install it with: pip install "kerasvit[hub]"'
        ) from error
    with scratch_folder() as folder:
        write_folder(model, folder, repository, picture=picture, credit=credit)
        api = huggingface_hub.HfApi(library_name="kerasvit")
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repository, folder_path=folder, commit_message="Model of kerasvit"
            )
        except Exception as error:
            raise _refusal(repository, error) from error
    return str(commit.commit_url)


def write_folder(
    model: Any,
    folder: str | os.PathLike[str],
    repository: str,
    *,
    picture: str | os.PathLike[str] | None = None,
    credit: str | None = None,
    overwrite: bool = False,
) -> list[pathlib.Path]:
    """Write what `push` publishes into a folder.

    Args:
        model: as for `push`.
        folder: made if missing.
        repository: for the card.
        picture: as for `push`.
        credit: as for `push`.
        overwrite: whether existing files may be replaced.

    Returns:
        The files.

    Raises:
        OutputError: if a file exists and `overwrite` is false, or cannot be written.
        UsageError: if the repository's name is malformed.
    """
    _check_repository(repository)
    folder = pathlib.Path(folder)
    files = [folder / name for name in (MODEL, SHEET, "README.md")]
    check_outputs(files, overwrite=overwrite, inputs=[model, picture], make_folders=True)
    loaded = load_model(model)
    loaded.model.save(folder / MODEL)
    shown = _write_sheet(loaded, folder, picture, credit)
    card = model_card(loaded.model, repository, shown)
    with atomic_path(folder / "README.md", overwrite=True) as new:
        new.write_text(card, "utf-8")
    return sorted(path for path in files if os.path.isfile(path))


def _write_sheet(loaded: Any, folder: pathlib.Path, picture, credit: str | None) -> str | None:
    """Write the sheet; return what it shows, or None where there is no picture to show."""
    with scratch_folder() as drawn:
        try:
            run = saliency([picture or _SAMPLE], loaded, out=drawn, formats="png")
        except InputError:
            if picture is not None:
                raise
            return None  # The samples come with scikit-image.
        with atomic_path(folder / SHEET, overwrite=True) as new:
            new.write_bytes(pathlib.Path(run[0].files["sheet"]).read_bytes())
    return (credit or "") if picture is not None else _SAMPLE_CREDIT


def _check_repository(repository: str) -> None:
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(
            "A repository on the Hugging Face Hub is user/name. "
            f"Received: {repository!r}. Correct it"
        )


def _refusal(repository: str, error: Exception) -> OutputError:
    words = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
    return OutputError(
        f"The model could not be published at {repository!r}. Received: {words}. "
        "Check the name and the connection; log in with: hf auth login"
    )
