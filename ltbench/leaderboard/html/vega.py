"""The charting library: Vega, Vega-Lite and Vega-Embed, as the package `vl-convert-python` bundles them."""

from __future__ import annotations

from functools import cache

from ltbench.errors import MissingExtra


@cache
def library() -> str:
    """Return the library as JavaScript that sets `vegaEmbed`. Raises `MissingExtra` where it is not there."""
    try:
        import vl_convert
    except ModuleNotFoundError:
        raise MissingExtra.of("a report", "vl-convert-python", "report") from None
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
