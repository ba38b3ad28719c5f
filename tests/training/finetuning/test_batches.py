import dataclasses

import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.images import Preprocessing
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.data.subsets import select
from kerasvit.training.finetuning.batches import TrainingBatches

PREPROCESSING = Preprocessing((8, 8), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def folder(coloured):
    return PictureFolder.scan(coloured, "train")


def test_a_batch_is_the_same_whenever_it_is_made(folder):
    first = TrainingBatches(folder, PREPROCESSING, 5, seed=1)
    again = TrainingBatches(folder, PREPROCESSING, 5, seed=1)
    assert len(first) == 24 // 5
    epochs = []
    for _ in range(2):
        ours = [first[number] for number in range(len(first))]
        theirs = [again[number] for number in reversed(range(len(again)))][::-1]
        for (pixels, labels), (others, same) in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(pixels, others)
            np.testing.assert_array_equal(labels, same)
        epochs.append(np.concatenate([pixels for pixels, _ in ours]))
        first.on_epoch_end()
        again.on_epoch_end()
    assert np.abs(epochs[0] - epochs[1]).max() > 0.1
    other = TrainingBatches(folder, PREPROCESSING, 5, seed=2)
    assert np.abs(other[0][0] - TrainingBatches(folder, PREPROCESSING, 5, seed=1)[0][0]).max() > 0.1


def test_every_picture_comes_once_an_epoch_with_its_label(folder):
    batches = TrainingBatches(folder, PREPROCESSING, 8, smallest_crop=1.0, flip=False)
    for _ in range(2):
        made = [batches[number] for number in range(3)]
        pixels = np.concatenate([pixels for pixels, _ in made])
        labels = np.concatenate([labels for _, labels in made])
        expected = [PREPROCESSING.evaluate(folder.read(index)).pixels for index in range(24)]
        np.testing.assert_array_equal(np.sort(pixels.ravel()), np.sort(np.ravel(expected)))
        # The fixture's classes are blue, green and red.
        assert (pixels.mean(axis=(1, 2)).argmax(axis=1) == 2 - labels).all()
        batches.on_epoch_end()


def test_half_of_the_pictures_are_mirrored(folder):
    batches = TrainingBatches(folder, PREPROCESSING, 24, smallest_crop=1.0)
    expected = {PREPROCESSING.evaluate(folder.read(index)).pixels.tobytes() for index in range(24)}
    as_they_are = 0
    for _ in range(8):
        pixels, _ = batches[0]
        for picture in pixels:
            plain, mirrored = picture.tobytes(), picture[:, ::-1].tobytes()
            assert plain in expected or mirrored in expected
            as_they_are += plain in expected
        batches.on_epoch_end()
    assert abs(as_they_are - 96) < 3 * np.sqrt(192 / 4)


def test_a_broken_picture_is_replaced_and_named(folder, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG")
    paths = [broken, *folder.paths[1:]]
    damaged = dataclasses.replace(folder, paths=paths)
    batches = TrainingBatches(damaged, PREPROCESSING, 8)
    for _ in range(2):
        for number in range(3):
            assert np.isfinite(batches[number][0]).all()
        batches.on_epoch_end()
    assert [path for path, _ in damaged.broken] == [str(broken)]
    alone = select(damaged, np.array([0]))
    with pytest.raises(InputError, match=r"None of 1 pictures .*broken\.png"):
        TrainingBatches(alone, PREPROCESSING, 8)[0]


def test_few_pictures_make_one_batch(folder):
    few = select(folder, np.array([0, 9, 17]))
    batches = TrainingBatches(few, PREPROCESSING, 32)
    assert len(batches) == 1
    assert batches[0][0].shape == (3, 8, 8, 3)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"smallest_crop": 0.0}])
def test_options_out_of_range_are_refused(folder, options):
    with pytest.raises(UsageError, match="Received: batch_size="):
        TrainingBatches(folder, PREPROCESSING, **{"batch_size": 4, **options})
