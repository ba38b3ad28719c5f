"""The random generators of the process that a training step draws from: PyTorch's."""

from collections.abc import Mapping

import keras
import numpy as np


def generator_states() -> dict[str, np.ndarray]:
    """Return the states of PyTorch's global generators; nothing on other backends.

    `keras.layers.Dropout` draws from them where it has no seed. All else that is random in a step,
    and dropout on other backends, draws from variables of the model.

    Returns:
        uint8 arrays by device: "cpu", and "cuda:0" and so on where there is CUDA.
    """
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        found = enumerate(torch.cuda.get_rng_state_all())
        states |= {f"cuda:{number}": state for number, state in found}
    return {device: state.numpy() for device, state in states.items()}


def set_generator_states(states: Mapping[str, np.ndarray]) -> None:
    """Give PyTorch's global generators their states back.

    Args:
        states: as `generator_states` returns them; those of devices that are absent are left out,
            all of them on other backends.
    """
    if not states or keras.backend.backend() != "torch":
        return
    import torch

    for device, state in states.items():
        if device == "cpu":
            torch.set_rng_state(torch.tensor(state))
        elif int(device.removeprefix("cuda:")) < torch.cuda.device_count():
            torch.cuda.set_rng_state(torch.tensor(state), device)
