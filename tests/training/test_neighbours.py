import numpy as np
import pytest

from kerasvit.errors import InputError, UsageError
from kerasvit.training.linear_probe import top_k_accuracy
from kerasvit.training.neighbours import neighbour_votes


def _clusters(count, seed=0, spread=0.4, classes=4, width=8):
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    labels = random.integers(0, classes, count)
    return centres[labels] + spread * random.normal(size=(count, width)), labels


def test_votes_are_those_of_the_published_formula():
    train, labels = _clusters(60)
    queries, _ = _clusters(5, seed=1)
    votes = neighbour_votes(queries, train, labels, 4, k=7, temperature=0.07)
    for query, row in zip(queries, votes, strict=True):
        cosine = train @ query / np.linalg.norm(train, axis=1) / np.linalg.norm(query)
        nearest = np.argsort(-cosine)[:7]
        expected = [
            sum(np.exp(cosine[i] / 0.07) for i in nearest if labels[i] == c) for c in range(4)
        ]
        np.testing.assert_allclose(row, np.array(expected) / sum(expected), rtol=1e-4)


def test_votes_agree_with_torchs_top_k():
    # The steps of dino/eval_knn.py: similarities, top k, one-hot labels, weighted sum.
    torch = pytest.importorskip("torch")
    train, labels = _clusters(300, spread=1.5)
    queries, _ = _clusters(50, seed=2, spread=1.5)
    unit = [torch.nn.functional.normalize(torch.tensor(x), dim=1) for x in (queries, train)]
    similarity, indices = (unit[0] @ unit[1].T).topk(20, dim=1)
    one_hot = torch.nn.functional.one_hot(torch.tensor(labels)[indices], 4)
    expected = (one_hot * (similarity / 0.07).exp()[..., None]).sum(1)
    expected = (expected / expected.sum(1, keepdim=True)).numpy()
    votes = neighbour_votes(queries, train, labels, 4)
    np.testing.assert_allclose(votes, expected, atol=1e-5)


def test_length_of_features_does_not_matter():
    train, labels = _clusters(50)
    queries, _ = _clusters(6, seed=1)
    scaled = train * np.linspace(0.1, 90, 50)[:, None]
    first = neighbour_votes(queries, train, labels, 4)
    np.testing.assert_allclose(first, neighbour_votes(5 * queries, scaled, labels, 4), rtol=1e-4)


def test_separable_classes_are_told_apart_at_any_temperature():
    train, labels = _clusters(200, spread=0.05)
    queries, truth = _clusters(1100, seed=3, spread=0.05)
    for temperature in (1e-4, 0.07, 10.0):
        votes = neighbour_votes(queries, train, labels, 4, temperature=temperature)
        np.testing.assert_allclose(votes.sum(1), 1.0)
        assert top_k_accuracy(votes, truth) == 1.0


def test_fewer_pictures_than_neighbours_all_vote():
    train, labels = np.eye(3), np.array([0, 1, 1])
    votes = neighbour_votes(np.ones((1, 3)), train, labels, 2)
    np.testing.assert_allclose(votes, [[1 / 3, 2 / 3]], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((2, 8))}, "finite and not zero"),
        ({"train_features": np.full((50, 8), np.nan)}, "finite and not zero"),
        ({"features": np.ones((2, 9))}, "one width"),
        ({"features": np.ones(8)}, "two axes"),
        ({"train_labels": np.zeros(3, int)}, "one label for each"),
        ({"num_classes": 2}, "Labels lie in"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    train, labels = _clusters(50)
    arguments = {
        "features": np.ones((2, 8)),
        "train_features": train,
        "train_labels": labels,
        "num_classes": 4,
    }
    with pytest.raises(InputError, match=message):
        neighbour_votes(**{**arguments, **change})


def test_options_out_of_range_are_refused():
    train, labels = _clusters(50)
    for options in ({"k": 0}, {"temperature": 0.0}):
        with pytest.raises(UsageError, match="Received: k="):
            neighbour_votes(train, train, labels, 4, **options)
