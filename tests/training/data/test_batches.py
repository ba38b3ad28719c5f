import logging
import multiprocessing
import os
import signal

import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.images.preprocessing import Preprocessing
from kerasvit.training.data.folders import PictureFolder
from kerasvit.training.data.in_memory import MemoryBatches, Normaliser, Steps, ahead
from kerasvit.training.data.order import Order
from kerasvit.training.data.streaming import StreamedBatches, TestBatches
from kerasvit.training.recipe.tables import Augmentation

PREPROCESSING = Preprocessing((8, 8), crop_fraction=1.0, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))


def test_epoch_shows_every_picture_once_and_another_order():
    order = Order(20, 5, seed=3)
    epochs = [[*np.concatenate([order.batch(4 * e + s) for s in range(4)])] for e in range(3)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert [*Order(20, 5, seed=3).batch(7)] == [*order.batch(7)]
    assert [*Order(20, 5, seed=4).batch(7)] != [*order.batch(7)]


def test_hosts_share_each_batch():
    whole = Order(22, 6, seed=1)
    parts = [Order(22, 6, seed=1, shard=(host, 3)) for host in range(3)]
    for step in range(7):
        together = np.concatenate([part.batch(step) for part in parts])
        assert sorted(together) == sorted(whole.batch(step))
        assert {len(part.batch(step)) for part in parts} == {2}


def test_repeats_stand_together_in_an_epoch_of_the_same_length():
    order = Order(12, 6, repeats=3)
    assert order.steps == 2
    epoch = np.concatenate([order.batch(0), order.batch(1)])
    assert (np.unique(epoch, return_counts=True)[1] == 3).all()
    assert (epoch.reshape(-1, 3) == epoch[::3, None]).all()


def test_batches_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="smaller batch"):
        Order(3, 4)
    with pytest.raises(UsageError, match="divide the batch"):
        Order(30, 4, shard=(0, 3))


def test_normaliser_is_the_preprocessing():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    np.testing.assert_array_equal(
        Normaliser(PREPROCESSING)(pixels[None])[0], PREPROCESSING.evaluate(pixels).pixels
    )


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(crop="padded", padding=2, erasing=0.5, mixup=0.8, cutmix=1.0),
        Augmentation(crop="resized", colour="rand_augment", magnitude=0.9),
        Augmentation(crop="simple", colour="three_augment", jitter=0.3, padding=2),
        Augmentation(flip=False),
    ],
)
def test_any_step_is_the_same_whenever_it_is_made(augmentation):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    labels = np.arange(20, dtype=np.int32) % 3

    def batches():
        return MemoryBatches(images, labels, Order(20, 5), augmentation, PREPROCESSING, 3)

    whole = batches().from_step(0)
    steps = [next(whole) for _ in range(8)]
    later = batches().from_step(6)
    for expected in steps[6:]:
        for one, two in zip(next(later), expected, strict=True):
            np.testing.assert_array_equal(one, two)
    assert steps[0][0].shape == (5, 8, 8, 3)
    assert steps[0][0].dtype == np.float32
    whole.close(), later.close()


def test_plain_batches_are_the_pictures_of_the_order():
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    order = Order(6, 3)
    batches = MemoryBatches(images, np.arange(6), order, Augmentation(flip=False), PREPROCESSING, 6)
    pixels, labels = batches.batch(1)
    np.testing.assert_array_equal(labels, order.batch(1))
    np.testing.assert_array_equal(pixels, Normaliser(PREPROCESSING)(images[labels]))


def test_steps_have_their_own_batches_however_they_are_asked_for():
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    batches = MemoryBatches(images, np.arange(12), Order(12, 3), Augmentation(), PREPROCESSING, 12)
    steps = Steps(batches, 5, 11)
    assert len(steps) == 6
    for index in (0, 1, 0, 1, 2, 5, 3, 4):
        np.testing.assert_array_equal(steps[index][0], batches.batch(5 + index)[0])
    steps.close()


def test_what_the_thread_raises_is_raised_here():
    def broken():
        yield 1
        raise InputError("broken")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(InputError, match="broken"):
        next(items)
    assert list(ahead(iter([1, 2]))) == [1, 2]


@pytest.fixture
def folder(coloured):
    return PictureFolder.scan(coloured, "train")


def _streamed(folder, workers=0, step=0, count=4):
    order = Order(len(folder), 6, seed=2)
    augmentation = Augmentation(crop="resized", mixup=0.8)
    iterator = StreamedBatches(folder, order, augmentation, PREPROCESSING, workers).from_step(step)
    batches = [next(iterator) for _ in range(count)]
    iterator.close()
    return batches


def test_streamed_steps_are_the_same_whenever_they_are_made(folder):
    whole, later = _streamed(folder, count=6), _streamed(folder, step=4, count=2)
    for one, two in zip(whole[4:], later, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])


def test_worker_processes_make_the_same_batches(folder):
    for one, two in zip(_streamed(folder, count=2), _streamed(folder, 2, count=2), strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])


def test_a_worker_process_that_is_killed_is_told_of_and_an_interrupt_is_not_heard(folder):
    """It was "a bug", with code 70; and Ctrl-C reaches all processes of a terminal."""
    order = Order(len(folder), 6, seed=2)
    steps = StreamedBatches(folder, order, Augmentation(), PREPROCESSING, 1).from_step(0)
    images = next(steps)[0]
    (worker,) = [child for child in multiprocessing.active_children() if "grain" in child.name]
    os.kill(worker.pid, signal.SIGINT)
    for _ in range(20):
        assert next(steps)[0].shape == images.shape
    worker.kill()
    with pytest.raises(UsageError, match=r"ended with SIGKILL.*data\.workers") as caught:
        list(steps)
    assert "\n" not in str(caught.value)
    assert not worker.is_alive()


def test_broken_picture_is_replaced_named_and_counted(folder, tmp_path, caplog):
    paths = list(folder.paths)
    paths[5] = tmp_path / "broken.jpg"
    paths[5].write_bytes(b"nothing")
    damaged = PictureFolder(paths, folder.labels, folder.class_names)
    with caplog.at_level(logging.WARNING):
        batches = _streamed(damaged, count=8)
    assert all(np.isfinite(images).all() for images, _ in batches)
    ((path, _),) = damaged.broken
    assert path.endswith("broken.jpg")
    assert sum("broken.jpg" in record.message for record in caplog.records) == 1


def test_test_batches_hold_each_picture_once(folder):
    batches = TestBatches(folder, folder.labels, PREPROCESSING, 7)
    found = [batches[number] for number in range(len(batches))]
    assert [len(labels) for _, labels in found] == [7, 7, 7, 3]
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in found]), folder.labels)
    np.testing.assert_array_equal(found[0][0][0], PREPROCESSING.evaluate(folder.read(0)).pixels)
