"""The name of this package, which is spelled only where Python, DVC and make need it."""

PACKAGE = __name__.partition(".")[0]


def command(module: str, *arguments: str) -> str:
    """Return what people type to run a module of the package, as messages show it."""
    return " ".join(["python -m", f"{PACKAGE}.{module}", *arguments])
