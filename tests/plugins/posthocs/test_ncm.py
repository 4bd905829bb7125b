from __future__ import annotations

import numpy as np

from ltbench.stages import Evidence, Predicted
from ltbench_plugins.posthocs.ncm import Ncm

# Class 0 has three images and class 1 has one; class 2 has none.
FEATURES = np.array([[3.0, 0.0], [1.0, 0.0], [2.0, 3.0], [0.0, 0.5]])
LABELS = np.array([0, 0, 0, 1])
COUNTS = np.array([3, 1, 0])
IMAGES = np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 0.0]])


def adjusted(technique: Ncm, scale: float = 1.0) -> np.ndarray:
    train = Predicted(logits=np.zeros((4, 3)), features=scale * FEATURES, labels=LABELS)
    state = technique.fit(Evidence(counts=COUNTS, classifier=None, train=train))
    images = Predicted(logits=np.zeros((3, 3)), features=scale * IMAGES)
    return technique.adjust_with(state, images, COUNTS, None)


def test_cosines_by_hand() -> None:
    # Means (2, 1) and (0, 0.5): directions (2, 1) / sqrt(5) and (0, 1).
    expected = [[2 / 5**0.5, 0.0], [(0.6 * 2 + 0.8) / 5**0.5, 0.8], [0.0, 0.0]]
    np.testing.assert_allclose(adjusted(Ncm())[:, :2], expected)


def test_it_is_the_mean_and_not_the_mean_of_directions() -> None:
    directions = FEATURES[:3] / np.linalg.norm(FEATURES[:3], axis=1, keepdims=True)
    other = directions.mean(0) / np.linalg.norm(directions.mean(0))
    assert abs(adjusted(Ncm())[0, 0] - other[0]) > 0.01


def test_a_class_without_training_images_is_never_predicted() -> None:
    for technique in (Ncm(), Ncm(centred=True)):
        assert (adjusted(technique).argmax(1) < 2).all()


def test_the_scale_of_the_features_does_not_matter() -> None:
    np.testing.assert_allclose(adjusted(Ncm(), 7.0), adjusted(Ncm()))


def test_the_distance_to_normalised_means_predicts_the_same_classes() -> None:
    rng = np.random.default_rng(0)
    features, labels, images = rng.normal(size=(60, 4)), rng.integers(3, size=60), rng.normal(size=(40, 4))
    train = Predicted(logits=np.zeros((60, 3)), features=features, labels=labels)
    state = Ncm().fit(Evidence(counts=np.bincount(labels), classifier=None, train=train))
    cosines = Ncm().adjust_with(state, Predicted(logits=np.zeros((40, 3)), features=images), COUNTS, None)
    means = np.stack([features[labels == label].mean(0) for label in range(3)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    distances = np.linalg.norm(images[:, None] - means, axis=2)
    np.testing.assert_array_equal(cosines.argmax(1), distances.argmin(1))


def test_centred_features_by_hand() -> None:
    # The mean of all features is (1.5, 0.875); the images of a class count by direction.
    centred = FEATURES - [1.5, 0.875]
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    means = np.stack([unit[:3].mean(0), unit[3]])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    images = IMAGES - [1.5, 0.875]
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    np.testing.assert_allclose(adjusted(Ncm(centred=True))[:, :2], images @ means.T)
