"""Fine-tuning: a pretrained model learns the classes of a folder of pictures."""

import os
from collections.abc import Callable
from typing import Any

from kerasvit.backend import require_gradients
from kerasvit.errors import InputError
from kerasvit.models.base import ScoreModel
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.finetuning.heads import with_new_head
from kerasvit.training.finetuning.run import Run, fit_head, train
from kerasvit.training.finetuning.settings import FineTuned, FineTuning
from kerasvit.training.linear_probe import import_minimize

__all__ = ["FineTuned", "FineTuning", "finetune"]


def finetune(
    model: ScoreModel,
    folder: PictureFolder,
    settings: FineTuning | None = None,
    *,
    validation: PictureFolder | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    image_size: tuple[int, int] | None = None,
    report: Callable[[str], None] | None = None,
    one_logit: bool = False,
    **overrides: Any,
) -> FineTuned:
    """Give a pretrained model a new head for the classes of a folder, and train it.

    The file is written whenever the accuracy on the held-out pictures has grown (every epoch, where
    there are none), so that it always holds the best model so far, whole.

    Args:
        model: a kerasvit model, with a head or without; it stays as it is.
        folder: the pictures to learn from, of a class each or with many labels. Those that cannot
            be read are skipped, and named in its `broken`.
        settings: how; None for the defaults of `FineTuning`.
        validation: held-out pictures of the same classes; None for none: the last epoch is then
            the best one.
        output: path that ends in `.keras`; None for no file.
        overwrite: whether an existing file is replaced.
        image_size: `(height, width)` in pixels; None for the model's own.
        report: called with a line for each epoch.
        one_logit: whether one logit decides between the two classes, by its sigmoid.
        **overrides: see `kerasvit.training.finetuning.heads.with_new_head`.

    Raises:
        InputError: if no picture can be read, or the classes differ.
        OutputError: if the file cannot be written; what was there before is untouched.
        UsageError: if an option does not fit the model, SciPy is not installed, or the loss is no
            longer finite; the file of the best model before that stays.
    """
    require_gradients("Fine-tuning")
    if validation is not None and validation.class_names != folder.class_names:
        raise InputError(
            "The held-out pictures must have the classes of the others. Received: "
            f"{validation.class_names[:5]} and {folder.class_names[:5]}. Pass class_names to scan."
        )
    import_minimize()  # without it all would end after the features are computed
    kind = {"many_labels": folder.has_many_labels, "one_logit": one_logit}
    new = with_new_head(model, folder.class_names, image_size, **kind, **overrides)
    run = Run(
        new,
        folder,
        settings or FineTuning(),
        validation=validation,
        output=output,
        overwrite=overwrite,
        report=report,
    )
    learn = fit_head if run.settings.method == "frozen" else train
    learn(run)
    run.result.seconds = run.seconds()
    return run.result
