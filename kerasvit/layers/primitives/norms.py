"""The normalisations of a transformer, by the names that configs use."""

import keras

from kerasvit.layers.base import PACKAGE, require
from kerasvit.layers.direct_calls import DirectCalls
from kerasvit.layers.primitives.lean_ops import are_torch, weight_tensor


@keras.saving.register_keras_serializable(PACKAGE)
class LayerNormalization(DirectCalls, keras.layers.LayerNormalization):
    """Keras' own layer normalisation; on PyTorch one call of PyTorch's over the last axis."""

    is_never_cast = True

    def call(self, inputs):
        """Normalise, in float32 at least, and return the layer's compute dtype."""
        # Keras 3.15 keeps the axis as it was given, 3.16 counts it from the front.
        if are_torch(inputs) and self.axis in ([-1], [inputs.ndim - 1]) and not self.rms_scaling:
            gamma, beta = weight_tensor(self.gamma), weight_tensor(self.beta)
            return _torch_layer_norm(inputs, gamma, beta, self.epsilon, self.compute_dtype)
        return super().call(inputs)


@keras.saving.register_keras_serializable(PACKAGE)
class RMSNormalization(DirectCalls, keras.layers.RMSNormalization):
    """Keras' own root mean square normalisation."""


@keras.saving.register_keras_serializable(PACKAGE)
class BatchNormalization(DirectCalls, keras.layers.BatchNormalization):
    """Keras' own batch normalisation over the last axis; on PyTorch one call of PyTorch's.

    In training it takes the statistics of the batch and moves its own towards them, as Keras does:
    the moving variance is that of the batch, which PyTorch's layer would multiply by n / (n - 1).
    One that is frozen does neither: by its own `trainable`, as in Keras, or by that of its weights.
    """

    is_never_cast = True

    @property
    def _is_frozen(self) -> bool:
        weights = [weight for weight in (self.gamma, self.beta) if weight is not None]
        return not self.trainable or (
            bool(weights) and not any(weight.trainable for weight in weights)
        )

    def call(self, inputs, training=None):
        """Normalise, in float32 at least, and return the layer's compute dtype."""
        is_training = bool(training and not self._is_frozen)
        if not are_torch(inputs) or self.renorm or self.synchronized:
            return super().call(inputs, training=is_training)
        weights = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        gamma, beta, mean, variance = map(weight_tensor, weights)
        if not is_training:
            return _torch_affine(inputs, gamma, beta, mean, variance, self.epsilon)
        outputs, mean, variance = _torch_batch_norm(inputs, gamma, beta, self.epsilon)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(
                moving * self.momentum + value.to(moving.value.dtype) * (1 - self.momentum)
            )
        return outputs


NORM_TYPES = {"layer": LayerNormalization, "rms": RMSNormalization}


def make_norm(norm_type: str, epsilon: float, name: str, dtype) -> keras.layers.Layer:
    """Return Keras' normalisation over the last axis.

    Args:
        norm_type: "layer" for layer normalisation (Ba et al. 2016, https://arxiv.org/abs/1607.06450)
            or "rms", which neither centres nor shifts (Zhang and Sennrich 2019,
            https://arxiv.org/abs/1910.07467).
        epsilon: float, added to the variance. The ViT papers use 1e-6, Keras' default is 1e-3.
        name: of the layer.
        dtype: of the layer, or its policy.

    Raises:
        ValueError: if the type is neither.
    """
    require(
        norm_type in NORM_TYPES,
        f"norm_type must be one of {list(NORM_TYPES)}. Received: norm_type={norm_type!r}",
    )
    return NORM_TYPES[norm_type](epsilon=epsilon, name=name, dtype=dtype)


def _torch_layer_norm(inputs, gamma, beta, epsilon, compute_dtype):
    import torch

    wide = torch.promote_types(inputs.dtype, torch.float32)
    gamma, beta = _in_dtype(gamma, wide), _in_dtype(beta, wide)
    # Of the weights, where there are any: a trace takes the inputs' for no constant.
    weight = gamma if beta is None else beta
    shape = (inputs.shape[-1],) if weight is None else tuple(weight.shape)
    # On a CPU PyTorch takes half precision beside weights of float32, and computes in float32.
    mixes = inputs.device.type == "cpu" and not torch.compiler.is_compiling()
    inputs = inputs if mixes else inputs.to(wide)
    outputs = torch.nn.functional.layer_norm(inputs, shape, gamma, beta, epsilon)
    return _in_dtype(outputs, getattr(torch, compute_dtype))


def _in_dtype(tensor, dtype):
    # Asked first: an operation that does nothing takes PyTorch as long as a short one.
    return tensor if tensor is None or tensor.dtype is dtype else tensor.to(dtype)


def _torch_affine(inputs, gamma, beta, mean, variance, epsilon):
    import torch

    scale = gamma * torch.rsqrt(variance + epsilon)
    wide = torch.promote_types(inputs.dtype, torch.float32)
    return torch.addcmul(beta - mean * scale, inputs.to(wide), scale).to(inputs.dtype)


def _torch_batch_norm(inputs, gamma, beta, epsilon):
    """Return the outputs, and mean and variance of the batch; PyTorch takes channels first."""
    import torch

    wide = torch.promote_types(inputs.dtype, torch.float32)
    gamma, beta = gamma.to(wide), beta.to(wide)
    channels_first = inputs.to(wide).movedim(-1, 1)
    outputs, mean, scale = torch.native_batch_norm(
        channels_first, gamma, beta, None, None, True, 0.0, epsilon
    )
    variance = scale.detach().reciprocal().square() - epsilon
    return outputs.movedim(1, -1).to(inputs.dtype), mean.detach(), variance
