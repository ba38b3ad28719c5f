"""What a ViT reads out of its last tokens: the feature that its head sees."""

from keras import ops

POOLINGS = ("class", "average", "max", "average_max", "attention")

# Of all patch tokens alike. Where nothing else is said, the last norm acts on their feature.
PATCH_POOLINGS = ("average", "max", "average_max")
# The name that conversion knows it by.
NORMED_AFTER = PATCH_POOLINGS


def pool(tokens, pooling: str, num_prefix: int):
    """Pool the tokens of the last block to one feature.

    Args:
        tokens: tensor `(B, N, D)`.
        pooling: "class", the first token; "average" or "max" over the patches; "average_max", the
            mean of these two.
        num_prefix: number of leading tokens that the others leave out.

    Returns:
        Tensor `(B, D)`.
    """
    if pooling == "class":
        return tokens[:, 0]
    patches = tokens[:, num_prefix:]
    if pooling == "average":
        return ops.mean(patches, axis=1)
    if pooling == "max":
        return ops.max(patches, axis=1)
    return (ops.mean(patches, axis=1) + ops.max(patches, axis=1)) / 2


def linear_probe_feature(outputs: list, num_prefix: int, patch_mean: bool, interleaved: bool):
    """Return what the published linear heads of DINO and DINOv2 take.

    Args:
        outputs: the last blocks' tokens after the norm, `(B, N, D)` each, in block order.
        num_prefix: number of leading tokens that are no patches.
        patch_mean: whether the mean patch token of the last block follows the class tokens.
        interleaved: whether it alternates with the class token instead, element by element.

    Returns:
        Tensor `(B, D * (len(outputs) + patch_mean))`.

    Source: dino/eval_linear.py and dinov2/hub/classifiers.py.
    """
    features = [tokens[:, 0] for tokens in outputs]
    if patch_mean:
        features.append(ops.mean(outputs[-1][:, num_prefix:], axis=1))
    if interleaved:
        width = len(features) * features[0].shape[-1]
        return ops.reshape(ops.stack(features, axis=-1), (-1, width))
    return ops.concatenate(features, axis=-1)


def distilled_logits(tokens, heads, output: str):
    """Return what a distilled model makes of its class token and its distillation token.

    Args:
        tokens: tensor `(B, N, D)`, these two first.
        heads: the layer that reads each, or None to give the token itself.
        output: "average" of the two, or "both", side by side in axis 1.

    Returns:
        Tensor `(B, K)`, or `(B, 2, K)`.
    """
    logits = [tokens[:, 0], tokens[:, 1]]
    logits = [
        feature if head is None else head(feature)
        for head, feature in zip(heads, logits, strict=True)
    ]
    return ops.stack(logits, axis=1) if output == "both" else (logits[0] + logits[1]) / 2
