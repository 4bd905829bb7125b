"""A model that was exported predicts what its cell did, to the bit."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from support import call, main_result, python

import ltbench
from ltbench.errors import DataError, PluginError, UsageError
from ltbench.trained_model.adjustments import softmax
from ltbench.trained_model.export import export_model
from ltbench.trained_model.model import TrainedModel, batches

if TYPE_CHECKING:
    from conftest import Trained

BATCH_TOLERANCE = 1e-5
"""Of probabilities in float32: the batch that an image is in changes last bits."""
LABELS = [
    "baseline", "logit_adjust_posthoc", "tta + logit_adjust_posthoc", "tta[merge_by=vote]", "tau_norm[tau=held_out]", "temperature",
    "ncm", "cosine[scale=16]", "experts + sade_loss", "experts + sade_loss + tta + sade_aggregation", "seed_ensemble[size=2]",
    "product[size=2]", "bagging[threshold=10]", "lws",
    "tta + min_cost[costs=cat>dog:5]",
]  # fmt: skip
NOT_ALONE = {"tta[merge_by=vote]"}
"""What no program of torch has, for a reason that the card states."""


@pytest.fixture(scope="module")
def exported(trained_photos: Trained, tmp_path_factory: pytest.TempPathFactory):
    """Return a function that exports a row once."""
    root, done = tmp_path_factory.mktemp("models"), {}

    def export(label: str, name: str = "rows") -> Path:
        if (name, label) not in done:
            folder = done[name, label] = root / str(len(done))
            record = trained_photos.record(name, label)
            made = export_model(record, trained_photos.context, folder, among=trained_photos.records(name))
            assert bool(made.without) == (label in NOT_ALONE)
        return done[name, label]

    return export


@pytest.mark.parametrize("label", LABELS)
def test_probabilities_of_the_test_images_are_those_of_the_evaluation_to_the_bit(
    label: str, exported, trained_photos: Trained
) -> None:
    model = ltbench.load_model(exported(label))
    found = model(trained_photos.test_photos)
    expected = trained_photos.evaluated(trained_photos.record("rows", label))
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    assert found.labels == [model.classes[place] for place in expected.probabilities.argmax(1)]
    assert found.classes == ("cat", "dog", "ox = a b")


def test_an_image_alone_has_the_probabilities_that_it_has_among_others(exported, trained_photos: Trained) -> None:
    model = ltbench.load_model(exported("tta + logit_adjust_posthoc"))
    files = trained_photos.test_photos
    together = model(files).probabilities
    alone = np.concatenate([model(file).probabilities for file in files])
    np.testing.assert_allclose(alone, together, atol=BATCH_TOLERANCE)
    np.testing.assert_allclose(model(files[::-1]).probabilities[::-1], together, atol=BATCH_TOLERANCE)


def test_batches_are_those_of_an_evaluation() -> None:
    sizes = [len(batch) for batch in batches(np.zeros((1, 2, 2), np.uint8) for _ in range(1_201))]
    assert sizes == [500, 500, 201]
    large = [len(batch) for batch in batches(np.zeros((1, 224, 224), np.uint8) for _ in range(81))]
    assert large == [40, 40, 1]  # as many pixels as 500 images of 64 x 64


def test_paths_images_and_arrays_are_classified_alike(exported, trained_photos: Trained) -> None:
    model = ltbench.load_model(exported("baseline"))
    file = trained_photos.test_photos[0]
    with Image.open(file) as image:
        array = np.array(image)
        expected = model(file).probabilities
        for given in (str(file), [file], image, [image], array, array[None], iter([array])):
            np.testing.assert_array_equal(model(given).probabilities, expected)
    assert model([]).probabilities.shape == (0, 3)
    assert model([]).labels == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((4, 4, 3)), "float64 [4, 4, 3]; expected uint8"),
        (np.zeros((3, 8, 8), np.uint8), "uint8 [3, 8, 8]; expected uint8 [H, W]"),
        (np.zeros((32, 0, 3), np.uint8), "uint8 [32, 0, 3]"),
        (np.array(["a.png"]), "[1]; expected uint8 [H, W]"),
        (Image.new("RGB", (0, 5)), "it has no pixels"),
        ("nothing.png", "nothing.png"),
    ],
)
def test_what_is_no_image_is_refused_by_name(given: object, said: str, exported) -> None:
    with pytest.raises(DataError, match="cannot be read as an image") as error:
        ltbench.load_model(exported("baseline"))([given])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (None, "NoneType"), (3, "int"), (b"GIF89a", "bytes"), ([b"GIF89a"], "bytes"), ([[0, 1], [2, 3]], "list"), ([0, 1], "int"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "torch.Tensor"), ([torch.zeros(8, 8)], "torch.Tensor"), ([None], "NoneType"),
    ],
)  # fmt: skip
def test_what_is_neither_path_nor_image_nor_array_is_an_error_that_says_what_is_accepted(
    given: object, name: str, exported
) -> None:
    model = ltbench.load_model(exported("baseline"))
    with pytest.raises(DataError, match=f"an object of type {name} cannot be read") as error:
        model(given)
    assert "a path, an image of Pillow, or an array uint8 [H, W], [H, W, 3]" in error.value.why
    with pytest.raises(DataError, match="an object of type"):
        model.read(given)


def test_of_several_images_only_those_that_are_none_are_errors(exported, trained_photos: Trained) -> None:
    model = ltbench.load_model(exported("baseline"))
    found = list(model.read_each([trained_photos.test_photos[0], 3, np.zeros((4, 0), np.uint8)]))
    assert [isinstance(one, DataError) for one in found] == [False, True, True]


def test_files_are_read_by_the_rules_of_the_data_set(exported, trained_photos: Trained, tmp_path: Path) -> None:
    model = ltbench.load_model(exported("baseline"))
    with Image.open(trained_photos.test_photos[3]) as image:
        upright = image.copy()
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    clear = upright.convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "clear.png")
    np.testing.assert_array_equal(model.read(tmp_path / "turned.png"), model.read(upright))
    assert model.read(tmp_path / "clear.png").min() == 255
    assert model.read(upright.convert("L")).shape == (3, 16, 16)


def test_calibrated_probabilities_have_the_lowest_loss_on_held_out_images(exported, trained_photos: Trained) -> None:
    model = ltbench.load_model(exported("cosine[scale=16]"))
    held_out = trained_photos.evaluated(trained_photos.record("rows", "cosine[scale=16]"), "held_out")
    logs = np.log(held_out.probabilities)

    def loss(temperature: float) -> float:
        return float(-np.log(softmax(logs / temperature)[np.arange(len(logs)), held_out.labels]).mean())

    temperature = model.description.temperature
    assert temperature is not None
    assert temperature != pytest.approx(1.0, abs=0.01)
    assert loss(temperature) <= min(map(loss, np.geomspace(0.06, 19, 300))) + 1e-9
    files = trained_photos.test_photos
    expected = softmax(np.log(model(files).probabilities) / temperature)
    np.testing.assert_allclose(model(files, calibrated=True).probabilities, expected, rtol=1e-12)


def test_without_held_out_images_nothing_is_calibrated(exported, trained_photos: Trained) -> None:
    model = ltbench.load_model(exported("cb_sampler", "seeds"))
    assert not model.can_calibrate
    with pytest.raises(UsageError, match="cannot be calibrated"):
        model(trained_photos.test_photos, calibrated=True)


def test_the_most_probable_classes_come_first(exported, trained_photos: Trained) -> None:
    found = ltbench.load_model(exported("baseline"))(trained_photos.test_photos[:2])
    for row, pairs in zip(found.probabilities, found.top(5), strict=True):
        assert [found.classes.index(name) for name, _ in pairs] == np.argsort(-row).tolist()
        assert [value for _, value in pairs] == sorted(row.tolist(), reverse=True)


def test_importing_ltbench_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, ltbench; assert 'load_model' in ltbench.__all__; before = set(sys.modules)\n"
        "assert not {'torch', 'numpy', 'PIL'} & before\n"
        "assert callable(ltbench.load_model); assert not {'torch', 'timm'} & set(sys.modules)"
    )
    python(code)


# --- what is wrong with a folder ----------------------------------------------------------------------------------


@pytest.fixture
def copy(exported, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(exported("ncm"), tmp_path / "copy"))


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "posthoc.safetensors"])
def test_a_damaged_file_is_named(name: str, copy: Path) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(DataError, match="is damaged") as error:
        ltbench.load_model(copy)
    assert error.value.why == f"{name} does not match digest.json"


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(DataError, match="is damaged") as error:
        ltbench.load_model(copy)
    assert error.value.why == "model.safetensors is missing"


def test_other_files_and_a_changed_card_do_no_harm(copy: Path, trained_photos: Trained) -> None:
    (copy / "photo.jpg").write_bytes(b"x")
    (copy / "README.md").write_text("mine")
    assert len(ltbench.load_model(copy)(trained_photos.test_photos).labels) == len(trained_photos.test_photos)


def resealed(folder: Path, name: str, content: bytes) -> Path:
    """Write a file of a model as someone would who means harm: with its digest."""
    from ltbench.core import checksums
    from ltbench.trained_model.description import KEY

    (folder / name).write_bytes(content)
    checksums.seal(folder, KEY)
    return folder


def test_a_pickle_is_never_read(copy: Path, tmp_path: Path) -> None:
    import os
    import pickle

    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    resealed(copy, "model.safetensors", pickle.dumps(Harm()))
    with pytest.raises(DataError, match=r"model.safetensors cannot be read"):
        ltbench.load_model(copy)
    assert not (tmp_path / "harm").exists()


def test_weights_of_another_network_are_refused(copy: Path) -> None:
    import torch
    from safetensors.torch import save

    resealed(copy, "model.safetensors", save({"other": torch.zeros(2)}))
    with pytest.raises(DataError, match="are not those of the network"):
        ltbench.load_model(copy)


def test_facts_of_something_else_are_refused(copy: Path) -> None:
    resealed(copy, "model.json", b'{"format": 1, "name": "other"}')
    with pytest.raises(DataError, match="is not that of a trained model"):
        ltbench.load_model(copy)
    resealed(copy, "model.json", b'{"format": 99}')
    with pytest.raises(DataError, match="has format 99"):
        ltbench.load_model(copy)


def test_a_technique_that_is_not_installed_is_named(copy: Path) -> None:
    facts = json.loads((copy / "model.json").read_text())
    facts["members"][0]["spec"]["model"]["name"] = "their_net"
    resealed(copy, "model.json", json.dumps(facts).encode())
    with pytest.raises(PluginError, match="their_net"):
        ltbench.load_model(copy)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_folder_without_a_model_is_refused(make, tmp_path: Path) -> None:
    make(tmp_path / "other")
    with pytest.raises(DataError, match="is not a trained model"):
        TrainedModel.load(tmp_path / "other")


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_classifies_folders_and_lists_what_cannot_be_read(
    exported, trained_photos: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, folder = exported("logit_adjust_posthoc"), tmp_path / "mine"
    (folder / "b c").mkdir(parents=True)
    files = trained_photos.test_photos
    for file, name in ((files[0], "ä'.png"), (files[1], "b c/1.png"), (files[1], ".hidden.png")):
        (folder / name).write_bytes(file.read_bytes())
    (folder / "a.jpg").write_bytes(b"broken")
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("x")
    code, out, err = main_result(capsys, "predict", model, folder, files[2], "--json")
    found = json.loads(out)
    assert code == 1
    assert [Path(one["file"]).name for one in found] == ["a.jpg", "1.png", "empty.png", "ä'.png", files[2].name]
    assert [bool(one["error"]) for one in found] == [True, False, True, False, False]
    assert "2 of 5 images could not be read" in err
    assert f"not read: {folder / 'empty.png'}: it is empty" in err
    assert f"{folder}: 2 other files are left out" in err
    read = [one["probabilities"][0] for one in found if not one["error"]]
    expected = ltbench.load_model(model)([files[1], files[0], files[2]]).probabilities.max(1)
    assert read == expected.tolist()


def test_the_command_writes_a_csv_file(exported, trained_photos: Trained, tmp_path: Path) -> None:
    import pandas as pd

    files = sorted((trained_photos.folder / "photos" / "test").glob("*/*"))
    args = ["predict", exported("cosine[scale=16]"), trained_photos.folder / "photos" / "test", "--top", 2]
    assert call(*args, "--csv", tmp_path / "out.csv").return_value == 0
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table) == ["file", "label", "probability", "label_2", "probability_2", "error"]
    assert table["file"].tolist() == list(map(str, files))
    found = ltbench.load_model(exported("cosine[scale=16]"))(files)
    assert table["label"].tolist() == found.labels
    np.testing.assert_array_equal(table["probability_2"], np.sort(found.probabilities, axis=1)[:, -2])
    assert call(*args, "--calibrated", "--csv", tmp_path / "other.csv").return_value == 0
    other = pd.read_csv(tmp_path / "other.csv")
    assert other["label"].tolist() == found.labels
    assert not np.allclose(other["probability"], table["probability"])


def test_a_path_with_line_breaks_is_the_path_for_programs_and_escaped_on_the_terminal(
    exported,
    trained_photos: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "odd"
    folder.mkdir()
    # An accent of its own, as macOS writes it, is not the letter with the accent.
    names = ["a\nb.png", "c\rd.png", 'e\x1b\x7f,".png', "u\u0308.png"]
    for name in names:
        (folder / name).write_bytes(trained_photos.test_photos[0].read_bytes())
    (folder / os.fsdecode(b"\xff.png")).write_bytes(b"broken")
    (folder / "z\n.png").write_bytes(b"broken")
    paths = [*(f"odd/{name}" for name in names), "odd/z\n.png", "odd/\\xff.png"]
    args = ["predict", exported("baseline"), "odd"]
    code, out, err = main_result(capsys, *args, "--json")
    assert code == 1
    assert [one["file"] for one in json.loads(out)] == paths
    assert "not read: odd/z\\x0a.png: " in err
    for target in ("-", "out.csv"):
        code, out, err = main_result(capsys, *args, "--csv", target)
        assert code == 1
        assert ("written: 6 images in out.csv" in err) == (target != "-")
        text = out if target == "-" else Path(target).read_bytes().decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [row["file"] for row in rows] == paths
        assert [bool(row["label"]) for row in rows] == [True] * 4 + [False] * 2
    assert not Path("-").exists()
    out = main_result(capsys, *args)[1]
    assert "odd/a\\x0ab.png" in out
    assert "odd/c\\x0dd.png" in out


@pytest.mark.parametrize(
    ("images", "options", "said"),
    [
        (
            ["p/*.png"],
            [],
            "there is no p/\\*.png\n  why: patterns are expanded by the shell.*\n  try: give the folder p, or",
        ),
        (["nowhere"], [], "there is no nowhere"),
        (["empty"], [], "there are no images in empty"),
        (["empty"], ["--csv", "x.csv", "--json"], "exclude each other"),
    ],
)
def test_a_mistake_ends_the_command_before_it_loads_a_model(
    images: list[str], options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError) as error:
        call("predict", "model", *images, *options)
    assert re.search(said, str(error.value))


def test_the_command_says_that_it_cannot_calibrate(exported, trained_photos: Trained) -> None:
    with pytest.raises(UsageError, match="cannot be calibrated"):
        call("predict", exported("cb_sampler", "seeds"), trained_photos.test_photos[0], "--calibrated")
