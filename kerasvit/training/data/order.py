"""Which picture comes when: drawn from the seed and the epoch alone, so that any step is known."""

import numpy as np

from kerasvit.errors import InputError, UsageError


class Order:
    """The pictures of every step of a run, on one of several hosts.

    The order of an epoch is a permutation drawn from the seed and the epoch's number. What does
    not fill a batch of all hosts is left out, another part in each epoch.

    Args:
        count: number of pictures.
        batch_size: of all hosts together.
        seed: int from 0.
        repeats: how often each picture comes up in a row; the epoch is no longer for it (repeated
            augmentation, Hoffer et al. 2020, https://arxiv.org/abs/1901.09335).
        shard: `(number of this host, number of hosts)`.

    Attributes:
        steps: of an epoch.

    Raises:
        InputError: if there are fewer pictures than a batch has.
        UsageError: if the hosts do not divide the batch.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int = 0,
        repeats: int = 1,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        if count < batch_size:
            raise InputError(
                "There must be at least as many pictures as a batch has. "
                f"Received: {count} pictures, batch_size {batch_size}. Use a smaller batch."
            )
        if batch_size % shard[1] or not 0 <= shard[0] < shard[1]:
            raise UsageError(
                "The number of hosts must divide the batch. "
                f"Received: batch_size {batch_size}, host {shard[0]} of {shard[1]}."
            )
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.repeats, self.shard = repeats, shard
        self.steps = count // batch_size
        self._kept: dict[int, np.ndarray] = {}

    def epoch(self, number: int) -> np.ndarray:
        """Return the numbers of all pictures of an epoch, for all hosts, in order."""
        found = self._kept.get(number)
        if found is None:
            order = np.random.default_rng([self.seed, number]).permutation(self.count)
            found = np.repeat(order, self.repeats)[: self.count]
            # Readers that run ahead are in the next epoch while others end this one.
            before = self._kept.get(number - 1)
            self._kept = {number: found} | ({} if before is None else {number - 1: before})
        return found

    def batch(self, step: int) -> np.ndarray:
        """Return the numbers of this host's pictures in a step of the run, counted from 0."""
        epoch, place = divmod(step, self.steps)
        whole = self.epoch(epoch)[place * self.batch_size : (place + 1) * self.batch_size]
        return whole[self.shard[0] :: self.shard[1]]

    def rng(self, step: int) -> np.random.Generator:
        """Return the random numbers of a step on this host."""
        return np.random.default_rng([self.seed, step, self.shard[0], 1])
