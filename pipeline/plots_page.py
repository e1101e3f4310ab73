"""Make the page of `dvc plots show` work without a network."""

import argparse
from pathlib import Path

import vl_convert

from pipeline.core.package import command

PAGE = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<title>Plots</title>
{refresh_tag}
<style>
/* DVC puts the pictures of all revisions into one line, at full size, each after a name. */
div[style*="nowrap"] { display: flex; flex-wrap: wrap; justify-content: center;
  border: 0 !important; white-space: normal !important; }
div[style*="nowrap"] > p { flex-basis: 100%%; }
div[style*="nowrap"] > div { max-width: calc(50%% - 14px); border: 0 !important; }
div[style*="nowrap"] > div:only-of-type { max-width: 800px; }
img { max-width: 100%%; }
</style>
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
    parser = argparse.ArgumentParser(prog=command("plots_page"), description=__doc__)
    parser.add_argument("path", type=Path, help="where to write it")
    parser.parse_args().path.write_text(build_page(), encoding="utf-8")
