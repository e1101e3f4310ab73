"""Reading class folders of images: what is there, in a fixed order, and a clear line for faults."""

import hashlib
import io
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pipeline.core.errors import DataError
from pipeline.data.dataset import read_dataset
from pipeline.data.image_file import read_image
from pipeline.data.image_folder import FileSplit

Pixels = npt.NDArray[np.uint8]
NO_OPTIONS: Mapping[str, Any] = {}
RED, GREEN, GREY = (255, 0, 0), (0, 255, 0), (7, 7, 7)


def picture(
    colour: tuple[int, ...] = RED, mode: str = "RGB", size: tuple[int, int] = (3, 2)
) -> Image.Image:
    """A picture of one colour, as wide and high as `size`."""
    return Image.new(mode, size, colour if len(colour) > 1 else colour[0])


def save(
    path: Path, image: Image.Image, kind: str = "PNG", options: Mapping[str, Any] = NO_OPTIONS
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of red and green pictures, 3 wide and 2 high."""
    for split, count in (("train", 4), ("test", 2)):
        for name, colour in (("tomato", RED), ("apple", GREEN)):
            for number in range(count):
                save(tmp_path / split / name / f"{number}.png", picture(colour))
    return tmp_path


def read(folder: Path, image_size: list[int] | None = None) -> tuple[Pixels, list[int]]:
    """All training images and their labels."""
    train = read_dataset(folder, image_size).train
    images, labels = train.read(0, len(train))
    return images, labels.tolist()


def fault(folder: Path, image_size: list[int] | None = None) -> str:
    """Return the message of the `DataError` of reading all, without the folder's path."""
    with pytest.raises(DataError) as caught:
        read(folder, image_size)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "").replace(str(folder), "HERE")


def test_class_folders_without_splits_are_split_by_class_in_the_order_of_md5(
    folder: Path,
) -> None:
    whole = folder / "train"  # 4 tomatoes, 4 apples
    for number in range(4, 10):
        save(whole / "apple" / f"{number}.png", picture(GREEN))
    dataset = read_dataset(whole, None, 0.25)
    test, train = (
        split.read(0, len(split)).labels.tolist() for split in (dataset.test, dataset.train)
    )
    assert (test.count(0), test.count(1)) == (2, 1)
    assert (train.count(0), train.count(1)) == (8, 3)

    def digest(name: str) -> bytes:
        return hashlib.md5(name.encode()).digest()

    apples = sorted((f"apple/{number}.png" for number in range(10)), key=digest)
    tomatoes = sorted((f"tomato/{number}.png" for number in range(4)), key=digest)
    expected = {"test": apples[:2] + tomatoes[:1], "train": apples[2:] + tomatoes[1:]}
    for name, split in (("test", dataset.test), ("train", dataset.train)):
        assert isinstance(split, FileSplit)
        found = ["/".join(file.parts[-2:]) for file in split.files]
        assert found == sorted(expected[name], key=digest)


def test_what_cannot_be_split_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"so prepare\.test_fraction in params\.yaml must be null"):
        read_dataset(folder, None, 0.25)
    whole = folder / "train"
    with pytest.raises(DataError, match=r"class folders without train and test are split by prep"):
        read_dataset(whole, None)
    for number in (1, 2, 3):
        (whole / "apple" / f"{number}.png").unlink()
    with pytest.raises(
        DataError, match=r"apple: has one image; it takes two, to train and to test"
    ):
        read_dataset(whole, None, 0.25)


def test_classes_are_sorted_and_images_keep_their_labels(folder: Path) -> None:
    dataset = read_dataset(folder, None)
    images, labels = read(folder)

    assert dataset.classes == ["apple", "tomato"]
    assert (len(dataset.train), len(dataset.test)) == (8, 4)
    assert images.shape == (8, 2, 3, 3)
    assert images.dtype == np.uint8
    assert sorted(labels) == [0] * 4 + [1] * 4
    for image, label in zip(images, labels, strict=True):
        assert (image == (RED if label else GREEN)).all()


def test_order_is_that_of_the_md5_of_the_paths(folder: Path) -> None:
    paths = [f"{name}/{number}.png" for name in ("apple", "tomato") for number in range(4)]
    expected = sorted(paths, key=lambda path: hashlib.md5(path.encode()).digest())

    _, labels = read(folder)

    assert labels == [int(path.startswith("tomato")) for path in expected]
    assert labels not in (sorted(labels), sorted(labels, reverse=True))


def test_another_image_moves_none_of_the_others(folder: Path) -> None:
    _, before = read(folder)
    save(folder / "train/apple/new.png", picture(GREEN))

    _, after = read(folder)

    assert any(after[:place] + after[place + 1 :] == before for place in range(9))


def test_only_the_images_that_are_asked_for_are_opened(folder: Path) -> None:
    for path in folder.glob("test/*/*"):
        path.write_bytes(b"no image")

    images, _ = read_dataset(folder, None).train.read(2, 5)

    assert len(images) == 3


@pytest.mark.parametrize("ending", ["png", "PNG", "jpg", "JPG", "jpeg", "JPEG", "JpEg"])
def test_endings_are_read_in_either_case(folder: Path, ending: str) -> None:
    kind = "PNG" if ending.lower() == "png" else "JPEG"
    save(folder / f"train/apple/more.{ending}", picture(GREEN), kind)

    images, _ = read(folder)

    assert len(images) == 9


def test_hidden_files_are_skipped(folder: Path) -> None:
    for path in (".DS_Store", "train/.DS_Store", "train/apple/.DS_Store"):
        (folder / path).touch()
    (folder / "README.md").write_text("Where it is from")

    assert len(read(folder)[1]) == 8


# Each of these holds two pixels side by side; what they are in grey, or in red, green and blue.
def palette(*colours: int) -> Image.Image:
    image = Image.new("P", (2, 1))
    image.putpalette(colours)
    image.putdata([0, 1])
    return image


def pixels(mode: str, *values: float | tuple[int, ...]) -> Image.Image:
    image = Image.new(mode, (2, 1))
    image.putdata([*values])  # type: ignore[arg-type]  # one number or one tuple for each pixel
    return image


HARMLESS = {
    "black and white": (pixels("1", 0, 255), [[0], [255]]),
    "grey": (pixels("L", 3, 200), [[3], [200]]),
    "grey, opaque": (pixels("LA", (3, 255), (200, 255)), [[3], [200]]),
    "grey palette": (palette(5, 5, 5, 9, 9, 9), [[5], [9]]),
    "colour palette": (palette(5, 6, 7, 9, 9, 9), [[5, 6, 7], [9, 9, 9]]),
    "colour": (pixels("RGB", (1, 2, 3), (4, 5, 6)), [[1, 2, 3], [4, 5, 6]]),
    "colour, opaque": (pixels("RGBA", (1, 2, 3, 255), (4, 5, 6, 255)), [[1, 2, 3], [4, 5, 6]]),
}


@pytest.mark.parametrize(("image", "expected"), HARMLESS.values(), ids=HARMLESS)
def test_pixels_are_those_of_the_file(
    tmp_path: Path, image: Image.Image, expected: list[list[int]]
) -> None:
    for path in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"):
        save(tmp_path / path, image)

    images, _ = read(tmp_path)

    assert images[0].tolist() == [expected]


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side: the first row is the right column
    for path in ("train/a/1.jpg", "train/b/1.jpg", "test/a/1.jpg", "test/b/1.jpg"):
        save(tmp_path / path, picture(size=(30, 20)), "JPEG", {"exif": exif})

    assert read(tmp_path)[0].shape == (2, 30, 20, 3)


def test_images_are_resized_if_that_is_asked_for(folder: Path) -> None:
    save(folder / "train/apple/large.png", picture(GREEN, size=(60, 80)))

    images, labels = read(folder, [4, 5])

    assert images.shape == (9, 4, 5, 3)
    assert (images[labels.index(0)] == GREEN).all()


def test_shrinking_skips_no_pixel(tmp_path: Path) -> None:
    # A fine chessboard, of which every second pixel alone would be black or white.
    board = Image.fromarray((255 * (np.indices((16, 16)).sum(axis=0) % 2)).astype(np.uint8))
    for path in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"):
        save(tmp_path / path, board)

    images, _ = read(tmp_path, [4, 4])

    assert np.abs(images.astype(int) - 127.5).max() < 20


def test_260_classes_need_two_bytes_for_a_label(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in range(260):
            save(tmp_path / split / f"{label:03}" / "1.png", picture((7,), "L"))

    test = read_dataset(tmp_path, None).test
    labels = test.read(0, len(test)).labels

    assert labels.dtype == np.uint16
    assert sorted(labels.tolist()) == list(range(260))


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change the bytes of one image."""

    def apply(folder: Path) -> None:
        path = folder / "train/apple/2.png"
        path.write_bytes(change(path.read_bytes()))

    return apply


def replace(
    image: Image.Image, kind: str = "PNG", options: Mapping[str, Any] = NO_OPTIONS
) -> Callable[[Path], None]:
    """Put another image in place of one."""

    def apply(folder: Path) -> None:
        save(folder / "train/apple/2.png", image, kind, options)

    return apply


def remove(*paths: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for path in paths:
            shutil.rmtree(folder / path)

    return apply


def empty(path: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for file in (folder / path).iterdir():
            file.unlink()

    return apply


def add(path: str, copies: str = "train/apple/1.png") -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes((folder / copies).read_bytes())

    return apply


def png_of_16_bits() -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.full((2, 3), 40_000, np.uint16)).save(content, "PNG")
    return content.getvalue()


def animation() -> bytes:
    content = io.BytesIO()
    first, second = (Image.new("RGB", (3, 2), colour) for colour in ("red", "blue"))
    first.save(content, "PNG", save_all=True, append_images=[second])
    return content.getvalue()


def huge_png() -> bytes:
    """A PNG of 3x2 pixels whose header says that it has 20,000 times 10,000."""
    content = io.BytesIO()
    Image.new("L", (3, 2)).save(content, "PNG")
    header = b"IHDR" + struct.pack(">2I", 20_000, 10_000) + content.getvalue()[24:29]
    return (
        content.getvalue()[:12]
        + header
        + struct.pack(">I", zlib.crc32(header))
        + content.getvalue()[33:]
    )


def png(width: int, height: int, kind: int, lines: list[bytes], interlaced: int = 0) -> bytes:
    """A PNG of 8 bits per channel with these lines, as the specification lays it out."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">2I5B", width, height, 8, kind, 0, 0, interlaced)
    data = zlib.compress(b"".join(b"\0" + line for line in lines))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def link(path: str, target: str) -> Callable[[Path], None]:
    """Put a link in place of what is there."""

    def apply(folder: Path) -> None:
        if (folder / path).exists():
            (folder / path).rename(folder / target)
        (folder / path).symlink_to(folder / target)

    return apply


def make_fifo(path: str) -> Callable[[Path], None]:
    return lambda folder: os.mkfifo(folder / path)


def write(path: str, text: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / path).write_text(text)

    return apply


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


IMAGE = "train/apple/2.png"
FAULTS: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "no image": (rewrite(lambda _: b"<html>"), f"{IMAGE}: is not a PNG or JPEG image"),
    "empty": (rewrite(lambda _: b""), f"{IMAGE}: is not a PNG or JPEG image"),
    "bit": (rewrite(lambda content: flip(content, 45)), f"{IMAGE}: is damaged ("),
    "cut": (rewrite(lambda content: content[:-20]), f"{IMAGE}: is damaged ("),
    "gif": (replace(picture(), kind="GIF"), f"{IMAGE}: is not a PNG or JPEG image"),
    "16 bits": (rewrite(lambda _: png_of_16_bits()), f"{IMAGE}: has 16 bits per channel; save"),
    "animation": (rewrite(lambda _: animation()), f"{IMAGE}: is an animation of 2 images; save"),
    "huge": (rewrite(lambda _: huge_png()), f"{IMAGE}: has more than 178,956,970 pixels; make it"),
    "transparent": (
        replace(picture((1, 2, 3, 254), "RGBA")),
        f"{IMAGE}: is transparent in places; save it on a background",
    ),
    "transparent colour": (
        replace(picture(GREY), options={"transparency": GREY}),
        f"{IMAGE}: is transparent in places; save it on a background",
    ),
    "printing colours": (
        replace(picture((1, 2, 3, 4), "CMYK"), kind="JPEG"),
        f"{IMAGE}: has colours of the kind CMYK; save it as RGB",
    ),
    "size": (
        replace(picture(size=(3, 3))),
        "2x3, colour; prepare.image_size in params.yaml resizes all to one size",
    ),
    "channels": (replace(picture((9,), "L")), "save all as grey or all as colour images"),
    "stray file": (add("train/apple/a.txt"), "train/apple/a.txt: is not a .png, .jpg or .jpeg"),
    "folder": (add("train/apple/more/1.png"), "train/apple/more: is not a .png, .jpg or .jpeg"),
    "image beside classes": (add("test/1.png"), "test/1.png: lies beside the folders of classes"),
    "rows": (
        rewrite(lambda _: png(3, 2, 2, [bytes(RED) * 3])),
        f"{IMAGE}: is damaged (its last rows are missing)",
    ),
    "formula": (
        add("train/=cmd/1.png"),
        "HERE: the name of the class '=cmd' starts with =, so that a spreadsheet would run it as a",
    ),
    "turned name": (add("train/a\u202eb/1.png"), "has the character U+202E, which is not allowed"),
    "linked class": (link("train/apple", ".apple"), "train/apple: is a link to a folder, whose"),
    "linked split": (link("test", ".test"), "test: is a link to a folder, whose changes DVC would"),
    "link to nothing": (
        link("train/apple/9.png", ".9"),
        "train/apple/9.png: is not a file, or is a broken link",
    ),
    "FIFO": (
        make_fifo("train/apple/9.png"),
        "train/apple/9.png: is not a file, or is a broken link",
    ),
    "FIFO beside": (
        make_fifo("classes.txt"),
        "classes.txt: is not a file, or is a broken link; remove",
    ),
    "hidden by DVC": (
        write("train/.dvcignore", "apple\n"),
        "train/.dvcignore: hides data from DVC",
    ),
    "third split": (add("val/apple/1.png"), "val: is not used, as images are taken from train"),
    "empty class": (empty("train/apple"), "train/apple: has no images; add some"),
    "empty split": (remove("test/apple", "test/tomato"), "test: has no folders of classes"),
    "no split": (remove("test"), "test: no such folder; it must have a folder of images for each"),
    "class of one split": (
        add("train/pear/1.png"),
        "train/pear: there is no class pear in test; both splits must have the same classes",
    ),
    "class of the other": (
        add("test/pear/1.png"),
        "test/pear: there is no class pear in train; both splits must have the same classes",
    ),
    "case": (
        add("train/Apple/1.png"),
        "HERE: the classes apple and Apple differ in case or in the writing of accents only",
    ),
    "case of splits": (
        add("test/TOMATO/1.png"),
        "HERE: the classes tomato and TOMATO differ in case or in the writing of accents only",
    ),
    "name": (
        add("train/a\tb/1.png"),
        r"HERE: the name of the class 'a\tb' has the character U+0009, which is not allowed",
    ),
    "undecodable name": (add("train/\udcff/1.png"), r"HERE: the name of the class '\udcff' has"),
    "both layouts": (add("t10k-labels-idx1-ubyte"), "HERE: has IDX files and also a folder train"),
}


@pytest.mark.parametrize(("spoil", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_are_told(folder: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder)

    assert message in fault(folder)


@pytest.mark.parametrize("hidden", ["apple", "**/test/*/1.png"])
def test_what_dvc_is_told_to_overlook_is_no_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch, hidden: str
) -> None:
    monkeypatch.chdir(folder.parent)
    Path(".dvcignore").write_text(f"*~\n{hidden}\n")
    (folder / "notes~").touch()  # which no reader takes for data

    assert "DVC would not see its changes, because of .dvcignore" in fault(folder)
    Path(".dvcignore").write_text("*~\n")
    assert len(read(folder)[1]) == 8


def test_linked_file_and_linked_data_set_are_read(folder: Path, tmp_path: Path) -> None:
    """DVC follows both: tests/end_to_end/test_linked_data.py."""
    file = folder / "train/apple/1.png"
    file.rename(tmp_path / "elsewhere.png")
    file.symlink_to(tmp_path / "elsewhere.png")
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(folder, target_is_directory=True)

    assert read(link)[1] == read(folder)[1]


# The pass of each pixel, in squares of 8x8: PNG specification, 8.2.
ADAM7 = ["16462646", "77777777", "56565656", "77777777"]
ADAM7 += ["36463646", *ADAM7[1:]]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (8, 8), (13, 11)])
def test_all_rows_of_an_interlaced_png_are_found(tmp_path: Path, width: int, height: int) -> None:
    lines = []
    for number in "1234567":
        for y in range(height):
            count = sum(ADAM7[y % 8][x % 8] == number for x in range(width))
            lines += [b"\xff" * count] * bool(count)
    path = tmp_path / "1.png"

    path.write_bytes(png(width, height, 0, lines, interlaced=1))
    assert read_image(path, None).tolist() == [[[255]] * width] * height
    path.write_bytes(png(width, height, 0, [*lines[:-1], lines[-1][:-1]], interlaced=1))
    with pytest.raises(DataError, match="is damaged"):
        read_image(path, None)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_all_rows_of_any_png_are_found(tmp_path: Path, mode: str) -> None:
    image = Image.new("L", (13, 11), 255).convert(mode)

    assert read_image(save(tmp_path / "1.png", image), None).min() == 255


def test_first_picture_of_a_camera_with_several_views_is_read(tmp_path: Path) -> None:
    views = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    options = {"save_all": True, "append_images": views[1:], "quality": 100}
    image = read_image(save(tmp_path / "1.jpg", views[0], "MPO", options), None)

    assert np.abs(image.astype(int) - RED).max() < 5


def test_disagreeing_images_are_both_named(folder: Path) -> None:
    save(folder / "train/apple/2.png", picture(size=(3, 3)))

    message = fault(folder)

    assert message.count("train/") == 2
    assert "train/apple/2.png" in message


def test_folder_without_data_is_told_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()

    assert fault(tmp_path).startswith("HERE: has no data set; expected four IDX files")


def test_one_class_is_none_to_tell_apart(folder: Path) -> None:
    remove("train/tomato", "test/tomato")(folder)

    assert fault(folder).startswith("HERE: has one class only")
