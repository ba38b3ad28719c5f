"""`from_pretrained`: weights from a release, a `.keras` file or a PyTorch checkpoint."""

import contextlib
import importlib.metadata
import importlib.resources
import logging
import os
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any, Unpack

import keras

from kerasvit.cache import Entry
from kerasvit.errors import InputError, UsageError
from kerasvit.models import CaiT, VisionTransformer
from kerasvit.models.base import ScoreModel
from kerasvit.models.factory import canonical_name
from kerasvit.models.opening.keras_file import explain, read_keras_file
from kerasvit.models.opening.precision import in_policy
from kerasvit.models.opening.presets import is_preset, load_preset
from kerasvit.models.weight_options import Options, with_options
from kerasvit.releases import EMBEDDED, Release, find_release, load_releases
from kerasvit.releases.licences import TERMS, licence_of

_log = logging.getLogger(__name__)

# They change what is returned and not the weights, so that all share one converted file.
_VIEW_ARGUMENTS = (
    *("attention", "attention_blocks", "dtype"),
    *CaiT.view_arguments,
    *VisionTransformer.view_arguments,
)
_CONVERTED = "model.keras"


@with_options
def from_pretrained(
    source: Any = EMBEDDED,
    model: str | None = None,
    *,
    head: Any = None,
    release: str | None = None,
    select: str | None = None,
    sha256: str | None = None,
    verify: bool | None = None,
    report: Callable[[str], None] | None = None,
    **options: Unpack[Options],
) -> ScoreModel:
    """Return a model with pretrained weights.

    Weights from elsewhere are downloaded once, verified and converted, and kept in the cache (see
    `kerasvit.cache`); from then on neither the network nor torch is needed.

    Args:
        source: path of a `.keras` file that kerasvit wrote, or of a keras-hub preset of one of our
            models (see `kerasvit.models.opening.keras_hub`); path of a foreign checkpoint (`.pth`,
            `.safetensors`, ...) or its folder, a state dict or a live module of timm or
            transformers, which are converted; the name of a release, such as
            `"cait_xxs24_224.fb_dist_in1k"` or `"dino_vits8"`; an `https://` address; or a
            repository on the Hugging Face Hub, `"hf://organisation/name[@revision][/file]"`.
        model: name of the architecture of a foreign checkpoint, such as "vit_small_patch16_224";
            needed where the checkpoint fits several.
        head, release, select, sha256, verify, report: of a foreign checkpoint, as for
            `kerasvit.conversion.convert`.
        **options: of a foreign checkpoint, see `Options`; for all, those that change what is
            returned: `attention`, `attention_blocks`, `scores_before_mixing`,
            `distillation_output`, `dtype`.

    Returns:
        A `CaiT` or a `VisionTransformer`. Its `record` says where the weights come from and how
        images are prepared for it.

    Raises:
        DownloadError: if the weights can't be had, or the network is forbidden and they are not
            in the cache.
        InputError: if the file is missing, damaged or not what it should be.
        OutputError: if the cache can't be written.
        UsageError: if the name is unknown, a package is missing that the conversion needs, or only
            the user can say what the network is.
    """
    named = {"head": head, "release": release, "select": select, "sha256": sha256}
    named |= {"verify": verify, "report": report}
    given = {name: value for name, value in (named | dict(options)).items() if value is not None}
    if not isinstance(source, str | os.PathLike):
        return _convert(source, model, given)
    if isinstance(source, os.PathLike) or is_path(source):
        path = pathlib.Path(source)
        if is_preset(path) or _is_keras_file(path):
            return _check_name(_load_whole(path, given), model, path)
        return _convert(path, model, given)
    if "://" not in source:
        found = find_release(source)
        if found.embedded:
            return _load_embedded(found, given)
    return _from_elsewhere(source, model, given)


def load(path: str | os.PathLike, **view) -> ScoreModel:
    """Load a `.keras` file that holds a model of this package.

    Args:
        path: the file.
        **view: `attention` and `attention_blocks`, see `ScoreModel.with_attention`; `dtype`, see
            `kerasvit.models.opening.precision.in_policy`.

    Raises:
        InputError: if the file is missing, damaged, or holds another kind of model.
    """
    path = pathlib.Path(path)
    if is_preset(path):
        return _viewed(load_preset(path), view)
    if not os.path.isfile(path):
        raise InputError(
            f"A model must be a file. Received: {str(path)!r}, which "
            f"{'is a folder' if os.path.isdir(path) else 'does not exist'}. See: kerasvit convert"
        )
    try:
        model = read_keras_file(path)
    except Exception as error:
        raise explain(path, error, _is_keras_file(path)) from error
    return _viewed(model, view)


def _check_name(model: ScoreModel, wanted: str | None, path: pathlib.Path) -> ScoreModel:
    """Return the model, or raise `InputError` if another one was asked for by name."""
    # Without the tag of a release.
    if wanted is not None and canonical_name(wanted.split(".")[0]) != canonical_name(model.name):
        raise InputError(
            f"{str(path)!r} is not {wanted!r}; a .keras file decides about its model itself. "
            f"Received: a file of {model.name!r}. Leave the model out"
        )
    return model


def _viewed(model: ScoreModel, view: dict[str, Any]) -> ScoreModel:
    others = {name: value for name, value in view.items() if value is not None}
    dtype = others.pop("dtype", None)
    if dtype is not None:
        model = in_policy(model, dtype)
    if not others:
        return model
    attention = others.pop("attention", model.attention)
    return model.with_attention(attention, others.pop("attention_blocks", None), **others)


def is_path(source: str) -> bool:
    """Tell whether a text names a file, rather than a release or an address."""
    if "://" in source:
        return False
    if os.sep in source or os.path.exists(source):
        return True
    # A tag may end like a file, as that of beit3_base_patch16_224.pt does.
    suffixes = (".keras", ".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".npz", ".h5")
    return source.endswith(suffixes) and source not in load_releases()


def _is_keras_file(path: pathlib.Path) -> bool:
    if path.suffix == ".keras":
        return True
    # `is_zipfile` raises for a name that no file can have.
    if not os.path.isfile(path) or not zipfile.is_zipfile(path):
        return False
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return {"config.json", "model.weights.h5"} <= set(archive.namelist())
    return False


def _load_embedded(release: Release, arguments: dict[str, Any]) -> ScoreModel:
    file = importlib.resources.files("kerasvit") / "pretrained" / f"{release.name}.keras"
    with importlib.resources.as_file(file) as path:
        return _load_whole(path, arguments)


def _load_whole(path: pathlib.Path, arguments: dict[str, Any]) -> ScoreModel:
    """Load a `.keras` file, which needs no option but those of a view."""
    others = sorted(set(arguments) - set(_VIEW_ARGUMENTS) - {"verify", "report"})
    if others:
        raise UsageError(
            f"{str(path)!r} decides about its model itself; only a foreign checkpoint needs to be "
            f"told. Received: {others[0]}={arguments[others[0]]!r}. Leave it out, or change the "
            "model that is returned"
        )
    return load(path, **{name: v for name, v in arguments.items() if name in _VIEW_ARGUMENTS})


def _from_elsewhere(source: str, model: str | None, arguments: dict[str, Any]) -> ScoreModel:
    """Load the converted file from the cache; download and convert it if it is not there."""
    from kerasvit.conversion.sources.remote import published_model

    published = published_model(source)
    if published is not None:
        return _check_name(_load_whole(published, arguments), model, published)
    view = {key: value for key, value in arguments.items() if key in _VIEW_ARGUMENTS}
    arguments = {key: value for key, value in arguments.items() if key not in view}
    entry = _converted_entry(source, model, arguments)
    if "report" not in arguments and (entry is None or entry.find() is None):
        _show_terms(source)
    if entry is None:
        return _viewed(_convert(source, model, arguments), view)
    path = entry.find()
    if path is not None:
        # Its bytes are what was written, but another version of Keras may refuse them.
        with contextlib.suppress(InputError):
            return load(path, **view)
        entry.discard()
    with entry.fill(_CONVERTED) as new:
        _convert(source, model, {**arguments, "output": new})
    return load(entry.folder / _CONVERTED, **view)


def _show_terms(source: str) -> None:
    """Log under which licence weights are, before they are downloaded, if it is one to read."""
    release = None if "://" in source else find_release(source)
    if release is not None and release.licence in TERMS:
        _log.warning("The weights of %s are under %s.", release.name, licence_of(release))


def _converted_entry(source: str, model: str | None, arguments: dict[str, Any]) -> Entry | None:
    """Return the place of a conversion in the cache; None for one that is not kept.

    That is one with a random head, which must differ each time, with a head from elsewhere, whose
    content a name does not tell, or with an output of its own.
    """
    from kerasvit.conversion.sources.remote import find_source

    found = find_source(source)
    found.check()
    own_classes = found.release.num_classes if found.release else None
    if arguments.get("num_classes") not in (None, 0, own_classes) or "head" in arguments:
        return None
    kept = {key: value for key, value in arguments.items() if key != "report"}
    # The file keeps the dtype policy that the model was made with.
    policy = keras.config.dtype_policy().name
    identity = [importlib.metadata.version("kerasvit"), policy, found.identity, model, kept]
    try:
        return Entry.of("converted", found.name, identity)
    except TypeError:  # an argument that JSON does not hold
        return None


def _convert(source, model: str | None, arguments: dict[str, Any]) -> ScoreModel:
    # The only room that needs foreign packages: imported when a foreign file is.
    from kerasvit.conversion import convert

    return convert(source, model=model, **arguments).model
