"""Models, weights for other programs, exports."""

import json
import os
import pathlib

from PIL import Image
from writing.checks import json_file, keras_file, picture, random, tiny


def of_model():
    model = tiny()
    return model.save, keras_file


def of_conversion():
    from kerasvit.conversion.writing import new_file

    model = tiny()

    def write(path):
        with new_file(path, True) as file:
            file.save(model)
            file.reload()

    return write, keras_file


def of_weights(suffix):
    def make():
        from kerasvit.conversion.export import export_weights
        from kerasvit.conversion.files.checkpoint import open_checkpoint

        model = tiny()

        def check(path):
            for tensor in open_checkpoint(path).tensors.values():
                tensor.read()

        return lambda path: export_weights(model, path, overwrite=True), check

    return make


def of_transformers_folder():
    import kerasvit
    from kerasvit.conversion.export import export_weights
    from kerasvit.conversion.files.checkpoint import open_checkpoint

    model = kerasvit.VisionTransformer((16, 16, 3), 8, 3, 12, 2, 3, 20)

    def check(path):
        json_file(path / "config.json")
        for tensor in open_checkpoint(path / "model.safetensors").tensors.values():
            tensor.read()

    return lambda path: export_weights(model, path, "huggingface", overwrite=True), check


def of_export(suffix):
    def make():
        import hashlib

        import kerasvit

        model = tiny()

        def check(path):
            facts = json.loads(path.with_name(f"{path.name}.json").read_text())
            # Two files cannot change places in one step, but one tells of the other.
            told = facts["files"][path.name]["sha256"]
            if told != hashlib.sha256(path.read_bytes()).hexdigest():
                raise Between

        return lambda path: kerasvit.export(model, path, overwrite=True), check

    return make


class Between(Exception):
    """Of several files some are new and some old, each whole, and one of them says so."""


def of_push():
    from kerasvit.publishing.card import SHEET
    from kerasvit.publishing.hub import write_folder

    model, shown = tiny(), pathlib.Path(os.environ["TMPDIR"], "shown.png")
    Image.fromarray(random((24, 24, 3))).save(shown)

    def write(path):
        write_folder(model, path, "user/name", picture=shown, overwrite=True)

    def check(path):
        keras_file(path / "model.keras")
        picture(path / SHEET)
        assert (path / "README.md").read_text().endswith("\n")

    return write, check
