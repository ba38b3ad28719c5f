"""Learning rates over the steps of a run."""

import keras

from kerasvit.errors import UsageError


def warmup_cosine(
    peak: float, steps: int, warmup_steps: int = 0, *, start: float = 0.0, final: float = 0.0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a rate that rises in a line, then falls as half a cosine.

    At step t < w it is `start + (peak - start) t / w`; from there on
    `final + (peak - final) (1 + cos(pi (t - w) / (steps - w))) / 2`.

    Args:
        peak: the highest rate, above 0.
        steps: of the whole run, more than `warmup_steps`.
        warmup_steps: w, of the rise; 0 for none.
        start: rate at step 0, if there is a rise.
        final: rate at the end.

    Raises:
        UsageError: if a number is out of its range.

    Source: Loshchilov & Hutter 2017, equation 5 (https://arxiv.org/abs/1608.03983); Goyal et al.
    2017, section 2.2, for the rise (https://arxiv.org/abs/1706.02677).
    """
    if not (peak > 0 and 0 <= final <= peak and 0 <= start <= peak):
        raise UsageError(
            "The peak must be above 0, start and final rates from 0 to the peak. "
            f"Received: peak={peak}, start={start}, final={final}."
        )
    if not 0 <= warmup_steps < steps:
        raise UsageError(
            "The rise must end before the run does. "
            f"Received: warmup_steps={warmup_steps} of steps={steps}."
        )
    cosine = keras.optimizers.schedules.CosineDecay
    if warmup_steps == 0:
        return cosine(peak, steps, alpha=final / peak)
    return cosine(
        start,
        steps - warmup_steps,
        alpha=final / peak,
        warmup_target=peak,
        warmup_steps=warmup_steps,
    )
