"""Training steps: Keras' `fit` on kerasvit, and a plain PyTorch loop on timm.

A call is an epoch of a few steps on noise; the first one compiles. Small pictures and patches, as
the recipes for CIFAR-10 have them.
"""

import numpy as np

STEPS = 4
CLASSES = 10
LEARNING_RATE = 1e-3
PATCH, WIDTH, LAYERS, CLASS_LAYERS, HEADS = 4, 192, 12, 2, 4
CAIT, VIT = f"CaiT, {LAYERS} + {CLASS_LAYERS} layers", f"ViT, {LAYERS} layers"


def examples(task, channels_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures and labels for all steps of a call."""
    random = np.random.default_rng(0)
    count, side = task.batch * STEPS, task.size
    shape = (count, 3, side, side) if channels_first else (count, side, side, 3)
    pictures = random.standard_normal(shape, "float32")
    return pictures, random.integers(0, CLASSES, count)


class Loop:
    """timm's model in a plain PyTorch loop."""

    def __init__(self, task):
        import torch

        from kerasvit.conversion.proof.timm.package import import_timm

        torch.set_num_threads(task.threads)
        self.batch, self.images = task.batch, task.batch * STEPS
        models = import_timm().models
        arguments = {
            "img_size": task.size,
            "patch_size": PATCH,
            "num_classes": CLASSES,
            "embed_dim": WIDTH,
            "depth": LAYERS,
            "num_heads": HEADS,
        }
        if task.model == CAIT:
            self.model = models.cait.Cait(**arguments, depth_token_only=CLASS_LAYERS)
        elif task.model == VIT:
            self.model = models.vision_transformer.VisionTransformer(**arguments)
        else:
            self.model = models.create_model(task.model, num_classes=CLASSES, img_size=task.size)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), LEARNING_RATE)
        self.examples = [torch.from_numpy(array) for array in examples(task, channels_first=True)]

    def __call__(self):
        from torch.nn.functional import cross_entropy

        losses = []
        parts = (part.split(self.batch) for part in self.examples)
        for pictures, labels in zip(*parts, strict=True):
            self.optimizer.zero_grad()
            loss = cross_entropy(self.model(pictures), labels)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return np.array(losses), {}


class Fit:
    """`fit` on kerasvit's model.

    Args:
        task: what to run.
        engine: "jax", "tf", "tf-xla" or "torch".
        mode: "full" or "none", the scores that the model returns beside the logits; or "kept":
            those of "full", by a derived class, which are made in every step too.
    """

    def __init__(self, task, engine: str, mode: str):
        import keras

        from benchmarks.contenders.keras_models import limit_threads

        limit_threads(engine, task.threads)
        self.batch, self.images = task.batch, task.batch * STEPS
        self.model = _model(task, mode)
        self.model.compile(
            optimizer=keras.optimizers.AdamW(LEARNING_RATE),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=engine in ("jax", "tf-xla"),
        )
        self.pictures, self.labels = examples(task, channels_first=False)

    def __call__(self):
        history = self.model.fit(
            self.pictures, self.labels, batch_size=self.batch, shuffle=False, verbose=0
        )
        return np.array(history.history["loss"]), {}


def _model(task, mode: str):
    import kerasvit

    attention = "none" if mode == "none" else "full"
    shape = (task.size, task.size, 3)
    if task.model not in (CAIT, VIT):
        if mode == "kept":
            raise ValueError(f"kept is measured for {CAIT!r} and {VIT!r}. Received: {task.model!r}")
        return kerasvit.create_model(
            task.model, num_classes=CLASSES, image_shape=shape, attention=attention
        )
    is_cait = task.model == CAIT
    family = kerasvit.CaiT if is_cait else kerasvit.VisionTransformer
    if mode == "kept":
        family = type("Derived", (family,), {})
    return family(
        image_shape=shape,
        patch_size=PATCH,
        num_classes=CLASSES,
        hidden_dim=WIDTH,
        num_layers=LAYERS,
        num_heads=HEADS,
        mlp_dim=4 * WIDTH,
        attention=attention,
        **({"num_class_layers": CLASS_LAYERS} if is_cait else {}),
    )
