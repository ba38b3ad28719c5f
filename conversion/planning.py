"""What a conversion will make, decided before any weight is assigned."""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

from kerasvit.conversion.architecture.detected import Detected, detect
from kerasvit.conversion.architecture.fitting import left_out
from kerasvit.conversion.architecture.resolving import Architecture, resolve
from kerasvit.conversion.facts.facts import MEANING_FACTS, PICTURE_FACTS, Facts, implied
from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.names.flexible import fit
from kerasvit.conversion.names.rules import Assignment, assign, variables_by_path
from kerasvit.conversion.options import facts_of, view_of, without_overruled
from kerasvit.conversion.pictures import named_release, picture_facts, record_of_pictures
from kerasvit.conversion.sources.opening import Opened
from kerasvit.errors import UsageError
from kerasvit.layers.base import without_random_start
from kerasvit.memory import free_memory
from kerasvit.models import factory
from kerasvit.models.base import ScoreModel
from kerasvit.models.weight_options import Options
from kerasvit.releases import Release

_HEADS = ("head", "distillation_head")


@dataclasses.dataclass(frozen=True)
class Classifier:
    """What becomes of the checkpoint's classifier.

    Args:
        num_classes: of the model.
        drop: patterns of the tensors that are left out, each with the reason.
        is_random: whether the model's head is a new one.
    """

    num_classes: int
    drop: Mapping[str, str]
    is_random: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is decided about a conversion.

    Args:
        opened: the source.
        checkpoint: in timm's names, at the patch size of the model.
        detected: what its tensors say.
        architecture: the network, with the origin of each argument.
        classifier: what becomes of its head.
        view: arguments of the model that say how it is used.
        release: the release that the weights are; None for none.
        pictures: the facts about pictures and classes.
        record: what the model's record says of them, and of the release.
    """

    opened: Opened
    checkpoint: Checkpoint
    detected: Detected
    architecture: Architecture
    classifier: Classifier
    view: Mapping[str, Any]
    release: Release | None
    pictures: Facts
    record: Mapping[str, Any]

    @property
    def layout(self) -> str:
        """How the source names its tensors."""
        return self.checkpoint.layout or self.detected.layout.name

    @property
    def facts(self) -> Facts:
        """Every fact with its origin."""
        return self.architecture.facts | self.pictures

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to get here, in sentences."""
        return (*self.opened.configs.notes, *self.checkpoint.notes)

    def make_model(self) -> ScoreModel:
        """Return the model, with weights that are yet to be assigned."""
        return self.architecture.make(self.classifier.num_classes, **self.view)


def make_plan(
    opened: Opened,
    options: Options,
    model: str | None = None,
    release: str | None = None,
    is_strict: bool = True,
) -> Plan:
    """Decide everything about a conversion.

    Args:
        opened: the source.
        options: what the user says.
        model: name of the architecture, or of a release; None to detect it.
        release: name of the release that the weights are.
        is_strict: whether the named model must have the architecture of the tensors.

    Raises:
        InputError: if the checkpoint holds no known network, or what is known is contradictory.
        UsageError: if an option is wrong, or only the user can say what the network is.
    """
    found = named_release(model, release or (opened.known and opened.known.release_name))
    name, is_asked = _name(opened, model, found)
    said, overruled = without_overruled(facts_of(options), opened.checkpoint.facts)
    network = said.without((*PICTURE_FACTS, *MEANING_FACTS)) | opened.facts
    checkpoint = _fitted(opened.checkpoint, name, network)
    checkpoint = dataclasses.replace(checkpoint, notes=(*checkpoint.notes, *overruled))
    detected = detect(checkpoint)
    classifier = _classifier(checkpoint, detected, options.get("num_classes"))
    network |= implied(detected.layout.name, _implied(detected))
    if classifier.num_classes == 0:
        network = network.without(_HEAD_ARGUMENTS)
    architecture = resolve(checkpoint, detected, network, name, is_asked, is_strict)
    layout = checkpoint.layout or detected.layout.name
    pictures = said | opened.facts | picture_facts(found, architecture.name, layout)
    if classifier.is_random:  # the names of the source are those of other classes
        pictures = pictures.without(MEANING_FACTS) | said.among(MEANING_FACTS)
    record, used = record_of_pictures(pictures, architecture.image_shape, classifier.num_classes)
    return Plan(
        opened,
        checkpoint,
        detected,
        dataclasses.replace(
            architecture,
            facts=architecture.facts.without((*PICTURE_FACTS, *MEANING_FACTS)),
        ),
        classifier,
        view_of(options),
        found,
        used,
        record,
    )


def fill(plan: Plan) -> tuple[ScoreModel, Assignment]:
    """Return the model with the checkpoint's weights, and what was assigned.

    Raises:
        InputError: if a tensor is missing, left over, misshapen or not finite.
        UsageError: if an argument of the model is out of its range.
    """
    classifier = plan.classifier
    with contextlib.nullcontext() if classifier.is_random else without_random_start():
        model = plan.make_model()
    keep = [path for path in variables_by_path(model) if path.split("/")[0] in _HEADS]
    drop = {**classifier.drop, **left_out(plan.detected, model)}
    kept = keep if classifier.is_random else ()
    assignment = assign(model, plan.checkpoint, plan.detected.layout, drop, kept)
    free_memory()
    return model, assignment


# More than any set of pictures has.
_MOST_CLASSES = 10**7
_HEAD_ARGUMENTS = ("head_blocks", "head_patch_mean", "head_interleaved")


def _name(opened: Opened, model: str | None, release: Release | None) -> tuple[str | None, bool]:
    """Return the architecture's name, and whether somebody who knows the network gave it."""
    known = {*factory.list_models(), *factory.aliases()}
    if model is not None and (model in known or release is None):
        factory.variant(model)
        return model, True
    if release is not None:
        return release.model, True
    return (opened.model, True) if opened.model in known else (None, False)


def _fitted(checkpoint: Checkpoint, name: str | None, facts: Facts) -> Checkpoint:
    """Return the checkpoint at the patch size and grid that are wanted of a FlexiViT."""
    patch = facts.value("patch_size")
    arguments = {} if patch is None else {"patch_size": patch[0]}
    return fit(checkpoint, name, facts.value("image_size"), arguments)


def _classifier(checkpoint: Checkpoint, detected: Detected, num_classes: int | None) -> Classifier:
    if (num_classes or 0) > _MOST_CLASSES:
        raise UsageError(
            f"A head has at most {_MOST_CLASSES} classes. Received: num_classes={num_classes}"
        )
    # A head that is more than one linear layer counts no classes, and is left out when none are
    # asked for.
    is_asked_away = num_classes == 0 and any(name.startswith("head") for name in checkpoint)
    if num_classes is None or (num_classes == detected.num_classes and not is_asked_away):
        return Classifier(detected.num_classes, {}, False)
    reason = f"num_classes={num_classes} was asked for instead of {detected.num_classes}"
    return Classifier(num_classes, {"head*": reason}, num_classes > 0)


def _implied(detected: Detected) -> dict[str, Any]:
    """Return what the layout's own code does to the positions of images of other sizes."""
    if detected.family == "vit" and detected.layout.name == "dinov2":
        registers = detected.structure["num_registers"]
        return {"position_resampling": "bicubic_antialias" if registers else "bicubic_offset"}
    return {}
