"""Make the page of `dvc plots show` work without a network."""

import sys
from pathlib import Path

import vl_convert

PAGE = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<title>Plots</title>
{refresh_tag}
<script>%s</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def build_page() -> str:
    """Return a template for DVC's `plots.html_template`, with the Vega libraries in it.

    DVC's own template loads them from a content delivery network.
    """
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return PAGE % script.replace("</script", "<\\/script")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(build_page(), encoding="utf-8")
