"""The tables of a recipe: what each key of a training recipe means, and what it may be."""

import dataclasses
from typing import Any

from kerasvit.images.preprocessing import Preprocessing
from kerasvit.training.recipe.fields import (
    EPOCHS,
    SIDE,
    choice,
    count,
    flag,
    flag_or,
    numbers,
    share,
    stages,
    table,
    text,
    widths,
)


def _imagenet() -> Preprocessing:
    """Return what a recipe need not say of its preprocessing: ImageNet's."""
    return Preprocessing((224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


# What `distillation.teacher` says for the network that a run trains itself.
CONVOLUTIONAL = "convolutional"


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """What a reader wants to know: the source, what to expect of it, on which hardware."""

    title: str = text()
    source: str = text()
    expected: str = text()
    hardware: str = text()
    licence: str = text("Apache-2.0")
    release: str = text()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Labelled pictures.

    `dataset` is "folder", which needs `path` (a folder per class, or a zip), or "cifar10", which
    is downloaded by Keras where there is no `path`. `train` and `test` are its splits. `limit` and
    `test_limit` take that many pictures, evenly from the whole, and `validation_limit` of the
    test pictures for what is measured after each epoch; 0 takes all. `in_memory` decodes all
    pictures once; else `workers` processes (0: threads) read them as they are needed.
    """

    dataset: str = choice("folder", "folder", "cifar10")
    path: str = text()
    train: str = text("train")
    test: str = text("test")
    limit: int = count(0)
    test_limit: int = count(0)
    validation_limit: int = count(0)
    in_memory: bool = flag(True)
    workers: int = count(0, highest=1024)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """Name and further arguments of `kerasvit.create_model`.

    `weights` is what training starts from: what `kerasvit.from_pretrained` takes, of the same
    shape; empty for random weights.
    """

    name: str = text()
    arguments: dict[str, Any] = table()  # noqa: RUF009 - it returns a field
    weights: str = text()

    @property
    def has_many_labels(self) -> bool:
        """Whether the arguments say that a picture may have several labels, or none."""
        return self.arguments.get("problem_type") == "multi_label_classification"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training pictures vary; see `kerasvit.training.data.augmentation`.

    `crop` is "none"; "padded", a window of the picture moved by up to `padding` pixels (in
    proportion at the smaller sizes of stages) over what `padding_mode` puts around it; "resized",
    a window with an area in `scale` and a ratio of sides in `ratio`; or "simple", the padded
    window of the resized picture that DeiT III takes. `colour` changes colours, see
    `kerasvit.training.data.colours`, with `magnitude` and `operations`; `jitter` is the strength of
    brightness, contrast and saturation. `erasing` is the probability of erasing a rectangle,
    `mixing` that of mixing a batch by mixup or (with probability `switch`) cutmix. `repeats` is
    how often a picture is in an epoch.
    """

    crop: str = choice("none", "none", "padded", "resized", "simple")
    padding: int = count(4, highest=1024)
    padding_mode: str = choice("reflect", "reflect", "black")
    scale: tuple[float, float] = numbers((0.08, 1.0), 2, 0)
    ratio: tuple[float, float] = numbers((3 / 4, 4 / 3), 2, 0)
    flip: bool = flag(True)
    colour: str = choice("none", "none", "rand_augment", "three_augment")
    magnitude: float = share(0.0)
    operations: int = count(2, highest=100)
    jitter: float = share(0.0)
    erasing: float = share(0.0)
    mixup: float = share(0.0)
    cutmix: float = share(0.0)
    mixing: float = share(1.0)
    switch: float = share(0.5)
    repeats: int = count(1, 1, 1000)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """See `kerasvit.training.optimizers.make_optimizer`; 0 switches clipping and averaging off."""

    name: str = choice("adamw", "adamw", "muon", "lamb")
    learning_rate: float = share(1e-3)
    weight_decay: float = share(0.05)
    adam_weight_decay: float = share(0.05)
    beta_2: float = share(0.999)
    epsilon: float = share(1e-8)
    clip_norm: float = share(0.0, highest=1e9)
    ema_momentum: float = share(0.0)
    accumulation: int = count(1, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long, and at which learning rate, see `kerasvit.training.schedules`.

    `stages` are pairs of an image size and a number of epochs that add up to `epochs`; without
    any, all epochs are at the size of the preprocessing.
    """

    epochs: int = count(1, 1, EPOCHS)
    batch_size: int = count(128, 1)
    kind: str = choice("cosine", "cosine", "constant")
    warmup_epochs: float = share(0.0, highest=1e6)
    start: float = share(0.0)
    final: float = share(0.0)
    stages: tuple[tuple[int, int], ...] = stages()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """Softmax cross entropy, or `independent` decisions about each class; label smoothing."""

    independent: bool = flag(False)
    label_smoothing: float = share(0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distillation:
    """What the model learns from a teacher; see `kerasvit.training.distillation`.

    `teacher` is a release or a `.keras` file, `image_size` the side of what it is given (0: what
    its release says); or "convolutional" for a network that is trained first, see `Teacher`. For
    features `cache` is the `.npy` file where its tokens are kept, or are already:
    `(N, patches, width)` in the order of the training pictures; empty for a file beside the run.
    For "hard" and "soft" it is a file of logits `(N, K)`; empty for a teacher that runs along.
    Beside features the labels can become a mean of themselves and of the teacher's probabilities
    at `temperature`, which have `logits_share` of it: `logits` is such a file; empty for one beside
    the run, computed once. `mirrored` computes the tokens of mirrored pictures too instead of
    mirroring the others.
    """

    kind: str = choice("none", "none", "hard", "soft", "features")
    teacher: str = text()
    weight: float = share(1.0, highest=1e6)
    temperature: float = share(3.0, highest=1e6)
    distance: str = choice("cosine", "cosine", "smooth_l1")
    block: int = count(-1, -1000)
    image_size: int = count(0, highest=SIDE)
    mirrored: bool = flag(False)
    cache: str = text()
    logits: str = text()
    logits_share: float = share(0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Teacher:
    """The convolutional teacher, which a run trains where `distillation.teacher` asks for it.

    `widths` are the channels of its stem and its three stages, see
    `kerasvit.training.distillation.convolutional_teacher`; `epochs` and `stages` are as in
    `Schedule`.
    """

    widths: tuple[int, int, int, int] = widths((32, 64, 128, 128))
    epochs: int = count(8, 1, EPOCHS)
    stages: tuple[tuple[int, int], ...] = stages()
    learning_rate: float = share(0.2)
    weight_decay: float = share(0.005)
    label_smoothing: float = share(0.1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attention:
    """Sheets of what the model attends to in `pictures` test pictures, every so many epochs."""

    every: int = count(0)
    pictures: int = count(6, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """How the run itself goes.

    `checkpoint_steps` writes the state every so many steps, besides after every epoch; `max_steps`
    stops early, as a kill would, but in order; `evaluate_every` counts epochs. `jit_compile` lets
    XLA compile a step: "auto" where that is fast, see `kerasvit.training.compilation`.
    `distribution` is that of `kerasvit.training.distribution`, on JAX.
    """

    seed: int = count(0, highest=2**32 - 1)
    precision: str = choice("float32", "float32", "mixed_bfloat16", "mixed_float16")
    rematerialise: bool = flag(False)
    jit_compile: str | bool = flag_or("auto")
    tensorboard: bool = flag(True)
    checkpoint_steps: int = count(0)
    max_steps: int = count(0)
    evaluate_every: int = count(1, 1)
    test_batch_size: int = count(500, 1)
    distribution: str = choice("none", "none", "data", "model")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe; each field is a table of the TOML file."""

    about: About = dataclasses.field(default_factory=About)
    data: Data = dataclasses.field(default_factory=Data)
    model: Model = dataclasses.field(default_factory=Model)
    preprocessing: Preprocessing = dataclasses.field(default_factory=_imagenet)
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    schedule: Schedule = dataclasses.field(default_factory=Schedule)
    loss: Loss = dataclasses.field(default_factory=Loss)
    distillation: Distillation = dataclasses.field(default_factory=Distillation)
    teacher: Teacher = dataclasses.field(default_factory=Teacher)
    attention: Attention = dataclasses.field(default_factory=Attention)
    run: Run = dataclasses.field(default_factory=Run)

    def to_dict(self) -> dict[str, Any]:
        """Return tables of plain values, for JSON."""
        return dataclasses.asdict(self)
