"""States, logs, what teachers say, and the cache."""

import os

from writing.checks import csv_file, npy, random, tiny


def of_state():
    import keras

    from kerasvit.training.run.checkpoints import read_meta, save_state

    model = tiny()
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    return lambda path: save_state(path, model, {"step": 1}, {}), read_meta


def of_log():
    from kerasvit.training.run.log import Log

    def write(path):
        rows = [{"epoch": number, "loss": "0.5"} for number in range(20_000)]
        Log(path, rows).write()

    return write, csv_file


def of_teacher_tokens():
    from kerasvit.images.preprocessing import Preprocessing
    from kerasvit.training.teacher_features import precompute_features

    model, pictures = tiny(attention="none"), random((200, 16, 16, 3))
    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing((16, 16), crop_fraction=1.0, mean=half, std=half)

    def write(path):
        read = pictures.__getitem__
        precompute_features(model, read, 200, preprocessing, path, mirrored=True, overwrite=True)

    return write, npy


def of_teacher_logits():
    from kerasvit.images.preprocessing import Preprocessing
    from kerasvit.training.teacher_logits import precompute_logits

    model, pictures = tiny(attention="none"), random((200, 16, 16, 3))
    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing((16, 16), crop_fraction=1.0, mean=half, std=half)

    def write(path):
        precompute_logits(model, pictures.__getitem__, 200, preprocessing, path)

    return write, npy


def of_convolutional_teacher():
    """The files of `convolutional_targets`, without the training before them."""
    from kerasvit.images.preprocessing import Preprocessing
    from kerasvit.training.data.in_memory import Normaliser
    from kerasvit.training.distillation import convolutional_teacher as module

    half = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing((16, 16), crop_fraction=1.0, mean=half, std=half)
    teacher, pictures = module.residual_network(3, (2, 3, 4, 5)), random((300, 16, 16, 3))
    normalise = Normaliser(preprocessing)

    def write(path):
        path.mkdir(exist_ok=True)
        places = path / module.FEATURES, path / module.LOGITS
        module.write_targets(teacher, normalise, pictures, *places)

    def check(path):
        npy(path / module.FEATURES)
        npy(path / module.LOGITS)

    return write, check


def of_cache():
    import hashlib

    from kerasvit.cache import Entry

    contents = [bytes([value]) * 10**6 for value in range(2)]
    entries = [
        Entry("downloads", "killed", hashlib.sha256(content).hexdigest()) for content in contents
    ]

    def write(path):
        os.environ["KERASVIT_CACHE"] = str(path)
        # The file that is not there: an entry of another hash is replaced.
        number = int(entries[0].find() is not None)
        with entries[number].fill("x.bin") as new:
            new.write_bytes(contents[number])

    def check(path):
        os.environ["KERASVIT_CACHE"] = str(path)
        files = [entry.find() for entry in entries]
        # Absent, between two, or whole.
        assert not all(files)
        assert all(file is None or file.read_bytes() in contents for file in files)

    return write, check


def of_text(text):
    from kerasvit.files import atomic_path

    def write(path):
        with atomic_path(path, overwrite=True) as temporary:
            temporary.write_text(text)

    def check(path):
        assert path.read_text() == text

    return write, check
