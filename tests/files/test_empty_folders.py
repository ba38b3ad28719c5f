"""What a refused command had made before it was refused goes away again, if nothing lies in it."""

import pytest

from kerasvit.errors import OutputError
from kerasvit.files import check_outputs, make_folder
from kerasvit.temporary import make_folders, without_empty_folders


def test_a_failure_takes_its_empty_folders_along(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(KeyError), without_empty_folders():  # noqa: PT012 - steps of a command
        check_outputs([tmp_path / "a" / "b" / "x.png"], make_folders=True)
        make_folder(tmp_path / "old" / "new")
        make_folder(tmp_path / "full")
        (tmp_path / "full" / "file").write_text("")
        raise KeyError
    assert {path.name for path in tmp_path.rglob("*")} == {"old", "full", "file"}


def test_success_keeps_them(tmp_path):
    with without_empty_folders():
        make_folders(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_an_empty_folder_of_the_users_own_stays(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError), without_empty_folders():  # noqa: PT012 - likewise
        check_outputs([tmp_path / "mine" / "x" / "y.png"], make_folders=True)
        check_outputs([tmp_path / "mine"], make_folders=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_command_that_is_refused_late_leaves_nothing(tmp_path):
    from kerasvit.errors import UsageError
    from kerasvit.look import saliency

    with pytest.raises(UsageError, match="The names are airplane"):
        saliency("sample:chelsea", out=tmp_path / "a" / "b", target="tiger")
    assert not list(tmp_path.iterdir())
