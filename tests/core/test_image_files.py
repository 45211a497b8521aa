"""Image files of every kind that people have: what is read, and what is refused."""

from __future__ import annotations

import io
from contextlib import suppress

import numpy as np
import pytest
from opening import as_file
from opening import opened as opened
from opening import small as small
from PIL import Image, ImageOps

import zoo
from zoo.data import images
from zoo.errors import InputError


@pytest.fixture
def same_of_both(opened):
    """A file and its Pillow image, which stays as it is, give what an upright RGB image gives."""

    def check(path, expected: Image.Image, size=(12, 16)):
        image = opened(path)
        before = image.mode, image.size, image.tobytes(), dict(image.getexif())
        for channels in (3, 1):
            wanted = images.load(expected, size, channels, {**images.USUAL, "crop": 1})
            for same in (path, image, opened(path), image.copy()):
                found = images.load(same, size, channels, {**images.USUAL, "crop": 1})
                assert np.array_equal(found, wanted)
        assert (image.mode, image.size, image.tobytes(), dict(image.getexif())) == before

    return check


#: Orientation of EXIF -> how to turn the stored image to see it upright, as EXIF 2.32 has it.
UPRIGHT = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("kind", ["png", "jpg", "tiff", "webp"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_an_orientation_is_applied_to_files_and_images(
    orientation, kind, small, tmp_path, same_of_both, opened
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = opened(as_file(small, tmp_path / f"stored.{kind}")).convert("RGB")
    path = as_file(small, tmp_path / f"turned.{kind}", exif=exif)
    upright = Image.fromarray(np.ascontiguousarray(UPRIGHT[orientation](np.asarray(stored))))
    same_of_both(path, upright, size=(upright.height, upright.width))


@pytest.mark.parametrize("kind", ["png", "gif", "tiff"])
def test_a_palettes_colors(kind, small, tmp_path, same_of_both):
    palette = small.quantize(200)
    same_of_both(as_file(palette, tmp_path / f"p.{kind}"), palette.convert("RGB"))


@pytest.mark.parametrize("transparency", [5, bytes(range(0, 200))], ids=["one", "of each color"])
def test_a_palettes_transparency_is_ignored(transparency, small, tmp_path, same_of_both, opened):
    palette = small.quantize(200)
    path = as_file(palette, tmp_path / "p.png", transparency=transparency)
    assert "transparency" in opened(path).info
    same_of_both(path, palette.convert("RGB"))


@pytest.mark.parametrize("kind", ["png", "webp", "tiff"])
def test_transparency_is_ignored(kind, small, tmp_path, same_of_both):
    """Pixels show the colors that are stored, as in the loaders of torchvision and Keras."""
    clear = small.copy()
    clear.putalpha(Image.fromarray(np.arange(192, dtype=np.uint8).reshape(12, 16)))
    options = {"lossless": True, "exact": True} if kind == "webp" else {}
    same_of_both(as_file(clear, tmp_path / f"clear.{kind}", **options), small)
    with_key = as_file(small, tmp_path / "key.png", transparency=small.getpixel((0, 0)))
    same_of_both(with_key, small)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_gray_images_have_three_equal_channels(mode, small, tmp_path, same_of_both):
    gray = small.convert("L").convert(mode)
    same_of_both(as_file(gray, tmp_path / "gray.png"), gray.convert("L").convert("RGB"))


@pytest.mark.parametrize("kind", ["jpg", "tiff"])
def test_inks_are_converted_as_pillow_does(kind, small, tmp_path, opened):
    path = as_file(small.convert("CMYK"), tmp_path / f"inks.{kind}")
    stored = opened(path)
    assert stored.mode == "CMYK"
    expected = images.load(stored.convert("RGB"), (12, 16))
    for image in (path, stored):
        assert np.array_equal(images.load(image, (12, 16)), expected)


@pytest.mark.parametrize(
    "mode", ["YCbCr", "LAB", "HSV", "La", "RGBa", "PA", "RGBX", "I;16B", "I;16L", "I"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_other_mode_of_pillow_is_read(mode, channels):
    black = Image.new(mode, (8, 8))
    assert images.load(black, (8, 8), channels).shape == (1, channels, 8, 8)


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tiff"])
def test_the_first_frame_of_an_animation_is_taken(kind, small, tmp_path, same_of_both, opened):
    first = small.quantize(200).convert("RGB")
    others = [ImageOps.invert(first), Image.new("RGB", first.size)]
    options = {"lossless": True} if kind == "webp" else {}
    path = tmp_path / f"moving.{kind}"
    first.save(path, save_all=True, append_images=others, **options)
    assert opened(path).n_frames == 3
    same_of_both(path, first)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bits_are_as_bright_as_8(kind, tmp_path, same_of_both, opened):
    gray = np.arange(64, dtype=np.uint16).reshape(8, 8) * 4
    paths = [tmp_path / f"{bits}.{kind}" for bits in (8, 16)]
    Image.fromarray(gray.astype(np.uint8)).save(paths[0])
    Image.fromarray((gray * 257).astype(np.uint16)).save(paths[1])
    eight, sixteen = (images.load(path, (8, 8)) for path in paths)
    assert np.array_equal(eight, sixteen)
    assert np.array_equal(images.load(opened(paths[1]), (8, 8)), eight)
    same_of_both(paths[1], opened(paths[0]).convert("RGB"), size=(8, 8))


def test_numbers_that_are_no_brightness_are_refused(tmp_path, opened):
    path = as_file(Image.fromarray(np.full((4, 4), 0.5, np.float32)), tmp_path / "f.tiff")
    for image in (path, opened(path), Image.fromarray(np.full((4, 4), -1, np.int32))):
        with pytest.raises(InputError, match="expected an image with 8 or 16 bits per value"):
            images.load(image, (4, 4))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            np.zeros((4, 4, 3)),
            r"expected an image as uint8 \[H, W, 3\], got float64 \[4, 4, 3\]; for values from 0 "
            r"to 1: \(255 \* values\)\.round\(\)\.astype\('uint8'\)",
        ),
        (np.zeros((3, 4, 4), np.float16), "got float16"),
        (np.zeros((4, 4, 3), np.int64), r"expected an image as uint8 \[H, W, 3\], got int64"),
        (np.zeros((4, 4), bool), "got bool"),
        (np.zeros((4, 4, 2), np.uint8), "expected an image as uint8"),
        (np.zeros((3, 9, 9), np.uint8), r"got uint8 \[3, 9, 9\]; move the channels last: values"),
        (np.zeros((0, 4, 3), np.uint8), "expected an image as uint8"),
        (np.zeros(4, np.uint8), r"got uint8 \[4\]"),
        (np.uint8(3), r"got uint8 \[\]"),
        (3, "an image must be a file, a Pillow image or an array, got 3"),
        (None, "an image must be a file, a Pillow image or an array, got None"),
        (io.BytesIO(), "an image must be a file, a Pillow image or an array, got BytesIO"),
        ("no.jpg", "no.jpg: no such file"),
        ("https://example.org/a.jpg", "an address; download the image, and pass its path"),
        (b"no.jpg", "no.jpg: no such file"),
        ("a\0b", "no such file"),
        (b"\xff\xd8" * 10_000, r"^.{,300}: no such file"),
        ("/", "/: not a file"),
        ("/dev/null", "/dev/null: not a file"),
        (__file__, r"cannot be read as an image \(no format that Pillow knows\)"),
        (Image.new("L", (1, 1_000_000)), "an image of 1x1000000 pixels is too narrow to crop"),
        (Image.new("L", (0, 5)), "the image is empty, 0x5 pixels"),
        ([], "expected at least one image, got none"),
        ([np.zeros((4, 4, 3), np.uint8), "no.jpg"], r"image \[1\] of the list: no.jpg: no such"),
        ([[1, 2], [3, 4]], r"image \[0\] of the list: an image must be a file"),
        (np.zeros((2, 3, 9, 9), np.uint8), r"image \[0\] of the list: .* move the channels last"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_image(given, message):
    with pytest.raises(InputError, match=message):
        zoo.preprocess(given, zoo.graph("vgg16"))


def damaged(contents: bytes) -> list[bytes]:
    """A file that ends early, and one with every tenth byte after its beginning changed."""
    changed = bytearray(contents)
    for i in range(len(contents) // 3, len(contents), 10):
        changed[i] ^= 0xFF
    return [b"", contents[:10], contents[: len(contents) // 2], bytes(changed)]


@pytest.mark.parametrize(
    "kind", ["png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm", "tga", "jpeg2000", "ico"]
)
@pytest.mark.filterwarnings("ignore")  # Pillow's own, of damaged metadata
def test_damaged_files_are_refused_or_read(kind, small, tmp_path, opened):
    written = io.BytesIO()
    small.save(written, kind)
    path = tmp_path / "damaged"
    for contents in damaged(written.getvalue()):
        path.write_bytes(contents)
        given = [path]
        with suppress(Exception):  # Pillow's own, if it cannot open the file
            given.append(opened(path))
        for image in given:
            try:
                found = images.load(image, (8, 8))
            except InputError as error:
                assert str(error).startswith(str(path)), error
                assert "\n" not in str(error)
            else:
                assert np.isfinite(found).all()


def test_a_truncated_file_is_refused_whoever_opens_it(tmp_path, opened):
    path = tmp_path / "half.jpg"
    path.write_bytes(images.default().read_bytes()[:5000])
    for image in (path, opened(path)):
        with pytest.raises(InputError, match=r"half\.jpg: cannot be read as an image \(.*truncat"):
            images.load(image, (8, 8))
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"half\.jpg: cannot be read .*\(the file is empty\)"):
        images.load(path, (8, 8))


@pytest.mark.parametrize("side", [10_001, 14_000], ids=["for zoo", "for Pillow"])
@pytest.mark.filterwarnings("ignore:Image size")  # Pillow's own, of what is nearly a bomb
def test_a_bomb_is_refused_before_it_is_decoded(side, tmp_path, monkeypatch, opened):
    path = as_file(Image.new("1", (side, side)), tmp_path / "bomb.png")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda _: pytest.fail("decoded"))
    for image in (path, opened(path)) if side < 13_000 else (path,):
        with pytest.raises(InputError, match=r"bomb\.png: .*(more than 100,000,000|bomb)"):
            images.load(image, (8, 8))
