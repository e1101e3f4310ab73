"""The zip archive and the HDF5 file in it that a Keras model is saved as."""

import zipfile
from pathlib import Path

import h5py


def require_plain(path: Path) -> None:
    """Check, before a model is unpacked, that nothing in its file grows when it is.

    Keras compresses neither the archive nor the arrays in it, and fills all of them.

    Raises:
        ValueError: something would, or its checksum differs.
        OSError, and what else zipfile and h5py raise: the file is missing or no such archive.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > size:
            raise ValueError(f"made to fill the memory: it would unpack to {unpacked:,} bytes")
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} in it has another checksum")
        for name in archive.namelist():
            if name.endswith(".h5"):
                with archive.open(name) as opened, h5py.File(opened) as weights:
                    _require_plain_arrays(weights)


def _require_plain_arrays(weights: h5py.File) -> None:
    if linked := weights.visititems_links(_find_link):
        raise ValueError(f"{linked} in it is a link")
    if packed := weights.visititems(_find_packed):
        raise ValueError(f"made to fill the memory: {packed} would unpack to more than it takes")


# The first name that is returned ends the visit, which h5py lets no error do.
def _find_link(name: str, link: h5py.HardLink | h5py.SoftLink | h5py.ExternalLink) -> str | None:
    return None if isinstance(link, h5py.HardLink) else name


def _find_packed(name: str, item: h5py.Group | h5py.Dataset) -> str | None:
    is_array = isinstance(item, h5py.Dataset)
    return name if is_array and item.nbytes > item.id.get_storage_size() else None
