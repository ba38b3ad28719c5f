"""Write `layout_*.npz`: small networks of other sources, their weights and what they compute.

    pip install transformers open_clip_torch monai mmpretrain mmengine mmcv-lite einops
    python tests/golden/layouts.py [NAME ...]

transformers 5.24, torchvision 0.28, open_clip 3.3.0, MONAI 1.6.1 and mmpretrain 1.2.0 wrote the
files; no test needs them. Every parameter is random. Each file holds "file/NAME", the tensors of
the state dict, or of the file that `save_pretrained` writes; "images"; "logits", which is what the
network returns: logits, the embedding, or the pooled feature.
"""

import functools
import pathlib
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).parent
WIDTH, HEADS, MLP, CLASSES, EMBEDDING = 12, 3, 20, 5, 7
SIZE, PATCH = 16, 4
HUGGING_FACE = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "intermediate_size": MLP,
    "image_size": SIZE,
    "patch_size": PATCH,
}
TEXT = {
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 4,
    "vocab_size": 8,
    "max_position_embeddings": 3,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


def hugging_face(model_type, config_type, output, **arguments):
    """Return a model of transformers and what takes its output."""
    import transformers

    config = getattr(transformers, config_type)(**arguments)
    return getattr(transformers, model_type)(config), lambda model, images: getattr(
        model(pixel_values=images), output
    )


def both_towers(model_type, config_type, **arguments):
    """Return a classifier of transformers on the picture's tower of two."""
    towers = {"vision_config": HUGGING_FACE, "text_config": TEXT, "num_labels": CLASSES}
    return hugging_face(model_type, config_type, "logits", **towers, **arguments)


def torchvision():
    """Return torchvision's ViT."""
    from torchvision.models import VisionTransformer

    model = VisionTransformer(SIZE, PATCH, 2, HEADS, WIDTH, MLP, num_classes=CLASSES)
    return model, lambda model, images: model(images)


def open_clip(**vision):
    """Return both towers of open_clip and the picture's embedding."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP

    text = CLIPTextCfg(context_length=3, vocab_size=8, width=4, heads=1, layers=1)
    quick = vision.pop("quick_gelu", False)
    builder = CustomTextCLIP if "timm_model_name" in vision else CLIP
    if builder is CLIP:
        vision = {
            "width": WIDTH,
            "head_width": WIDTH // HEADS,
            "layers": 2,
            "mlp_ratio": 2,
        } | vision
    config = CLIPVisionCfg(image_size=SIZE, patch_size=PATCH, **vision)
    return builder(
        EMBEDDING, config, text, quick_gelu=quick
    ), lambda model, images: model.encode_image(images)


def open_clip_around_timm():
    """Return both towers of open_clip, with a small model of timm in the picture's."""
    import timm
    import torch

    model, output = open_clip(timm_model_name="test_vit", timm_pool="", timm_proj="linear")
    model.visual.trunk = timm.models.vision_transformer.VisionTransformer(
        SIZE,
        PATCH,
        num_classes=0,
        embed_dim=WIDTH,
        depth=2,
        num_heads=HEADS,
        mlp_ratio=MLP / WIDTH,
    )
    model.visual.head.proj = torch.nn.Linear(WIDTH, EMBEDDING, bias=False)
    return model, output


def monai(classification=True, **arguments):
    """Return MONAI's ViT in two dimensions; its Tanh at the end is left out."""
    from monai.networks.nets import ViT

    model = ViT(
        2,
        SIZE,
        PATCH,
        WIDTH,
        MLP,
        num_layers=2,
        num_heads=HEADS,
        classification=classification,
        num_classes=CLASSES,
        spatial_dims=2,
        post_activation="",
        **arguments,
    )
    if classification:
        return model, lambda model, images: model(images)[0]
    return model, lambda model, images: model(images)[0].mean(dim=1)


def mmpretrain(**arguments):
    """Return mmpretrain's ViT with its head."""
    from mmpretrain.models import ImageClassifier

    size = {"embed_dims": WIDTH, "num_layers": 2, "num_heads": HEADS, "feedforward_channels": MLP}
    backbone = {
        "type": "VisionTransformer",
        "arch": size,
        "img_size": SIZE,
        "patch_size": PATCH,
        **arguments,
    }
    head = {"type": "VisionTransformerClsHead", "num_classes": CLASSES, "in_channels": WIDTH}
    model = ImageClassifier(backbone=backbone, head=head)
    return model, lambda model, images: model.head(model.extract_feat(images))


_CLIP = {**HUGGING_FACE, "projection_dim": EMBEDDING}
MODELS = {
    "clip": functools.partial(
        hugging_face, "CLIPVisionModel", "CLIPVisionConfig", "pooler_output", **_CLIP
    ),
    "clip_projection": functools.partial(
        hugging_face, "CLIPVisionModelWithProjection", "CLIPVisionConfig", "image_embeds", **_CLIP
    ),
    "clip_classifier": functools.partial(both_towers, "CLIPForImageClassification", "CLIPConfig"),
    "siglip": functools.partial(
        hugging_face, "SiglipVisionModel", "SiglipVisionConfig", "pooler_output", **HUGGING_FACE
    ),
    "siglip_classifier": functools.partial(
        both_towers, "SiglipForImageClassification", "SiglipConfig"
    ),
    "deit_one_classifier": functools.partial(
        hugging_face,
        "DeiTForImageClassification",
        "DeiTConfig",
        "logits",
        num_labels=CLASSES,
        **HUGGING_FACE,
    ),
    "torchvision": torchvision,
    "open_clip": open_clip,
    "open_clip_quick": functools.partial(open_clip, quick_gelu=True),
    "open_clip_timm": open_clip_around_timm,
    "monai": monai,
    "monai_biased": functools.partial(monai, classification=False, qkv_bias=True),
    "mmpretrain": mmpretrain,
    "mmpretrain_scaled": functools.partial(
        mmpretrain, layer_scale_init_value=0.5, pre_norm=True, qkv_bias=False
    ),
}


def randomise(model):
    """Move every parameter away from where it starts."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_gain = ("norm" in name or "ln" in name) and name.endswith("weight")
            parameter.copy_(0.8 + 0.3 * noise if is_gain or "gamma" in name else 0.3 * noise)


def stored(model):
    """Return the tensors of the model's file."""
    if not hasattr(model, "save_pretrained"):
        return {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    from safetensors.numpy import load_file

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(pathlib.Path(folder) / "model.safetensors")


def record(name):
    """Return what the file of one network holds."""
    import torch

    model, output = MODELS[name]()
    randomise(model.eval())
    channels = 2 if name.startswith("monai") else 3
    images = np.random.default_rng(1).normal(size=(2, channels, SIZE, SIZE)).astype("float32")
    with torch.no_grad():
        logits = output(model, torch.from_numpy(images))
    arrays = {f"file/{key}": value for key, value in stored(model).items()}
    return arrays | {"images": images.transpose(0, 2, 3, 1), "logits": logits.numpy()}


if __name__ == "__main__":
    from kerasvit.conversion.proof.timm.package import import_timm

    import_timm()  # makes torchvision importable beside a PyTorch that it was not built for
    for golden in sys.argv[1:] or MODELS:
        np.savez_compressed(HERE / f"layout_{golden}.npz", **record(golden))
