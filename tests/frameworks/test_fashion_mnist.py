"""Fashion-MNIST in float32: every framework reaches what the dataset's own table says."""

import os

import numpy as np
import pytest
from loading import load

import zoo
from zoo.data import published
from zoo.errors import InputError

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

#: Network -> how it is trained, and the test accuracy of the entry like it in the table of
#: https://github.com/zalandoresearch/fashion-mnist: "2 Conv Layers with max pooling (Keras)" and
#: "3 Conv Layers+pooling+BN", both without augmentation.
CASES = {
    "lenet5": ({"epochs": 3, "lr": 0.05, "batch_size": 64}, 0.876),
    "resnet20": ({"epochs": 2, "lr": 0.1, "batch_size": 64, "weight_decay": 1e-4}, 0.903),
}
SEEDS = {"lenet5": (0, 1), "resnet20": (0,)}


@pytest.fixture(scope="module")
def images():
    if not published.DEBIAN.is_dir():
        try:
            zoo.dataset("fashion-mnist")
        except InputError as error:  # it cannot be downloaded either
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))  # on a laptop without a network
    return zoo.dataset("fashion-mnist")


@pytest.mark.parametrize("name", CASES)
def test_the_accuracy_of_the_datasets_own_table(name, backend, images):
    load(backend)
    settings, expected = CASES[name]
    found = []
    for seed in SEEDS[name]:
        model = zoo.build(name, backend, num_classes=10, in_channels=1, seed=seed)
        run = zoo.train(
            model,
            images,
            seed=seed,
            workers=1,
            optimizer="sgd",
            momentum=0.9,
            schedule="cosine",
            **settings,
        )
        found.append(run.epochs[-1].validation.top1)
    spread = np.ptp(found)
    print(f"{name} in {backend}: {[round(accuracy, 4) for accuracy in found]}")
    assert np.mean(found) + spread >= expected, found
