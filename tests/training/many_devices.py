"""What `test_distribution.py` runs in processes of their own: the number of devices is fixed early.

    python many_devices.py OUTPUT KIND:FAMILY ...

Each run trains a tiny model for 20 steps and keeps its losses and weights in OUTPUT, a `.npz` file;
KIND is "one", "data" or "model".
"""

import sys

import keras
import numpy as np

from kerasvit.models import CaiT, VisionTransformer, XCiT
from kerasvit.training.distribution import (
    check_batch,
    data_shard,
    distributed,
    is_first_host,
    join_hosts,
)
from kerasvit.training.losses import LabelCrossEntropy

TINY = {
    "image_shape": (8, 8, 3),
    "patch_size": 4,
    "num_classes": 5,
    "hidden_dim": 8,
    "num_layers": 1,
    "num_heads": 2,
    "mlp_dim": 16,
    "drop_path_rate": 0.2,
}
FAMILIES = {
    "vit": lambda: VisionTransformer(**TINY),
    "cait": lambda: CaiT(**TINY, num_class_layers=1, layer_scale_init_value=0.5),
    # What newer ViTs have: learned angles, biases of places, gates, norms inside.
    "rotary": lambda: VisionTransformer(
        **{**TINY, "hidden_dim": 16, "num_heads": 4},
        position_embedding="none",
        rope_type="mixed",
        use_relative_position_bias=True,
        use_key_bias=False,
        mlp_type="gated",
        activation="silu",
        use_sub_norm=True,
        layer_scale_init_value=0.5,
    ),
    "grouped": lambda: VisionTransformer(
        **{**TINY, "hidden_dim": 16, "num_heads": 4},
        position_embedding="none",
        rope_type="dinov3",
        num_key_value_heads=2,
        norm_type="rms",
        layer_scale_init_value=0.5,
    ),
    # Statistics of batches are those of the global batch.
    "xcit": lambda: XCiT(**TINY, num_class_layers=1, layer_scale_init_value=0.5),
}
STEPS, BATCH = 20, 16


class _Losses(keras.callbacks.Callback):
    """The loss of every step, not the mean of those so far."""

    def on_train_begin(self, logs=None):
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(float(logs["loss"]))
        self.model.reset_metrics()


def train(kind, family):
    """Return the losses of the steps, the weights, and which of them are split over devices."""
    keras.utils.set_random_seed(0)
    with distributed(None if kind == "one" else kind, 2 if kind == "model" else None) as found:
        model = FAMILIES[family]()
        rng = np.random.default_rng(0)
        for weight in model.trainable_variables:
            weight.assign(rng.normal(scale=0.3, size=weight.shape))
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), LabelCrossEntropy())
        images = rng.normal(size=(STEPS, BATCH, 8, 8, 3)).astype("float32")
        labels = rng.integers(0, 5, (STEPS, BATCH))
        number, count = data_shard(found)
        check_batch(found, BATCH // count)
        part = slice(number * BATCH // count, (number + 1) * BATCH // count)
        losses = _Losses()
        model.fit(
            images[:, part].reshape(-1, 8, 8, 3),
            labels[:, part].reshape(-1),
            batch_size=BATCH // count,
            shuffle=False,
            verbose=0,
            callbacks=[losses],
        )
        split = [
            weight.path
            for weight in model.trainable_variables
            if not weight.value.sharding.is_fully_replicated
        ]
        values = [] if split and count > 1 else model.get_weights()
        return losses.values, values, split


def main():
    output, *runs = sys.argv[1:]
    join_hosts()
    arrays = {}
    for run in runs:
        losses, weights, split = train(*run.split(":"))
        arrays[f"{run}/losses"] = losses
        arrays[f"{run}/split"] = np.array(split, dtype="U")
        arrays |= {f"{run}/weights/{index}": weight for index, weight in enumerate(weights)}
    if is_first_host():
        np.savez(output, **arrays)


if __name__ == "__main__":
    main()
