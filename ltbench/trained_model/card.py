"""The model card: what a trained model is, and the lines that load it without ltbench."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ltbench.core.spec import label_of
from ltbench.image_files.grey import exact
from ltbench.image_files.squares import FITTED
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.columns import Column
    from ltbench.image_files.decode import Rules
    from ltbench.trained_model.description import Description

_ROWS = 20
"""Classes in the table of the card; all of them are in model.json."""
_DECODE = """\
image = ImageOps.exif_transpose(Image.open("photo.jpg"))
if image.mode.startswith("I"):
    image = Image.fromarray((numpy.asarray(image) * (255 / {white}) + 0.5).astype(numpy.uint8))
ground = Image.new("RGBA", image.size, ({background}, {background}, {background}, 255))
image = Image.alpha_composite(ground, image.convert("RGBA")).convert("{mode}")
{square}image = numpy.array({squared}).reshape({side}, {side}, {channels})
{centre}pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
"""
_RESIZED = "image.resize(({side}, {side}), Image.Resampling.BICUBIC)"
_SQUARE = {
    "crop": """\
(width, height), side = image.size, min(image.size)
image = image.crop(((width - side) // 2, (height - side) // 2, (width + side) // 2, (height + side) // 2))
""",
    "pad": """\
width, height = (max(1, round(side * {side} / max(image.size))) for side in image.size)
part, image = image.resize((width, height), Image.Resampling.BICUBIC), Image.new("{mode}", ({side}, {side}), {ground})
image.paste(part, (({side} - width) // 2, ({side} - height) // 2))
""",
    "squash": "",
}
_CENTRE = """\
image = image[{start}:{end}, {start}:{end}]
"""
_TIMM = """\
network = timm.create_model("{name}", {arguments}).eval()
network.load_state_dict(load_file("{weights}"))
{decode}
mean, deviation = (torch.tensor(about["members"][0][key])[:, None, None] for key in ("mean", "deviation"))
images = (pixels / 255 - mean) / deviation
{resize}logits = network(images).detach()
{adjust}probabilities = logits.softmax(1)[0]
"""
_RESIZE = """\
images = torch.nn.functional.interpolate(images, ({resize}, {resize}), mode="bilinear", antialias=True)
"""
_ADJUST = """\
posthoc = about["members"][0]["adjustments"][0][0]
logits = logits * torch.tensor(posthoc["scale"]) + torch.tensor(posthoc["shift"])
"""
_PROGRAM = """\
program = torch.export.load("model.pt2").module()
{decode}
probabilities = program(pixels)[0].detach()
"""


def card(about: Description, columns: Sequence[Column], without: str) -> str:
    """Return the card as Markdown.

    columns: the metrics to show, if the model has them; without: why nothing but ltbench loads the model, empty if
    something does.
    """
    parts = (_what(about), _numbers(about, columns), _training(about), _loading(about, without), _files(about))
    return "\n".join(line for part in parts for line in part) + "\n"


def _what(about: Description) -> Iterator[str]:
    s = about.setting
    yield f"# {_text(s['model'])}: {_text(about.label)}"
    yield ""
    members = "" if len(about.members) == 1 else f" It is an ensemble of {len(about.members)} networks."
    yield (
        f"Classifies images into {len(about.classes):,} classes. Trained by ltbench {about.ltbench} on {_text(s['dataset'])}, profile "
        f"{_text(s['profile'])}, imbalance factor {written(s['imbalance_factor'])}, with the techniques: {_text(about.label)}.{members}"
    )
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in (
        ("cell", f"`{about.cell}`"),
        ("seeds", f"subset {s['subset_seed']}, training {s['seed']}"),
        ("images", f"{about.reading.size} x {about.reading.size}, {'grey' if about.reading.channels == 1 else 'RGB'}, {FITTED[about.reading.fit]}"),
        ("posthoc", _posthoc(about)),
        ("views of an image", ", ".join(about.views)),
        ("temperature", "none: no images were held out" if about.temperature is None else written(round(about.temperature, 4))),
        ("licence of the images", _text(about.licences["images"])),
        ("licence of the pretrained weights", _text(about.licences["backbone"])),
    ):  # fmt: skip
        yield f"| {name} | {value} |"
    for note in about.notes:
        yield ""
        yield f"Note: {_text(note)}"
    yield ""


def _posthoc(about: Description) -> str:
    if about.posthoc is None:
        return "none"
    label = _text(label_of(about.posthoc))
    weighs = any(member.branch_weights is not None for member in about.members)
    fixed = "; the weights of the branches are those of the unlabelled test images" if weighs else ""
    if about.baked:
        return f"{label}: logits * scale + shift, see model.json{fixed}"
    return f"{label}: its arrays are in posthoc.safetensors, its formula is what `ltbench show {about.posthoc['name']}` prints{fixed}"


def _numbers(about: Description, columns: Sequence[Column]) -> Iterator[str]:
    yield "## Metrics on the test images"
    yield ""
    if not about.metrics:
        yield "Nothing was measured on this model, as no images were left to test it. The notes above say what to expect."
        yield ""
        return
    yield "| metric | this model | mean over seeds | 95 % interval | runs |"
    yield "|---|---|---|---|---|"
    for column in columns:
        if column.name in about.metrics:
            runs = about.runs.get(column.name, {})
            value = _number(about.metrics[column.name], column) or "n/a"
            mean, half = (_number(runs.get(part), column) for part in ("mean", "half"))
            unit = ", %" if column.unit == "percent" else ""
            yield f"| {_text(column.full_title)}{unit} | {value} | {mean} | {half and f'± {half}'} | {runs.get('n', '' if about.runs else 1)} |"
    yield ""
    yield "Every number is in model.json." + " A single run has no interval: another seed gives other numbers." * (
        not about.runs
    )
    yield ""


def _training(about: Description) -> Iterator[str]:
    yield "## Training images"
    yield ""
    yield f"{sum(about.counts):,} images. Classes in the order of the logits:"
    yield ""
    yield "| | class | images |"
    yield "|---|---|---|"
    for number, (name, count) in enumerate(zip(about.classes[:_ROWS], about.counts, strict=False)):
        yield f"| {number} | {_text(name)} | {count:,} |"
    if (more := len(about.classes) - _ROWS) > 0:
        yield f"| | {more:,} more, see `classes` and `counts` in model.json | |"
    yield ""


def _loading(about: Description, without: str) -> Iterator[str]:
    yield "## Use"
    yield ""
    yield "```text"
    yield "ltbench predict FOLDER photo.jpg"
    yield "```"
    yield ""
    exactness = (
        "their logits are no longer stored"
        if about.largest_difference is None
        else f"the largest difference to the logits behind the metrics is {about.largest_difference:.2g}"
    )
    yield f"Checked on {about.checked_images} test images: {exactness}."
    yield ""
    if without:
        yield f"Only ltbench loads this model: {_text(without)}."
        yield ""
        return
    member = about.single
    by_timm = member is not None and member.timm is not None and about.baked
    yield "Without ltbench, in this folder:"
    yield ""
    yield "```python"
    yield "import json"
    yield "from pathlib import Path"
    yield ""
    yield "import numpy"
    yield from (["import timm"] if by_timm else [])
    yield "import torch"
    yield "from PIL import Image, ImageOps"
    yield from (["from safetensors.torch import load_file"] if by_timm else [])
    yield ""
    yield 'about = json.loads(Path("model.json").read_text(encoding="utf-8"))'
    yield from _code(about).rstrip().splitlines()
    yield 'print(about["classes"][int(probabilities.argmax())], float(probabilities.max()))'
    yield "```"
    yield ""
    yield from _reading(about.reading)
    if any(member.spec["recipe"].get("precision") == "bf16" for member in about.members):
        yield "The network was evaluated in bfloat16; these lines compute in float32, so that probabilities differ slightly."
    yield ""


def _reading(rules: Rules) -> Iterator[str]:
    """Yield how the lines read a file, and in what ltbench differs."""
    ground = {0: "black", 255: "white"}.get(rules.background, f"grey of level {rules.background}")
    yield (
        f"These lines read a file as ltbench does: rotated by its EXIF orientation, 16-bit grey scaled so that {exact(_white(rules))} is white, "
        f"transparent parts on {ground}. Not in them: 32-bit, floating-point and inverted grey, which ltbench scales or refuses."
    )
    if rules.fast:
        yield "ltbench resizes by torch instead of Pillow, to pixels that differ by at most 2 of 255."


def _white(rules: Rules) -> float:
    """Return the value of 16-bit grey that is white."""
    return rules.white or 65535.0


def _code(about: Description) -> str:
    reading, member = about.reading, about.single
    mode = "L" if reading.channels == 1 else "RGB"
    side = reading.stored or reading.size
    ground = reading.background if reading.channels == 1 else (reading.background,) * 3
    start = (side - reading.size) // 2
    decode = _DECODE.format(
        mode=mode, white=exact(_white(reading)), background=reading.background, side=side, channels=reading.channels,
        square=_SQUARE[reading.fit].format(side=side, mode=mode, ground=ground),
        squared="image" if reading.fit == "pad" else _RESIZED.format(side=side),
        centre=_CENTRE.format(start=start, end=start + reading.size) if side != reading.size else "",
    ).rstrip()  # fmt: skip
    if member is None or member.timm is None or not about.baked:
        return _PROGRAM.format(decode=decode)
    made = member.timm
    return _TIMM.format(
        name=made.name,
        arguments=", ".join(f"{key}={value!r}" for key, value in made.arguments.items()),
        weights=member.weights,
        decode=decode,
        resize=_RESIZE.format(resize=made.resize) if made.resize else "",
        adjust=_ADJUST if about.posthoc is not None else "",
    )


def _files(about: Description) -> Iterator[str]:
    yield "## Files"
    yield ""
    yield "| file | content |"
    yield "|---|---|"
    for member in about.members:
        yield f"| {member.weights} | weights, as safetensors{'' if member.timm is None else f': {member.timm.name} of timm'} |"
    if about.posthoc is not None:
        yield "| posthoc.safetensors | what the posthoc was fitted to, if anything, and what it knows of the classifier |"
    for form in about.forms:
        kind = "for `torch.export.load`" if form.file.endswith(".pt2") else "for ONNX runtimes"
        yield (
            f"| {form.file} | the whole model {kind}: images uint8 [N, {about.reading.channels}, {about.reading.size}, "
            f"{about.reading.size}] -> probabilities [N, {len(about.classes)}]; largest difference on test images "
            f"{form.largest_difference:.2g} |"
        )
    yield "| model.json | everything else, for programs |"


def _number(value: float | None, column: Column) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f}" if column.unit == "percent" else f"{value:.3f}"


def _text(text: object) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    flat = " ".join(str(text).split())
    for mark in "\\`*_|<[":
        flat = flat.replace(mark, f"\\{mark}")
    return flat
