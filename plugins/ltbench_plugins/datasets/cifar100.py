"""CIFAR-100."""

from __future__ import annotations

from ltbench import Dataset, DatasetInfo, hookimpl
from ltbench_plugins.datasets._cifar import HOME, Cifar, Form

PYTHON = Form(
    version="python",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    train={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    label="fine_labels",
)
BINARY = Form(
    version="binary",
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar.gz",
    train={"train.bin": "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"},
    test={"test.bin": "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"},
    label=1,
)
CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""


class Cifar100(Cifar, frozen=True):
    """50,000 training and 10,000 test photographs of 100 classes, 32 x 32 pixels in colour; fine labels.

    The classes go from head to tail in label order. Source: Krizhevsky, "Learning Multiple Layers of Features from
    Tiny Images", 2009.
    """

    name = "cifar100"
    forms = (PYTHON, BINARY)
    archive_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    about = DatasetInfo(
        classes=tuple(CLASSES.split()),
        train_counts=(500,) * 100,
        test_counts=(100,) * 100,
        channels=3,
        size=32,
        # Mean and population standard deviation of all 50,000 training images / 255; the tests recompute them from the
        # real files.
        mean=(0.507075, 0.486549, 0.440918),
        std=(0.267334, 0.256438, 0.276150),
        fingerprint="4ec76184412ef58723bcb458e1cec84a",
        licence="none stated; the author asks to cite the report",
        source=HOME + "cifar.html",
    )


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [Cifar100]
