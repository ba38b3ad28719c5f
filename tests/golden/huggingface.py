"""Write `huggingface_*.npz`: small models of `transformers`, their weights and what they compute.

    pip install transformers    # 5.23 wrote the files; no test needs it
    python tests/golden/huggingface.py

Every parameter is random. Each file holds "file/NAME", the tensors that `save_pretrained` writes
(the names of transformers 4 as well); of two models also "memory/NAME", those of `state_dict()` in
transformers 5; "images", "hidden" (the tokens after the last norm), "logits" where there is a
classifier, and "scores/BLOCK". The images' patch grid is not the stored one, so that the positions
are resampled.
"""

import pathlib
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).parent
SIZES = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 16,
    "patch_size": 4,
    "attn_implementation": "eager",
}
PLAIN = {**SIZES, "intermediate_size": 20}
CLASSES = {"num_labels": 5}
DINOV2 = {**SIZES, "mlp_ratio": 2, "layerscale_value": 1.0}

MODELS = {
    "vit": ("ViTForImageClassification", "ViTConfig", {**PLAIN, **CLASSES}),
    "vit_features": ("ViTModel", "ViTConfig", PLAIN),
    "vit_msn": ("ViTMSNModel", "ViTMSNConfig", PLAIN),
    "deit": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", {**PLAIN, **CLASSES}),
    "dinov2": ("Dinov2Model", "Dinov2Config", DINOV2),
    "dinov2_classifier": ("Dinov2ForImageClassification", "Dinov2Config", {**DINOV2, **CLASSES}),
    "dinov2_gated": ("Dinov2Model", "Dinov2Config", {**DINOV2, "use_swiglu_ffn": True}),
    "dinov2_registers": (
        "Dinov2WithRegistersModel",
        "Dinov2WithRegistersConfig",
        {**DINOV2, "num_register_tokens": 3},
    ),
    "ijepa": ("IJepaForImageClassification", "IJepaConfig", {**PLAIN, **CLASSES}),
}
NEW_NAMES = ("vit", "dinov2_gated")


def randomise(model):
    """Move every parameter away from where it starts."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_gain = "norm" in name and name.endswith("weight")
            parameter.copy_(0.8 + 0.3 * noise if is_gain or "lambda" in name else 0.3 * noise)


def stored(model):
    """Return the tensors of the file that `save_pretrained` writes."""
    from safetensors.numpy import load_file

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(pathlib.Path(folder) / "model.safetensors")


def record(name):
    """Return what the file of one model holds."""
    import torch
    import transformers

    model_type, config_type, arguments = MODELS[name]
    config = getattr(transformers, config_type)(**arguments)
    model = getattr(transformers, model_type)(config).eval()
    randomise(model)
    images = np.random.default_rng(1).normal(size=(2, 12, 20, 3)).astype("float32")
    options = {} if "dinov2" in name else {"interpolate_pos_encoding": True}
    with torch.no_grad():
        outputs = model(
            torch.from_numpy(images.transpose(0, 3, 1, 2).copy()),
            output_hidden_states=True,
            output_attentions=True,
            **options,
        )
    hidden = outputs.get("last_hidden_state")
    if hidden is None:
        base = getattr(model, model.base_model_prefix)
        hidden = base.layernorm(outputs.hidden_states[-1]).detach()
    arrays = {f"file/{key}": value for key, value in stored(model).items()}
    if name in NEW_NAMES:
        arrays |= {f"memory/{key}": value.numpy() for key, value in model.state_dict().items()}
    arrays |= {"images": images, "hidden": hidden.numpy()}
    arrays |= {f"scores/{i}": value.numpy() for i, value in enumerate(outputs.attentions)}
    if "logits" in outputs:
        arrays["logits"] = outputs.logits.numpy()
    return arrays


if __name__ == "__main__":
    from kerasvit.conversion.proof.timm.package import import_timm

    import_timm()  # makes torchvision importable beside a PyTorch that it was not built for
    for golden in MODELS:
        data = record(golden)
        np.savez_compressed(HERE / f"huggingface_{golden}.npz", **data)
