"""What `test_other_distributions.py` runs in processes of their own: docs/how_to/distribution.md.

    python other_distributions.py OUTPUT tensorflow
    python other_distributions.py OUTPUT torch RENDEZVOUS NUMBER

Each trains a tiny CaiT for a few steps, alone and then on two devices or in two processes, and
keeps the weights of both in OUTPUT, a `.npz` file.
"""

import sys

import numpy as np

STEPS, BATCH, RATE = 5, 8, 0.1


def make_model():
    from kerasvit.models import CaiT

    model = CaiT(
        image_shape=(8, 8, 3),
        patch_size=4,
        num_classes=5,
        hidden_dim=8,
        num_layers=1,
        num_class_layers=1,
        num_heads=2,
        mlp_dim=16,
        layer_scale_init_value=0.5,
        attention="none",
    )
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return model


def data():
    rng = np.random.default_rng(1)
    images = rng.normal(size=(STEPS, BATCH, 8, 8, 3)).astype("float32")
    return images, rng.integers(0, 5, (STEPS, BATCH))


def keep(path, alone, together):
    arrays = {f"alone/{index}": weight for index, weight in enumerate(alone.get_weights())}
    arrays |= {f"together/{index}": weight for index, weight in enumerate(together.get_weights())}
    np.savez(path, **arrays)


def run_tensorflow(path):
    import keras
    import tensorflow as tf

    [cpu] = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)

    def fit(strategy):
        with strategy.scope():
            model = make_model()
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.SGD(RATE, momentum=0.9), loss, jit_compile=False)
        images, labels = data()
        flat = images.reshape(-1, 8, 8, 3), labels.reshape(-1)
        model.fit(*flat, batch_size=BATCH, shuffle=False, verbose=0)
        return model

    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    keep(path, fit(tf.distribute.get_strategy()), fit(strategy))


def torch_loop(module, number, count):
    """Train on this process's part of each batch, as docs/how_to/distribution.md says."""
    import torch

    optimizer = torch.optim.SGD(module.parameters(), lr=RATE, momentum=0.9)
    part = slice(number * BATCH // count, (number + 1) * BATCH // count)
    for images, labels in zip(*data(), strict=True):
        logits, _, _ = module(torch.from_numpy(images[part]), training=True)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels[part]))
        loss.backward()
        optimizer.step()


def torch_process(number, path, rendezvous):
    import torch

    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=number, world_size=2
    )
    alone, together = make_model(), make_model()
    torch_loop(torch.nn.parallel.DistributedDataParallel(together), number, 2)
    if number == 0:
        torch_loop(alone, 0, 1)
        keep(path, alone, together)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main():
    path, backend, *rest = sys.argv[1:]
    if backend == "tensorflow":
        run_tensorflow(path)
    else:
        torch_process(int(rest[1]), path, rest[0])


if __name__ == "__main__":
    main()
