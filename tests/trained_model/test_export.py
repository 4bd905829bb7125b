"""The folder of a trained model: its forms, its card, and which cell it is of."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from support import call

import ltbench
from ltbench.errors import JobFailed, PluginError, StoreError, UnknownName, UsageError
from ltbench.image_files.decode import read_image, warnings_by_thread
from ltbench.trained_model.card import card
from ltbench.trained_model.export import export_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Trained

WITHOUT_LTBENCH = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"ltbench", "ltbench_plugins"}:
            raise ImportError("ltbench is not here")
sys.meta_path.insert(0, Nothing())
"""
FORK_FOR_CARDS = """
import json
import os
import traceback

import PIL.Image
import safetensors.torch
import timm
import torch.export

for line in sys.stdin:
    asked = json.loads(line)
    if (child := os.fork()) == 0:
        os.chdir(asked["folder"])
        for number, name in ((1, "stdout.txt"), (2, "stderr.txt")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        code = 0
        try:
            exec(asked["code"], {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Has imported what cards import, which takes seconds, and forks for each of them."""
TOLERANCE = 1e-5


def code_of(folder: Path) -> str:
    """Return the lines of the card that load the model."""
    found = re.findall(r"^```python\n(.*?)^```$", (folder / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def run_card() -> Iterator[Callable[[Path, Path], tuple[str, float]]]:
    """Run the lines of a card where ltbench cannot be imported; return label and probability."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c",
         WITHOUT_LTBENCH + FORK_FOR_CARDS],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip

    def run(folder: Path, photo: Path) -> tuple[str, float]:
        shutil.copyfile(photo, folder / "photo.jpg")
        code = code_of(folder)
        assert len([line for line in code.splitlines() if line and "import" not in line]) <= 20
        process.stdin.write(json.dumps({"folder": str(folder), "code": code}) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "0\n", (folder / "stderr.txt").read_text()
        label, _, probability = (folder / "stdout.txt").read_text().strip().rpartition(" ")
        return label, float(probability)

    yield run
    process.communicate()


def photo_of(trained: Trained) -> Path:
    return next((trained.folder / "photos" / "test" / "dog").iterdir())


def export(trained: Trained, label: str, folder: Path, name: str = "rows", **options: bool):
    record = trained.record(name, label)
    return export_model(record, trained.context, folder, among=trained.records(name), **options)


@pytest.mark.parametrize(
    "label",
    [
        "tta + logit_adjust_posthoc",
        "experts + sade_loss + tta + sade_aggregation",
        "product[size=2]",
        "ncm",
        "tta + min_cost[costs=cat>dog:5]",
    ],
)
def test_the_card_classifies_without_ltbench(label: str, trained_photos: Trained, run_card, tmp_path: Path) -> None:
    done = export(trained_photos, label, tmp_path / "model")
    assert [form.file for form in done.description.forms] == ["model.pt2"]
    assert done.description.forms[0].largest_difference < TOLERANCE
    found = ltbench.load_model(tmp_path / "model")(photo_of(trained_photos))
    label, probability = run_card(tmp_path / "model", photo_of(trained_photos))
    assert label == found.labels[0]
    assert probability == pytest.approx(found.probabilities.max(), abs=TOLERANCE)


@pytest.fixture(scope="module")
def networks(trained_photos: Trained) -> Trained:
    """Rows of networks of timm, as they are and with what a fine-tuning adds."""
    trained_photos.run(
        "timm", models=["test_resnet", "test_resnet[resize=24]", "test_efficientnet"], recipe={"steps": 3},
        combinations=[["logit_adjust_posthoc"]], seeds=[0],
    )  # fmt: skip
    trained_photos.run(
        "vit", models=["test_vit[resize=32]"], recipe={"steps": 3, "precision": "bf16"}, combinations=[["lora"], ["adaptformer"]],
    )  # fmt: skip
    return trained_photos


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_the_card_makes_images_square_as_the_model_does(
    fit: str, trained_photos: Trained, run_card, tmp_path: Path
) -> None:
    images = f"image_folder[fit={fit},path=photos,size=16,stored=20]"
    trained_photos.run(f"fit-{fit}", datasets=[images], recipe={"augment": "random_resized_crop"})
    (record,) = trained_photos.records(f"fit-{fit}")
    export_model(record, trained_photos.context, tmp_path / "model", among=[record])
    found = ltbench.load_model(tmp_path / "model")(photo_of(trained_photos))
    label, probability = run_card(tmp_path / "model", photo_of(trained_photos))
    assert label == found.labels[0]
    assert probability == pytest.approx(found.probabilities.max(), abs=TOLERANCE)
    # What is evaluated is what is classified, in another order of the same images.
    files = sorted((trained_photos.folder / "photos" / "test").rglob("*.*"))
    mine = ltbench.load_model(tmp_path / "model")(files).probabilities
    evaluated = trained_photos.evaluated(record).probabilities
    np.testing.assert_allclose(np.sort(mine, 0), np.sort(evaluated, 0), atol=1e-5)


def odd_photos(folder: Path) -> Iterator[Path]:
    """Write photos that a plain `Image.open(...).convert("RGB")` reads otherwise."""
    rng = np.random.default_rng(3)
    ramp = np.linspace(0, 1, 30 * 24).reshape(30, 24)
    colours = (np.stack([ramp, ramp.T.reshape(30, 24), 1 - ramp], -1) * 200 + rng.integers(0, 50, (30, 24, 3))).astype(
        np.uint8
    )
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colours).save(folder / "turned.png", exif=exif)
    Image.fromarray((ramp * 40_000).astype(np.uint16)).save(folder / "deep.png")
    clear = Image.fromarray(colours)
    clear.putalpha(Image.fromarray((255 * (ramp > 0.4)).astype(np.uint8)))
    clear.save(folder / "clear.png")
    clear.quantize(16).save(folder / "palette.png")
    Image.fromarray(colours).convert("CMYK").save(folder / "print.tif")
    Image.fromarray(colours).convert("LA").save(folder / "grey.png")
    yield from sorted(folder.iterdir())


@pytest.mark.parametrize(
    ("fields", "ground", "white"),
    [
        ({}, "white", 65535),
        ({"background": 90, "white": 50_000.0}, "grey of level 90", 50_000),
        ({"background": 0, "channels": 1, "fit": "pad"}, "black", 65535),
    ],
)
def test_the_card_reads_files_as_the_model_does(
    fields: dict[str, object], ground: str, white: int, trained_photos: Trained, tmp_path: Path
) -> None:
    about = export(trained_photos, "cb_sampler", tmp_path / "model", "seeds").description
    rules = msgspec.structs.replace(about.reading, **fields)
    text = card(msgspec.structs.replace(about, reading=rules), (), "")
    (tmp_path / "model" / "README.md").write_text(text)
    code = code_of(tmp_path / "model")
    reading = code[code.index("image = ") : code.index("probabilities = ")]
    (tmp_path / "odd").mkdir()
    for file in odd_photos(tmp_path / "odd"):
        names = {"Image": Image, "ImageOps": ImageOps, "numpy": np, "torch": torch}
        exec(reading.replace("photo.jpg", str(file)), names)
        with warnings_by_thread():
            expected, _ = read_image(file, rules)
        np.testing.assert_array_equal(names["pixels"][0].numpy(), expected, err_msg=file.name)
    assert f"transparent parts on {ground}." in text
    assert f"scaled so that {white} is white" in text
    assert "by torch" not in text
    rules = msgspec.structs.replace(rules, fast=True)
    assert "by torch" in card(msgspec.structs.replace(about, reading=rules), (), "")


@pytest.mark.parametrize("model", ["test_resnet", "test_resnet[resize=24]", "test_efficientnet"])
def test_timm_loads_what_it_can_build(model: str, networks: Trained, run_card, tmp_path: Path) -> None:
    (record,) = [
        one for one in networks.records("timm") if one.setting.model == model and one.label == "logit_adjust_posthoc"
    ]
    done = export_model(record, networks.context, tmp_path / "model")
    assert done.description.forms == []
    member = done.description.members[0]
    assert member.timm is not None
    assert member.timm.name == model.partition("[")[0]
    found = ltbench.load_model(tmp_path / "model")(photo_of(networks))
    label, probability = run_card(tmp_path / "model", photo_of(networks))
    assert label == found.labels[0]
    assert probability == pytest.approx(found.probabilities.max(), abs=TOLERANCE)
    # What the posthoc does decides: without it, this probability is another one.
    plain = code_of(tmp_path / "model").replace('posthoc["shift"]', "0.0")
    assert plain != code_of(tmp_path / "model")


@pytest.mark.slow
@pytest.mark.parametrize("label", ["lora", "adaptformer"])
def test_what_a_fine_tuning_adds_is_in_the_program(label: str, networks: Trained, run_card, tmp_path: Path) -> None:
    done = export(networks, label, tmp_path / "model", "vit")
    assert [form.file for form in done.description.forms] == ["model.pt2"]
    assert done.description.members[0].timm is None
    assert "bfloat16" in (tmp_path / "model" / "README.md").read_text()
    found = ltbench.load_model(tmp_path / "model")(photo_of(networks))
    label, probability = run_card(tmp_path / "model", photo_of(networks))
    # The program computes in float32.
    assert probability == pytest.approx(found.probabilities.max(), abs=0.02)


def test_a_network_of_timm_is_a_program_where_one_is_asked_for(networks: Trained, tmp_path: Path) -> None:
    (record,) = [
        one for one in networks.records("timm")
        if one.setting.model == "test_efficientnet" and one.label == "logit_adjust_posthoc"
    ]  # fmt: skip
    done = export_model(record, networks.context, tmp_path / "model", torch_export=True)
    assert [form.file for form in done.description.forms] == ["model.pt2"]
    assert done.description.forms[0].largest_difference < TOLERANCE


def test_onnx_gives_the_same_probabilities(trained_photos: Trained, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    done = export(trained_photos, "tta + logit_adjust_posthoc", tmp_path / "model", onnx=True)
    assert [form.file for form in done.description.forms] == ["model.pt2", "model.onnx"]
    model = ltbench.load_model(tmp_path / "model")
    files = sorted((trained_photos.folder / "photos" / "test").glob("*/*"))
    images = np.stack([model.read(file) for file in files])
    session = onnxruntime.InferenceSession(str(tmp_path / "model" / "model.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": images})
    assert float(np.abs(found - model(files).probabilities).max()) < TOLERANCE
    assert not (tmp_path / "model" / "model.onnx.data").exists()


def test_what_no_program_has_is_stated_and_refused_where_it_is_asked_for(
    trained_photos: Trained, tmp_path: Path
) -> None:
    label, why = "tta[merge_by=vote]", "view tta[merge_by=vote] merges predictions by a rule of its own"
    done = export(trained_photos, label, tmp_path / "model")
    assert why in done.without
    card = (tmp_path / "model" / "README.md").read_text()
    assert "Only ltbench loads this model" in card
    assert "```python" not in card
    with pytest.raises(JobFailed, match="cannot be written as one program") as error:
        export(trained_photos, label, tmp_path / "other", torch_export=True)
    assert why in error.value.why
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_card_says_what_it_is(trained_photos: Trained, tmp_path: Path) -> None:
    export(trained_photos, "cb_sampler", tmp_path / "model", "seeds")
    card = (tmp_path / "model" / "README.md").read_text()
    scores = [trained_photos.record("seeds", "cb_sampler", seed).metrics["balanced_accuracy"] for seed in range(3)]
    half = 4.302652729911275 * np.std(scores, ddof=1) / 3**0.5  # the quantile of Student's t with 2 degrees of freedom
    expected = (
        f"| Balanced accuracy, % | {100 * scores[0]:.1f} | {100 * np.mean(scores):.1f} | ± {100 * half:.1f} | 3 |"
    )
    assert expected in card
    for line in (
        "| 0 | cat | 24 |", "| 2 | ox = a b | 6 |", "| licence of the images | that of the images |",
        "| licence of the pretrained weights | no pretrained weights |", "| posthoc | none |",
        "| temperature | none: no images were held out |", "42 images.",
    ):  # fmt: skip
        assert line in card, card
    about = json.loads((tmp_path / "model" / "model.json").read_text())
    assert about["classes"] == ["cat", "dog", "ox = a b"]
    assert about["reading"] == {
        "channels": 3, "size": 16, "background": 255, "white": 0.0, "fit": "crop", "stored": 0, "fast": False,
    }  # fmt: skip
    assert about["cell"] == trained_photos.record("seeds", "cb_sampler").id


@pytest.mark.slow
def test_a_model_does_not_need_the_pretrained_weights_that_it_started_from(
    networks: Trained, run_card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ["efficientnet_lite0[pretrained=true,frozen=true,resize=32]"]
    networks.run("lite", models=models, recipe={"steps": 4}, combinations=[["tta"], ["tau_norm"]])
    done = export(networks, "tau_norm", tmp_path / "model", "lite")
    # It was trained on stored features; its network is the whole one, with the bits of the evaluation.
    assert done.description.members[0].spec["features"]
    for label in ("tau_norm", "tta"):
        record = networks.record("lite", label)
        export_model(record, networks.context, tmp_path / "exact", overwrite=True)
        files = networks.test_photos
        found = ltbench.load_model(tmp_path / "exact")(files)
        np.testing.assert_array_equal(found.probabilities, networks.evaluated(record).probabilities)
        np.testing.assert_allclose(
            ltbench.load_model(tmp_path / "exact")(files[:3]).probabilities, found.probabilities[:3], atol=TOLERANCE
        )
    assert done.description.members[0].timm.name == "tf_efficientnet_lite0"
    assert "| licence of the pretrained weights | apache-2.0 |" in (tmp_path / "model" / "README.md").read_text()
    from ltbench_plugins.models._networks import efficientnet_lite

    def gone(variant: int) -> None:
        raise PluginError("the weights are not here")

    monkeypatch.setattr(efficientnet_lite, "_packaged", gone)
    found = ltbench.load_model(tmp_path / "model")(photo_of(networks))
    label, probability = run_card(tmp_path / "model", photo_of(networks))
    assert (label, probability) == (found.labels[0], pytest.approx(found.probabilities.max(), abs=TOLERANCE))


# --- which cell, and where to ------------------------------------------------------------------------------------


def command(trained: Trained, cell: str, folder: Path, *options: str):
    return call("export-model", cell, folder, "--json", *options, *trained.at)


def test_a_cell_is_named_by_id_by_row_or_as_the_best(trained_photos: Trained, tmp_path: Path) -> None:
    record = trained_photos.record("seeds", "cb_sampler", 1)
    found = json.loads(command(trained_photos, record.id[:8], tmp_path / "a").stdout)
    assert found["cell"] == record.id
    found = json.loads(command(trained_photos, "cb_sampler", tmp_path / "b", "--page", "seeds").stdout)
    assert found["cell"] == trained_photos.record("seeds", "cb_sampler", 0).id
    found = json.loads(command(trained_photos, "tta + logit_adjust_posthoc", tmp_path / "c").stdout)
    assert found["label"] == "tta + logit_adjust_posthoc"
    with pytest.raises(UsageError, match="best row of which page") as error:
        command(trained_photos, "best", tmp_path / "d")
    assert "seeds" in error.value.why
    found = json.loads(command(trained_photos, "best", tmp_path / "d", "--page", "seeds").stdout)
    with (trained_photos.folder / "boards" / "local" / "seeds" / "table.csv").open() as file:
        assert next(csv.DictReader(file))["techniques"] == found["label"]


def test_a_row_that_there_is_not_is_an_error_with_the_nearest(trained_photos: Trained, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="cb_sampelr") as error:
        command(trained_photos, "cb_sampelr", tmp_path / "a")
    assert "cb_sampler" in error.value.fix
    with pytest.raises(UsageError):
        command(trained_photos, "0000000000", tmp_path / "a")


def test_what_is_not_trained_is_an_error_with_the_command_that_trains_it(
    trained_photos: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "default"))
    at = [*trained_photos.at[1:], f"--store={tmp_path / 'new'}"]
    with pytest.raises(StoreError, match="the store lacks 1 of the trained networks") as error:
        call("export-model", "cb_sampler", "model", "--page", "seeds", *at)
    words = shlex.split(error.value.fix)
    assert words[:3] == ["ltbench", "run", "--cell"]
    assert call(*words[1:], "--executor", "inline").return_value == 0
    assert call("export-model", "cb_sampler", "model", "--page", "seeds", *at).return_value == 0
    # Its record is there, its network is not: only another store trains it again.
    from ltbench.store.store import Store

    store = Store(tmp_path / "new")
    store.discard(trained_photos.record("seeds", "cb_sampler").spec["members"][0])
    with pytest.raises(StoreError, match="the store lacks 1 of the trained networks") as error:
        call("export-model", "cb_sampler", "again", "--page", "seeds", *at)
    train, _, export_with = error.value.fix.partition(", then export with ")
    assert call(*shlex.split(train)[1:], "--executor", "inline").return_value == 0
    call("export-model", "cb_sampler", "again", "--page", "seeds", *trained_photos.at[1:], *shlex.split(export_with))
    model, again = (Path(name) / "model.safetensors" for name in ("model", "again"))
    assert model.read_bytes() == again.read_bytes()


def test_nothing_but_a_model_is_replaced(trained_photos: Trained, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "mine.jpg").write_bytes(b"x")
    for options in ([], ["--overwrite"]):
        with pytest.raises(UsageError, match="is there already, and not a trained model"):
            command(trained_photos, "cb_sampler", photos, *options)
    assert [path.name for path in photos.iterdir()] == ["mine.jpg"]
    command(trained_photos, "cb_sampler", tmp_path / "model")
    with pytest.raises(UsageError, match="has a trained model already"):
        command(trained_photos, "logit_adjust_posthoc", tmp_path / "model", "--page", "seeds")
    command(trained_photos, "logit_adjust_posthoc", tmp_path / "model", "--page", "seeds", "--overwrite")
    assert ltbench.load_model(tmp_path / "model").description.label == "logit_adjust_posthoc"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "photos"]


def test_an_export_that_fails_leaves_what_was_there(
    trained_photos: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ltbench.trained_model import export as module

    command(trained_photos, "cb_sampler", tmp_path / "model")

    def fail(*args: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "card", fail)
    with pytest.raises(StoreError, match="the model cannot be written"):
        command(trained_photos, "logit_adjust_posthoc", tmp_path / "model", "--overwrite")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert ltbench.load_model(tmp_path / "model").description.label == "cb_sampler"


def test_a_folder_that_cannot_be_written_is_at_fault_and_not_the_store(trained_photos: Trained, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="the model cannot be written") as caught:
        command(trained_photos, "cb_sampler", tmp_path / "file" / "model")
    assert caught.value.fix.endswith("give another place to write to")
    assert "store" not in str(caught.value).lower()


def test_a_store_with_other_logits_is_found(
    trained_photos: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ltbench.trained_model import export as module

    real = module.read_stored

    def other(*args: object):
        stored = real(*args)
        return stored._replace(logits=stored.logits[..., ::-1])

    monkeypatch.setattr(module, "read_stored", other)
    with pytest.raises(JobFailed, match="gives other logits than the store has"):
        export(trained_photos, "cb_sampler", tmp_path / "model", "seeds")
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_that_has_changed_is_an_error(trained_photos: Trained, tmp_path: Path) -> None:
    from msgspec.structs import replace

    from ltbench.errors import DataError

    other = tmp_path / "data"
    shutil.copytree(trained_photos.folder / "photos", other / "photos")
    next((other / "photos" / "train" / "cat").iterdir()).unlink()
    with pytest.raises(DataError, match="has changed since the training"):
        export_model(
            trained_photos.record("seeds", "cb_sampler"), replace(trained_photos.context, data_root=other), tmp_path / "model"
        )  # fmt: skip


def test_a_withdrawn_cell_is_refused_with_the_reason(trained_photos: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained_photos.folder / "boards" / "local" / "seeds", tmp_path / "boards" / "seeds")
    record = trained_photos.record("seeds", "cb_sampler", 2)
    call("invalidate", record.id, "--reason", "wrong labels", "--leaderboards", tmp_path / "boards")
    with pytest.raises(UsageError, match="was withdrawn") as error:
        call(
            "export-model", record.id, tmp_path / "model", f"--leaderboards={tmp_path / 'boards'}",
            *trained_photos.at[::2],
        )  # fmt: skip
    assert "wrong labels" in error.value.why


def test_the_same_cell_gives_the_same_weights_facts_and_card(trained_photos: Trained, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export(trained_photos, "ncm", tmp_path / name)
    for name in ("model.safetensors", "posthoc.safetensors", "model.json", "README.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
