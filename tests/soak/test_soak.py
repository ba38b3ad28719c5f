"""A sample of the long runs: their pictures are read, their bad ones refused."""

import pathlib

import pytest

from kerasvit.errors import InputError
from kerasvit.images import read


def test_pictures_of_all_kinds_are_what_they_are_said_to_be(tmp_path, monkeypatch):
    """`python tests/soak` draws ten thousand of them."""
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parent))
    import pictures

    bad = pictures.write_pictures(tmp_path, 120, 0)
    assert len(bad) == 6
    for path in sorted(tmp_path.rglob("*.*")):
        if path.resolve() in bad:
            with pytest.raises(InputError):
                read(path)
        else:
            assert read(path).shape[2] == 3
