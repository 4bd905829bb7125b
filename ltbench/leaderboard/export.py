"""Export the numbers of a suite in tidy form, one row per cell and metric (docs/data-format.md)."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from ltbench.columns import BALANCED
from ltbench.core.spec import canonical
from ltbench.costs import is_cost
from ltbench.errors import UsageError
from ltbench.leaderboard.publish import read_facts
from ltbench.leaderboard.tables.csv import csv_text
from ltbench.leaderboard.tuned_rows import shown_records
from ltbench.records.comparability import ROW_STAGES
from ltbench.records.locations import RecordsLocation
from ltbench.records.record import Record
from ltbench.records.verifications import FILE as VERIFIED
from ltbench.records.verifications import VerificationStatus, read_verifications, verification_status

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "json", "parquet"]
TEXTS = ("protocol", "dataset", "profile", "model")
COLUMNS: Final = (
    "cell", *TEXTS, "fingerprint", "imbalance_factor", "subset_seed", "seed", "techniques", *ROW_STAGES, "recipe", "status",
    "provenance", "metric", "class", "class_name", "value",
)  # fmt: skip
_KINDS: Final = {"imbalance_factor": "float64", "subset_seed": "int64", "seed": "int64", "class": "Int64",
                 "value": "float64"}  # fmt: skip
"""Types of the columns that are not text."""


def tidy_table(
    records: Iterable[Record], standing: VerificationStatus, *, per_class: bool = False, ranked_by: str = ""
) -> pd.DataFrame:
    """Return one row per cell and metric, in the order of the records and by name of the metric.

    A failed cell has a single row without a metric. per_class: whether to include numbers per class; ranked_by: by the
    page, whose expected cost is added, as no record has it.
    """
    import pandas as pd

    lines = [
        {**_cell(record, standing), **line}
        for record in records
        for line in _numbers(record, ranked_by, per_class=per_class)
    ]
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.astype({name: _KINDS.get(name, "string") for name in COLUMNS})


def table_of(place: RecordsLocation, *, per_class: bool = False) -> pd.DataFrame:
    """Return the tidy table of a location's records; rows are marked by the verifications beside them.

    Cells of tuned rows are called as on the page, and keep the recipe with the chosen values.
    """
    source = place.records_file()
    records = source.records
    status = VerificationStatus()
    if place.kind != "store":
        status = verification_status(read_verifications(place.file.parent / VERIFIED), source.all_records)
    ranked_by = ""
    if place.kind == "suite":
        ranked_by = read_facts(place.path).metric
        recipes = {record.id: record.recipe for record in records}
        shown = shown_records(place.path, records)
        records = [msgspec.structs.replace(record, recipe=recipes[record.id]) for record in shown]
    return tidy_table(records, status, per_class=per_class, ranked_by=ranked_by)


def encode_table(frame: pd.DataFrame, form: Format) -> bytes:
    """Return a tidy table as CSV, JSON or Parquet; CSV and JSON are the same bytes for the same records.

    Raises `UsageError` naming the extra if pyarrow is missing.
    """
    import pandas as pd

    if form == "csv":
        texts = frame.columns[[isinstance(kind, pd.StringDtype) for kind in frame.dtypes]]
        return str(
            frame.assign(**{name: frame[name].map(csv_text, na_action="ignore") for name in texts}).to_csv(
                index=False, lineterminator="\n"
            )
        ).encode()
    if form == "json":
        # pandas would round to fifteen decimals.
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        return b"[\n" + b",\n".join(map(msgspec.json.encode, rows)) + b"\n]\n"
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError("Parquet needs pyarrow, which is not installed", fix="pip install 'ltbench[parquet]'")
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, engine="pyarrow")
    return buffer.getvalue()


def _cell(record: Record, standing: VerificationStatus) -> dict[str, object]:
    return {
        "cell": record.id,
        "protocol": record.protocol,
        **msgspec.structs.asdict(record.setting),
        "fingerprint": record.fingerprint,
        "techniques": record.label,
        **{stage: record.combination.get(stage) for stage in ROW_STAGES},
        "recipe": canonical(record.recipe).decode(),
        "status": record.status,
        "provenance": "rerun claimed" if standing.covers(record) else "self-reported",
    }


def _numbers(record: Record, ranked_by: str, *, per_class: bool) -> Iterator[Mapping[str, object]]:
    if record.status == "failed":
        yield {}
        return
    # Records from before balanced accuracy was a metric have all that it takes.
    for name in sorted({*record.metrics, *({BALANCED} if record.score(BALANCED) is not None else ())}):
        yield {"metric": name, "value": record.metrics.get(name, record.score(name))}
    if is_cost(ranked_by):
        yield {"metric": ranked_by, "value": record.score(ranked_by)}
    if record.held_out is not msgspec.UNSET:
        for name, value in sorted(record.held_out.metrics.items()):
            yield {"metric": f"held_out.{name}", "value": value}
    for name, value in sorted(record.cost.items()):
        yield {"metric": f"cost.{name}", "value": value}
    if not per_class:
        return
    names = record.data.get("classes", [])
    by_class = {f"per_class.{name}": values for name, values in sorted(record.per_class.items())}
    if record.held_out is not msgspec.UNSET:
        by_class |= {f"held_out.per_class.{name}": values for name, values in sorted(record.held_out.per_class.items())}
    for name, values in by_class.items():
        for number, value in enumerate(values):
            shown = names[number] if number < len(names) else str(number)
            yield {"metric": name, "class": number, "class_name": shown, "value": value}
