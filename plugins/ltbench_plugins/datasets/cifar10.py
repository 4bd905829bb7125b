"""CIFAR-10."""

from __future__ import annotations

from ltbench import Dataset, DatasetInfo, hookimpl
from ltbench_plugins.datasets._cifar import HOME, Cifar, Form

PYTHON = Form(
    version="python",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    train={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test={"test_batch": "40351d587109b95175f43aff81a1287e"},
    label="labels",
)
BINARY = Form(
    version="binary",
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar.gz",
    train={
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    },
    test={"test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
    label=0,
)


class Cifar10(Cifar, frozen=True):
    """50,000 training and 10,000 test photographs of 10 classes, 32 x 32 pixels in colour.

    The classes go from head to tail in label order. Source: Krizhevsky, "Learning Multiple Layers of Features from
    Tiny Images", 2009.
    """

    name = "cifar10"
    forms = (PYTHON, BINARY)
    archive_md5 = "c58f30108f718f92721af3b95e74349a"
    about = DatasetInfo(
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        train_counts=(5000,) * 10,
        test_counts=(1000,) * 10,
        channels=3,
        size=32,
        # Mean and population standard deviation of all 50,000 training images / 255; the tests recompute them from the
        # real files.
        mean=(0.491400, 0.482158, 0.446531),
        std=(0.247032, 0.243485, 0.261588),
        fingerprint="088db17c50ddf8b6d4ae26627291c330",
        licence="none stated; the author asks to cite the report",
        source=HOME + "cifar.html",
    )


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [Cifar10]
