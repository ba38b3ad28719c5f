"""timm models whose every parameter is away from its default, and their state dicts."""

import numpy as np
import pytest
from modules import without_memory


@pytest.fixture(scope="session")
def random_state(timm):
    """Return a function that makes the randomised state dict of a timm model."""
    import torch

    def make(name, seed=0, **arguments):
        generator = torch.Generator().manual_seed(seed)
        with without_memory():
            module = timm.create_model(name, **arguments)
        return {
            key: _random_like(key, value, generator) for key, value in module.state_dict().items()
        }

    return make


def _random_like(name, value, generator):
    import torch

    if name.endswith("num_batches_tracked"):
        return torch.tensor(3)
    noise = torch.randn(value.shape, generator=generator)
    if name.endswith("running_var"):
        return 0.5 + noise.abs()
    if value.ndim >= 2 and name.endswith("weight"):
        return noise / np.sqrt(value[0].numel())
    if name.endswith("weight") or "gamma" in name:  # norms and LayerScale
        return 0.6 + 0.2 * noise
    return 0.2 * noise
