"""Versions of ftlab and of the libraries that decide a result, read without importing them."""

from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("torch", "transformers", "peft", "lightning")


def print_versions() -> None:
    """Print ftlab's version, and the libraries' on a second line."""
    print(f"ftlab {_version('ftlab')}")
    print(", ".join(f"{name} {_version(name)}" for name in _LIBRARIES))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"
