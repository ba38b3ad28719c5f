"""Fixtures shared by all tests: reference implementations and real data."""

import gc
import importlib.util
import os
import pathlib
import unittest.mock

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def pytest_addoption(parser):
    parser.addoption(
        "--backend-tests",
        action="store_true",
        help="run only the tests marked `backend`, as all_backends.py does but for PyTorch",
    )
    parser.addoption(
        "--broad",
        action="store_true",
        help="run the tests marked `broad` too: every case where the suite runs a sample",
    )


def pytest_configure(config):
    """Refuse a run of two trees: a clone beside an editable install takes half from each."""
    for package in ("kerasvit", "kerasvit.conversion", "kerasvit.configs"):
        place = pathlib.Path(importlib.util.find_spec(package).origin).resolve()
        if not place.is_relative_to(ROOT):
            pytest.exit(
                f"The tests of {ROOT} need {package} from there. Received: {place}. Run "
                f'pip install -e ".[test]" in {ROOT}, in an environment of its own',
                returncode=pytest.ExitCode.USAGE_ERROR,
            )


def pytest_collection_modifyitems(config, items):
    """Leave out what does not depend on the backend, where that is asked for, and what is broad."""

    def is_run(item):
        for_backend = item.get_closest_marker("backend") or not config.getoption("backend_tests")
        return for_backend and (config.getoption("broad") or not item.get_closest_marker("broad"))

    config.hook.pytest_deselected(items=[item for item in items if not is_run(item)])
    items[:] = [item for item in items if is_run(item)]


def pytest_collection_finish(session):
    """Let the garbage collector pass by what is imported by now, and lives to the end.

    A conversion collects garbage, and PyTorch, Keras and the tests are millions of objects: each
    time a quarter of a second for nothing.
    """
    gc.collect()
    gc.freeze()


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
    options = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
    if "xla_cpu_use_fusion_emitters" in os.environ.get("XLA_FLAGS", ""):
        options["xla_cpu_use_fusion_emitters"] = True
    return options


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

    package = import_timm()
    gc.collect()
    gc.freeze()
    return package


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real weights and photographs, or a skip that says where it was sought."""
    default = ROOT.parent / "shared" / "data"
    path = pathlib.Path(os.environ.get("KERASVIT_DATA", default))
    if not path.is_dir():
        pytest.skip("real data absent: neither ../shared/data nor KERASVIT_DATA is a folder")
    return path
