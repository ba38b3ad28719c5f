"""Every release record makes a model, of as many weights as it says."""

import math

import pytest

from kerasvit import create_model
from kerasvit.models import factory
from kerasvit.models.opening.without_values import without_values
from kerasvit.releases import load_releases

RELEASES = load_releases()


def count(weights):
    """Return the number of parameters, among which a batch norm's statistics are not counted."""
    parameters = [weight for weight in weights if "/moving_" not in weight.path]
    return sum(math.prod(weight.shape) for weight in parameters)


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_makes_the_model_that_it_records(name):
    release = RELEASES[name]
    variant = factory.variant(release.model)[1]
    depth = variant["num_layers"]
    # Blocks are equal, but for grouped queries; and frequencies of all blocks may lie together.
    is_uneven = "num_key_value_heads" in variant or variant.get("rope_type") == "mixed"
    layers = depth if is_uneven else min(depth, release.overrides.get("head_blocks", 1))
    overrides = {**release.overrides, "num_layers": layers}
    model = without_values(lambda: create_model(release.model, **overrides))
    block = count(model.blocks[0].weights)
    total = count(model.weights) + (depth - layers) * block
    assert total == (release.num_parameters or total)
    grid = model.token_layout(release.preprocessing["image_size"]).grid
    assert min(grid) > 0
