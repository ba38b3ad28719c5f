"""How pictures are prepared for a converted model, and what its classes mean."""

import importlib.resources
import tomllib
from typing import Any

from kerasvit.conversion.facts.facts import MEANING_FACTS, PICTURE_FACTS, Fact, Facts, Rank, stated
from kerasvit.conversion.options import check_class_names
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.models import factory
from kerasvit.models.problem import Problem
from kerasvit.releases import Release, find_release, list_releases

# Origins whose pictures may be of another size than the model's positions.
_SIZES_OF_PICTURES = ("preprocessor_config.json", "the release ")
# timm's own where a source says the mean and std alone.
_USUAL = {"crop_fraction": 0.875, "crop_mode": "center", "interpolation": "bicubic"}


def named_release(model: str | None, release: str | None) -> Release | None:
    """Return the release that a source is said to be.

    Args:
        model: the name asked for, of a variant or a release; None for none.
        release: the release asked for.

    Raises:
        UsageError: if there is no such release.
    """
    if release is None and model is not None:
        names = {name for one in list_releases() for name in (one.name, *one.aliases)}
        if "." in model or model in names:
            release = model
    return find_release(release) if release else None


def check_names(model: str | None, release: str | None) -> None:
    """Raise `UsageError` for a model or a release that nobody knows, before anything is fetched."""
    found = named_release(model, release)
    if model is not None and found is None:
        factory.variant(model)


def picture_facts(release: Release | None, name: str | None, layout: str) -> Facts:
    """Return how pictures are prepared, and what classes mean, by a release or a name.

    Args:
        release: what the weights are; None for weights of no release.
        name: of the architecture, whose releases count where they all agree.
        layout: how the checkpoint named its tensors; releases of the same one come first.
    """
    if release is not None:
        return stated(f"the release {release.name}", _of_release(release))
    if name is None:
        return Facts()
    return _agreed(_releases_of(name, layout), f"all releases of {name}")


def record_of_pictures(
    facts: Facts, image_shape: tuple[int, int, int], num_classes: int
) -> tuple[dict[str, Any], Facts]:
    """Return what a record says of pictures and classes, and the facts that say it.

    Args:
        facts: all that is known.
        image_shape: `(height, width, channels)` of the model.
        num_classes: of its head.

    Raises:
        InputError: if the user names another number of classes.
        UsageError: if a value of the preprocessing is out of its range.
    """
    named = _of_classes(facts.among(MEANING_FACTS), num_classes)
    record = named.values_by_name()
    seen = _of_pictures(facts.among(PICTURE_FACTS), image_shape)
    if seen:
        values = seen.values_by_name()
        preprocessing = Preprocessing(values.pop("input_size"), **values)
        record["preprocessing"] = preprocessing.to_dict()
    return record, named | seen


def _of_classes(facts: Facts, num_outputs: int) -> Facts:
    if not num_outputs:
        return facts.without(MEANING_FACTS)
    num_classes = Problem(num_outputs, facts.value("problem_type")).num_classes
    if "class_names" not in facts:
        return facts
    names = facts["class_names"]
    # One logit may have the name of its yes alone.
    is_right = len(names.value) in {num_classes, num_outputs}
    if names.rank is Rank.USER and not is_right:
        check_class_names(names.value, num_classes, names.origin)
    return facts if is_right else facts.without(["class_names"])


def _of_pictures(facts: Facts, image_shape: tuple[int, int, int]) -> Facts:
    """Return every field of the preprocessing; none where mean and std are not known."""
    for name in ("mean", "std"):
        if name in facts and len(facts[name].value) != image_shape[2]:
            # Of pictures in other colours: timm's, of a network that it made for other channels.
            facts = facts.at_least(Rank.USER)
    if not {"mean", "std"} <= set(facts):
        return Facts()
    facts |= Facts(Fact(name, value, "the default", Rank.ASSUMED) for name, value in _USUAL.items())
    size = facts.get("input_size")
    if size is None or not (size.rank is Rank.USER or size.origin.startswith(_SIZES_OF_PICTURES)):
        # timm's config keeps that of the tag, which a fine-tune on another size may have left.
        own = Fact("input_size", image_shape[:2], "the model's image size", Rank.CERTAIN)
        return facts.without(["input_size"]) | Facts([own])
    return facts


def _of_release(release: Release) -> dict[str, Any]:
    pictures: dict[str, Any] = dict(release.preprocessing)
    pictures["input_size"] = pictures.pop("image_size")
    names = list(release.class_names) or imagenet_names(release.classes)
    return {**pictures, "class_names": names} if names else pictures


def _releases_of(name: str, layout: str) -> list[Release]:
    base = factory.canonical_name(name)
    releases = [one for one in list_releases() if one.model == base]
    named = [one for one in releases if name in (one.name, *one.aliases)]
    alike = [one for one in releases if layout in (one.layout, one.url_layout)]
    return named or alike or releases


def _agreed(releases: list[Release], origin: str) -> Facts:
    """Return what all releases say alike; nothing of the pictures unless mean and std are."""
    if not releases:
        return Facts()
    first, *others = [_of_release(one) for one in releases]
    values = {
        key: value for key, value in first.items() if all(one.get(key) == value for one in others)
    }
    if not {"mean", "std"} <= set(values):
        values = {key: value for key, value in values.items() if key not in PICTURE_FACTS}
    return Facts(Fact(key, value, origin, Rank.NAME) for key, value in values.items())


def imagenet_names(classes: str | None) -> list[str]:
    """Return the names of the classes of ImageNet-1k; [] of any other list."""
    if classes != "imagenet-1k":
        return []
    file = importlib.resources.files("kerasvit.configs") / "imagenet1k.toml"
    names = tomllib.loads(file.read_text(encoding="utf-8"))["names"]
    return names.strip().split("\n")
