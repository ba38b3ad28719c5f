import threading

import pytest

from kerasvit.app.recent import Recent


def test_the_latest_are_kept_and_the_rest_is_made_again():
    made = []

    def make(key):
        return recent.get(key, lambda: made.append(key) or key)

    recent = Recent(2)
    for key in ("a", "b", "a", "c", "a", "b"):
        assert make(key) == key
    assert made == ["a", "b", "c", "b"]
    assert len(recent) == 2


def test_room_is_made_before_the_next_is():
    sizes = []
    recent = Recent(1)
    for key in ("a", "b"):
        recent.get(key, lambda: sizes.append(len(recent)))
    assert sizes == [0, 0]


def test_what_failed_is_not_kept():
    recent = Recent(2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            recent.get("a", lambda: 1 / 0)
    assert recent.get("a", lambda: 5) == 5


def test_threads_that_ask_at_once_make_it_once():
    made, recent = [], Recent(3)
    barrier = threading.Barrier(4)

    def ask():
        barrier.wait()
        recent.get("a", lambda: made.append(1))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
