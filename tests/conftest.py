"""Fixtures shared by all tests: reference implementations and real data."""

import os
import pathlib
import unittest.mock

import pytest

ROOT = pathlib.Path(__file__).resolve().parent

# What no backend changes: pictures, files, records, reading checkpoints, NumPy after the run,
# options of commands whose work is tested on every backend elsewhere.
NEUTRAL = (
    "images",
    "render",
    "test_all_backends.py",
    "test_cache.py",
    "test_files.py",
    "test_packaging.py",
    "test_release_schema.py",
    "test_releases.py",
    "cli/test_convert.py",
    "cli/test_evaluate_saliency.py",
    "cli/test_evaluate.py",
    "cli/test_export_weights.py",
    "cli/test_faults.py",
    "cli/test_list_info.py",
    "cli/test_pictures.py",
    "cli/test_saliency_options.py",
    "cli/test_train.py",
    "cli/test_videos.py",
    "conversion/names/test_augreg.py",
    "conversion/files/test_checkpoint.py",
    "conversion/files/test_corruptions.py",
    "conversion/sources/test_fetch.py",
    "conversion/sources/test_hub.py",
    "conversion/files/test_sharded.py",
    "conversion/files/test_sniffing.py",
    "conversion/files/test_pytorch.py",
    "conversion/names/test_unwrapping.py",
    "evaluation/test_curves.py",
    "evaluation/test_mosaics.py",
    "evaluation/test_segmentation.py",
    "models/test_killed_saves.py",
    "saliency/test_explain.py",
    "saliency/methods/test_hiding.py",
    "saliency/test_maps.py",
    "saliency/test_mass.py",
    "saliency/test_normalise.py",
    "saliency/test_result.py",
    "saliency/methods/test_rollout.py",
    "saliency/test_scores.py",
    "training/data/test_augmentation.py",
    "training/data/test_batches.py",
    "training/data/test_colours.py",
    "training/data/test_folders.py",
    "training/recipe/test_packaged_recipes.py",
    "training/recipe/test_recipes.py",
    # TensorFlow compiles the step of a run for a minute and more, three times a test.
    "training/run/test_train.py",
)


def pytest_collection_modifyitems(items):
    """Mark the tests that need to run on one backend alone."""
    for item in items:
        path = item.path.relative_to(ROOT).as_posix()
        if path.startswith(NEUTRAL):
            item.add_marker(pytest.mark.neutral)


@pytest.fixture(scope="session", autouse=True)
def plain_malloc():
    """Leave glibc as it is: a command run in this process would have it keep memory to the end."""
    from kerasvit import memory

    call = memory._call_glibc

    def but_settings(name, *arguments):
        return 1 if name == "mallopt" else call(name, *arguments)

    with unittest.mock.patch.object(memory, "_call_glibc", but_settings):
        yield


@pytest.fixture(scope="session")
def quick_compilation():
    """Let JAX compile saliency without optimising: twice as fast to compile, slower to run.

    What concerns the numbers themselves switches it off: `saliency/test_golden.py`.
    """
    from kerasvit.saliency import backends

    plain = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    with unittest.mock.patch.object(backends, "COMPILER_OPTIONS", plain):
        yield


@pytest.fixture(scope="session")
def optimising():
    """Options of XLA's compiler as it works without any XLA_FLAGS, which `all_backends.py` sets."""
    return {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}


@pytest.fixture(scope="session")
def preprocessing_record():
    """Function from the sides of an image to what a model's record says of its pictures."""
    from kerasvit.images.preprocessing import Preprocessing

    def make(height, width):
        centre = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
        return Preprocessing((height, width), crop_fraction=1.0, **centre).to_dict()

    return make


@pytest.fixture(scope="session")
def timm():
    """timm, imported also where torchvision's compiled operators do not load."""
    from kerasvit.conversion.proof.timm.package import import_timm

    return import_timm()


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real weights and photographs, or a skip that says where it was sought."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    path = pathlib.Path(os.environ.get("KERASVIT_DATA", default))
    if not path.is_dir():
        pytest.skip("real data absent: neither ../shared/data nor KERASVIT_DATA is a folder")
    return path
