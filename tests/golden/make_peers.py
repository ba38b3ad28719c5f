"""Write `peers.npz`: what other tools make of the same small PyTorch models, patch by patch.

    pip install --no-deps --target PEERS grad-cam==1.5.7 captum==0.9.0 torchcam==0.5.0 \\
        opencv-python-headless scikit-learn joblib threadpoolctl narwhals cloudpickle ttach
    KERAS_BACKEND=torch PYTHONPATH=PEERS python tests/golden/make_peers.py

grad-cam gives Grad-CAM, captum integrated gradients, SmoothGrad and occlusion, torchcam LeGrad, all
on timm's own ViT and CaiT with random weights. Rollout, relevance, attention times gradient and the
head-wise method are computed here from the published formulas, with PyTorch and whole matrices.
The file also holds the weights, under the names of our variables: `tests/saliency/test_peers.py`
loads them into our models and needs none of these tools.
"""

import functools
import pathlib

import numpy as np
import torch

from kerasvit.conversion.proof.timm.package import import_timm

PATH = pathlib.Path(__file__).with_name("peers.npz")
SIZES = {
    "image_shape": (12, 20, 3),
    "patch_size": 4,
    "num_classes": 5,
    "hidden_dim": 12,
    "num_layers": 2,
    "num_heads": 3,
    "mlp_dim": 24,
}
GRID, PATCH, TARGETS = (3, 5), 4, (1, 3)
STEPS, SAMPLES, NOISE, SEED = 16, 6, 0.15, 0


def timm_models():
    """Return timm's ViT and CaiT of these sizes, every parameter random."""
    timm = import_timm()
    shared = {
        "img_size": SIZES["image_shape"][:2],
        "patch_size": PATCH,
        "num_classes": SIZES["num_classes"],
        "embed_dim": SIZES["hidden_dim"],
        "depth": SIZES["num_layers"],
        "num_heads": SIZES["num_heads"],
        "mlp_ratio": SIZES["mlp_dim"] / SIZES["hidden_dim"],
    }
    models = {
        "vit": timm.models.vision_transformer.VisionTransformer(**shared),
        "cait": timm.models.cait.Cait(**shared, depth_token_only=2, mlp_ratio_token_only=2.0),
    }
    generator = torch.Generator().manual_seed(7)
    for model in models.values():
        for name, parameter in model.named_parameters():
            is_scale = "gamma" in name or ("norm" in name and name.endswith("weight"))
            noise = 0.3 * torch.randn(parameter.shape, generator=generator)
            parameter.data = noise + (1.0 if is_scale else 0.0)
        model.eval()
        for module in model.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False  # Fused attention shows no probabilities.
    return models


def keras_weights(name, model):
    """Return the weights under the names of our variables."""
    import kerasvit
    from kerasvit.conversion.names.layouts import TIMM_CAIT, vit_layout
    from kerasvit.conversion.names.rules import assign

    ours = make_keras(kerasvit, name)
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    assign(ours, _Source(state), TIMM_CAIT if name == "cait" else vit_layout(set(state)))
    return {variable.path.split("/", 1)[1]: np.asarray(variable) for variable in ours.weights}


class _Source(dict):
    """A state dict as the engine of the converter reads it."""

    label = "the state dict of a timm model"

    def shape(self, name):
        return self[name].shape

    @property
    def names(self):
        return tuple(self)


def make_keras(kerasvit, name):
    """Return our model of these sizes."""
    if name == "vit":
        return kerasvit.VisionTransformer(**SIZES)
    return kerasvit.CaiT(**SIZES, num_class_layers=2)


def class_logits(model, pixels):
    """Return the sum of the targets' logits: its gradient is each picture's own."""
    logits = model(pixels)
    return sum(logits[index, target] for index, target in enumerate(TARGETS))


def patch_sums(values):
    """Return `(B, C, h, w)` summed over channels and patches."""
    cells = values.reshape(len(values), -1, GRID[0], PATCH, GRID[1], PATCH)
    return cells.sum((1, 3, 5))


# ---- other tools ----


def by_grad_cam(model, pixels):
    """Return Grad-CAM of what the last block's attention reads, or the first class block's."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    raw = []

    class BeforeResizing(GradCAM):
        def get_cam_image(self, *arguments, **options):
            raw.append(super().get_cam_image(*arguments, **options))
            return raw[-1]

    blocks = getattr(model, "blocks_token_only", None)
    layer = blocks[0].norm1 if blocks else model.blocks[-1].norm1

    def on_grid(tokens):
        return tokens[:, 1:].reshape(len(tokens), *GRID, -1).permute(0, 3, 1, 2)

    with BeforeResizing(model, [layer], reshape_transform=on_grid) as tool:
        tool(pixels, [ClassifierOutputTarget(target) for target in TARGETS])
    return {"gradcam": np.maximum(raw[0], 0)}


def by_captum(model, pixels):
    """Return integrated gradients, SmoothGrad with our noise, and occlusion."""
    from captum.attr import IntegratedGradients, Occlusion, Saliency

    targets = torch.tensor(TARGETS)
    integrated = IntegratedGradients(model).attribute(
        pixels, torch.zeros_like(pixels), targets, n_steps=STEPS, method="riemann_middle"
    )
    window = (3, PATCH, PATCH)
    hidden = Occlusion(model).attribute(pixels, window, window, target=targets, baselines=0)
    smooth = [
        _smooth(Saliency(model), picture[None], target)
        for picture, target in zip(pixels, TARGETS, strict=True)
    ]
    return {
        "integrated_gradients": patch_sums(integrated).detach().numpy(),
        "occlusion": (patch_sums(hidden) / (3 * PATCH * PATCH)).detach().numpy(),
        "smoothgrad": np.concatenate(smooth),
    }


def _smooth(saliency, picture, target):
    """Return one picture's SmoothGrad; captum draws its noise by `torch.normal`."""
    from captum.attr import NoiseTunnel

    rng = np.random.default_rng(SEED)
    shape = picture.shape[2], picture.shape[3], 3
    grains = np.stack([rng.standard_normal(shape, np.float32) for _ in range(SAMPLES)])
    grains = torch.from_numpy(grains.transpose(0, 3, 1, 2))
    spread = float(picture.max() - picture.min()) * NOISE
    drawn = torch.normal
    torch.normal = lambda mean, deviation: mean + deviation * grains
    try:
        mean = NoiseTunnel(saliency).attribute(
            picture, nt_samples=SAMPLES, stdevs=spread, target=target, abs=False
        )
    finally:
        torch.normal = drawn
    return patch_sums(mean.abs()).detach().numpy()


def by_torchcam(model, pixels):
    """Return LeGrad of the last two blocks, each read by the class token."""
    from torchcam.methods import LeGrad

    twin = _Twin(model)
    maps = []
    for picture, target in zip(pixels, TARGETS, strict=True):
        with LeGrad(
            twin, list(twin.blocks[-2:]), score_projection=twin.read_out, grid_shape=GRID
        ) as tool:
            logits = twin(picture[None])
            maps.append(tool(target, logits, normalized=False)[0])
        torch.testing.assert_close(logits, model(picture[None]))
    return {"legrad": torch.cat(maps).detach().numpy()}


class _Twin(torch.nn.Module):
    """The timm ViT with torchvision's blocks, which torchcam knows, and the same weights."""

    def __init__(self, model):
        super().__init__()
        from torchvision.models.vision_transformer import EncoderBlock

        norm = functools.partial(torch.nn.LayerNorm, eps=1e-6)
        sizes = SIZES["num_heads"], SIZES["hidden_dim"], SIZES["mlp_dim"]
        self.source = model
        self.blocks = torch.nn.ModuleList(
            EncoderBlock(*sizes, 0.0, 0.0, norm_layer=norm) for _ in model.blocks
        )
        names = {
            "ln_1": "norm1",
            "self_attention.in_proj_": "attn.qkv.",
            "self_attention.out_proj": "attn.proj",
            "ln_2": "norm2",
            "mlp.0": "mlp.fc1",
            "mlp.3": "mlp.fc2",
        }
        for block, source in zip(self.blocks, model.blocks, strict=True):
            state = source.state_dict()
            for key in block.state_dict():
                prefix = next(name for name in names if key.startswith(name))
                wanted = key.replace(prefix, names[prefix])
                block.get_parameter(key).data = state[wanted].clone()
        self.eval()

    def forward(self, pixels):
        tokens = self.source.patch_embed(pixels)
        first = self.source.cls_token.expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], dim=1) + self.source.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        return self.read_out(tokens)

    def read_out(self, tokens):
        return self.source.head(self.source.norm(tokens)[:, 0])


# ---- published formulas ----


def scores_and_gradients(model, pixels):
    """Return each block's attention and the gradient of the targets' logits by it.

    The self-attention of CaiT comes twice: before the second head mixing, and after it.
    """
    caught = {"sa": [], "before": [], "ca": []}

    def catch(stage, tensor):
        tensor.retain_grad()
        caught[stage].append(tensor)

    hooks = []
    for block in model.blocks:
        hooks.append(block.attn.attn_drop.register_forward_hook(lambda m, i, o: catch("sa", o)))
        if hasattr(block.attn, "proj_w"):
            mixing = block.attn.proj_w
            # Its heads are last there.
            hooks.append(mixing.register_forward_hook(lambda m, i, o: catch("before", i[0])))
    for block in getattr(model, "blocks_token_only", []):
        hooks.append(block.attn.attn_drop.register_forward_hook(lambda m, i, o: catch("ca", o)))
    class_logits(model, pixels).backward()
    for hook in hooks:
        hook.remove()
    found = {stage: [(a.detach(), a.grad) for a in tensors] for stage, tensors in caught.items()}
    found["before"] = [(a.permute(0, 3, 1, 2), g.permute(0, 3, 1, 2)) for a, g in found["before"]]
    return found


def class_matrix(row):
    """Return class attention's row as the matrix of all tokens, in which patches stay put."""
    matrix = torch.eye(row.shape[-1]).repeat(len(row), 1, 1)
    matrix[:, :1] = row
    return matrix


def rollout(matrices):
    """Return the product of half identity, half attention (Abnar and Zuidema 2020)."""
    total = torch.eye(matrices[0].shape[-1])[None]
    for matrix in matrices:
        mixed = matrix + torch.eye(matrix.shape[-1])
        total = mixed / mixed.sum(-1, keepdim=True) @ total
    return total


def relevance(pairs):
    """Return R after all blocks (Chefer et al. 2021, rules 5 and 6)."""
    total = torch.eye(pairs[0][0].shape[-1])[None]
    for scores, gradient in pairs:
        total = total + (gradient * scores).clamp(min=0).mean(1) @ total
    return total


def headwise(model, pixels, start):
    """Return the head-wise map (Chen et al. 2023, section 4) of a ViT, unscaled."""
    total = torch.eye(1 + GRID[0] * GRID[1])[None]
    for scores, gradient in scores_and_gradients(model, pixels)["sa"][start:]:
        importance = (scores.transpose(-1, -2) @ gradient).abs().mean((-1, -2))
        weights = importance / importance.sum(1, keepdim=True)
        total = total + torch.einsum("bh,bhij->bij", weights, scores) @ total
    last = [
        scores_and_gradients(model, share * pixels)["sa"][-1][1]
        for share in torch.linspace(0, 1, STEPS)
    ]
    mean = torch.stack(last).mean(0).clamp(min=0).mean(1)
    return (mean * total)[:, 0, 1:]


def by_formula(name, model, pixels):
    """Return the methods that are defined by attention matrices."""
    found = scores_and_gradients(model, pixels)
    if name == "vit":
        means = [scores.mean(1) for scores, _ in found["sa"]]
        scores, gradient = (tensor[:, :, 0, 1:] for tensor in found["sa"][-1])
        maps = {
            "rollout": rollout(means)[:, 0, 1:],
            "relevance": relevance(found["sa"])[:, 0, 1:],
            "grad_attention": (gradient.mean(-1, keepdim=True) * scores).mean(1).clamp(min=0),
            "headwise": headwise(model, pixels, start=0),
        }
    else:
        upper = rollout([class_matrix(scores.mean(1)) for scores, _ in found["ca"]])
        lower = rollout([scores.mean(1) for scores, _ in found["before"]])
        row = torch.zeros(len(pixels), 1, 1 + GRID[0] * GRID[1])
        row[..., 0] = 1
        for scores, gradient in reversed(found["ca"]):
            step = (gradient * scores).clamp(min=0).mean(1)
            row = row + row[..., :1] * step
        maps = {
            "class_attention_rollout": (upper[:, :1, 1:] @ lower)[:, 0],
            "relevance": (row[..., 1:] @ relevance(found["sa"]))[:, 0],
        }
    return {key: value.reshape(-1, *GRID).detach().numpy() for key, value in maps.items()}


def main():
    """Ask everyone, and write what they say."""
    pixels = np.random.default_rng(7).normal(size=(2, *SIZES["image_shape"])).astype(np.float32)
    arrays = {"pixels": pixels}
    channels_first = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    for name, model in timm_models().items():
        tools = [by_grad_cam, by_captum] + [by_torchcam] * (name == "vit")
        maps = by_formula(name, model, channels_first)
        for tool in tools:
            maps |= tool(model, channels_first)
        for key, value in maps.items():
            arrays[f"{name}/maps/{key}"] = value.astype(np.float32)
        arrays[f"{name}/logits"] = model(channels_first).detach().numpy()
        for path, value in keras_weights(name, model).items():
            arrays[f"{name}/weights/{path}"] = value
    np.savez_compressed(PATH, **arrays)
    for key, value in arrays.items():
        if "/maps/" in key:
            print(f"{key}: {value.shape}, {value.min():.3g} to {value.max():.3g}")


if __name__ == "__main__":
    main()
