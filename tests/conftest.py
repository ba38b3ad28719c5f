"""Fixtures shared by all tests: reference implementations and real data."""

import os
import pathlib

import pytest


@pytest.fixture(scope="session")
def timm():
    """timm, imported also where torchvision's compiled operators do not load."""
    from kerasvit.conversion.reference import import_timm

    return import_timm()


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real weights and photographs, or a skip that says where it was sought."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    path = pathlib.Path(os.environ.get("KERASVIT_DATA", default))
    if not path.is_dir():
        pytest.skip("real data absent: neither ../shared/data nor KERASVIT_DATA is a folder")
    return path
