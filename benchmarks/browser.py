"""The browser that looks at pages: an installed Chromium or Chrome that meets only this machine."""

import shutil

BROWSERS = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]
# The browser reaches this machine only, and asks nobody for updates. (Root, as in a container,
# cannot have its sandbox, and /dev/shm may be small there. Without a GPU, software draws in 3D.)
BROWSER_OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def installed_browser() -> str | None:
    """Return the command of an installed browser."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)
