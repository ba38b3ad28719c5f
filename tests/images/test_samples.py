"""The photographs of scikit-image: found in its wheel, named with their licence, never fetched."""

import importlib.util
import socket

import numpy as np
import pytest

from kerasvit.errors import UsageError
from kerasvit.images import SAMPLES, read, sample


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_is_the_photograph_of_that_name(name, no_network):
    data = pytest.importorskip("skimage.data")
    expected = getattr(data, name)()
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], 3, axis=-1)
    np.testing.assert_array_equal(read(sample(name)), expected)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_licence_is_the_one_that_scikit_image_states(name):
    data = pytest.importorskip("skimage.data")
    licence = SAMPLES[name].rpartition("(")[2].removesuffix(")")
    stated = " ".join(getattr(data, name).__doc__.split())
    words = {"CC0": ("CC0", "CC0 1.0"), "public domain": ("public domain",)}
    assert any(word.lower() in stated.lower() for word in words.get(licence, (licence,)))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="'tiger'") as caught:
        sample("tiger")
    assert all(name in str(caught.value) for name in SAMPLES)


def test_without_scikit_image_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "kerasvit\[samples\]"'):
        sample("chelsea")


def test_an_installation_without_the_file_is_told_apart(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_loader("skimage", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(UsageError, match="without this file"):
        sample("chelsea")
