"""Model and optimiser of a recipe, ready for `fit`."""

from typing import Any

import keras

from kerasvit.errors import UsageError
from kerasvit.models import create_model
from kerasvit.models.base import ScoreModel
from kerasvit.pretrained import from_pretrained
from kerasvit.training.compilation import jit_compile
from kerasvit.training.losses import LabelAccuracy, LabelCrossEntropy
from kerasvit.training.optimizers import make_optimizer
from kerasvit.training.recipe.tables import Recipe
from kerasvit.training.run.rematerialisation import rematerialise
from kerasvit.training.schedules import warmup_cosine


def build_model(recipe: Recipe, num_classes: int) -> ScoreModel:
    """Make the model of a recipe, without scores and with the recipe's precision.

    Args:
        recipe: the whole recipe.
        num_classes: of its head, unless the recipe says another number.

    Raises:
        UsageError: if the name or an argument is unknown.
    """
    settings, run = recipe.model, recipe.run
    options = {
        "num_classes": num_classes,
        "image_shape": (*recipe.preprocessing.image_size, 3),
        **settings.arguments,
    }
    name = settings.name
    if settings.weights:
        source = from_pretrained(settings.weights)
        name = name or source.name
    model = create_model(name, attention="none", dtype=run.precision, **options)
    if run.rematerialise:
        rematerialise(model)
    if settings.weights:
        _take_weights(model, source, settings.weights)
    return model


def _take_weights(model: ScoreModel, source: ScoreModel, name: str) -> None:
    shapes = [[tuple(weight.shape) for weight in each.weights] for each in (model, source)]
    if shapes[0] != shapes[1]:
        raise UsageError(
            "model.weights must have the shapes of the model that trains. "
            f"Received: {name!r} for {model.name!r}. For other classes: kerasvit finetune"
        )
    model.set_weights(source.get_weights())


def compile_model(model: keras.Model, recipe: Recipe, steps: int) -> None:
    """Compile a model as a recipe says.

    Args:
        model: what trains.
        recipe: the whole recipe.
        steps: of an epoch.
    """
    given, schedule, loss = recipe.optimizer, recipe.schedule, recipe.loss
    total = schedule.epochs * steps // given.accumulation
    rate: Any = given.learning_rate
    if schedule.kind == "cosine":
        warmup = int(schedule.warmup_epochs * steps) // given.accumulation
        rate = warmup_cosine(rate, total, warmup, start=schedule.start, final=schedule.final)
    optimizer = make_optimizer(
        model,
        rate,
        given.weight_decay,
        clip_norm=given.clip_norm,
        ema_momentum=given.ema_momentum,
        name=given.name,
        adam_weight_decay=given.adam_weight_decay,
        beta_2=given.beta_2,
        epsilon=given.epsilon,
        accumulation=given.accumulation,
    )
    # `fit` is called for each stage; the averages must not end up in the weights after the first.
    optimizer.finalize_variable_values = lambda variables: None
    many = recipe.model.has_many_labels
    model.compile(
        optimizer,
        LabelCrossEntropy(loss.label_smoothing, loss.independent or many),
        metrics=[LabelAccuracy(independent=many)],
        jit_compile=jit_compile(recipe.run.jit_compile),
    )
