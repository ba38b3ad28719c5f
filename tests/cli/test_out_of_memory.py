"""A device without memory left: one line with what takes less, exit code 2, old files untouched.

The exceptions are the backends' own; on a GPU their texts are these.
"""

import keras
import pytest

from kerasvit.cli import main
from kerasvit.memory import is_out_of_memory


def _of_torch():
    import torch

    return torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15.77 GiB"
    )


def _of_jax():
    import jax

    return jax.errors.JaxRuntimeError(
        "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 21474836480 bytes."
    )


def _of_tensorflow():
    import tensorflow as tf

    return tf.errors.ResourceExhaustedError(
        None, None, "{{function_node __wrapped__Mul}} failed to allocate memory [Op:Mul]"
    )


@pytest.fixture
def exhausted():
    """The exception that the backend of this run raises."""
    makers = {"torch": _of_torch, "jax": _of_jax, "tensorflow": _of_tensorflow}
    return makers[keras.backend.backend()]()


@pytest.mark.backend
def test_the_backends_own_exception_is_known(exhausted):
    assert is_out_of_memory(exhausted)
    assert not is_out_of_memory(type(exhausted).__mro__[-3]("anything else"))


@pytest.mark.parametrize(
    ("command", "place", "advice"),
    [
        (("train", "cifar10_cait_nano"), "learning.train", "schedule.batch_size"),
        (("finetune", "--data", "x", "-o", "y.keras"), "learning.finetune", "--batch-size"),
        (("evaluate", "-m", "model", "--data", "x"), "learning.evaluate", "--batch-size"),
        (("saliency", "cat.jpg"), "looking.saliency", "--resize"),
        (("evaluate-saliency", "cat.jpg"), "looking.evaluate_saliency", "--batch-size"),
    ],
)
def test_the_line_says_what_takes_less(
    capsys, monkeypatch, tmp_path, exhausted, command, place, advice
):
    def run(options):
        raise exhausted

    monkeypatch.setattr(f"kerasvit.cli.commands.{place}.run", run)
    monkeypatch.chdir(tmp_path)
    assert main(list(command)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kerasvit: out of memory. Received: ")
    assert advice in line
    assert not list(tmp_path.iterdir())
