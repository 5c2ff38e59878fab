"""The measures of OTLP's data points, as the object `metric` among an event's properties.

A gauge and a sum have a `value`; a histogram, an exponential histogram and a summary have `count` and `sum`, mostly `min` and `max`, and
the buckets or quantiles as lists. `value` stands within `metric` and not by itself, because a property `value` counts as revenue.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from almanac.core.event import Raw

if TYPE_CHECKING:
    from almanac.ingest.protocols.otlp_sender import Form

SORTS: Final = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
_TEMPORALITIES: Final = ("", "delta", "cumulative")
_UNTOLD: Final = 1  # the flag of a point that says only that there is no value


def of(form: Form, metric: Any) -> Iterator[tuple[Any, str, Any]]:
    """The data points of a metric, each with the metric and its sort."""
    for sort in SORTS:
        data = form.given(metric, sort)
        if data is not None:
            for point in data.data_points:
                yield metric, sort, point


def measures(form: Form, metric: Any, sort: str, point: Any) -> dict[str, Any]:
    """What a point measured."""
    data = form.given(metric, sort)
    said: dict[str, Any] = {"type": sort}
    if metric.unit:
        said["unit"] = metric.unit
    if sort in ("gauge", "sum"):
        found = amount(form, point)
        if found is not None and not point.flags & _UNTOLD:
            said["value"] = found
    else:
        said["count"] = form.whole(point.count)
        for name in ("sum",) if sort == "summary" else ("sum", "min", "max"):
            found = point.sum if sort == "summary" else form.given(point, name)
            if found is not None:
                said[name] = form.number(found)
        _DETAILS[sort](form, point, said)
    if sort not in ("gauge", "summary") and data.aggregation_temporality:
        said["temporality"] = word(form.whole(data.aggregation_temporality), _TEMPORALITIES, "AGGREGATION_TEMPORALITY_")
    if sort == "sum":
        said["monotonic"] = data.is_monotonic
    return said


def _histogram(form: Form, point: Any, said: dict[str, Any]) -> None:
    if point.bucket_counts:
        said["bounds"] = [form.number(bound) for bound in point.explicit_bounds]
        said["buckets"] = [form.whole(count) for count in point.bucket_counts]


def _exponential(form: Form, point: Any, said: dict[str, Any]) -> None:
    said["scale"], said["zero_count"] = point.scale, form.whole(point.zero_count)
    if point.zero_threshold:
        said["zero_threshold"] = form.number(point.zero_threshold)
    for side in ("positive", "negative"):
        buckets = form.given(point, side)
        if buckets is not None and (buckets.offset or buckets.bucket_counts):
            said[side] = {"offset": buckets.offset, "buckets": [form.whole(count) for count in buckets.bucket_counts]}


def _summary(form: Form, point: Any, said: dict[str, Any]) -> None:
    if point.quantile_values:
        said["quantiles"] = [{"quantile": form.number(each.quantile), "value": form.number(each.value)} for each in point.quantile_values]


_DETAILS: Final = {"histogram": _histogram, "exponential_histogram": _exponential, "summary": _summary}


def amount(form: Form, point: Any) -> Any:
    """The value of a number point or an exemplar; None when there is none."""
    found = form.given(point, "as_double")
    if found is not None:
        return form.number(found)
    found = form.given(point, "as_int")
    return None if found is None else form.whole(found)


def word(code: Any, words: Sequence[str], prefix: str) -> Any:
    """An enumeration's word for a number; its own name, when it came as that, in the same form."""
    if type(code) is str:
        return code.removeprefix(prefix).lower()
    return words[code] if 0 <= code < len(words) else code


def entities(references: Any) -> Any:
    """What the resource says of the entities that it stands for, as JSON."""
    if isinstance(references, Raw):
        return references
    return [
        {"schema_url": each.schema_url, "type": each.type, "id_keys": [*each.id_keys], "description_keys": [*each.description_keys]}
        for each in references
    ]


def base64_of(data: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode("ascii")
