"""Every symbol is read back by a decoder that shares no code with the encoder."""

import io
import xml.etree.ElementTree as ET

import pypdfium2
import pytest
import zxingcpp
from PIL import Image, ImageDraw

from app.core.errors import RuleBroken
from app.issuing.artwork import ProofLabel, proof_labels, proof_sheet, qr_png, qr_svg
from tests.unit.issuing.labels import batch
from tests.unit.issuing.vectors import codebook

_URL = "https://check.example.org/q/53402115238423385340"


def _decode(image: Image.Image) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormat.QRCode)]


def _drawn(svg: bytes, *, module_px: int) -> Image.Image:
    """Rasterise the only two things our SVG has: a viewBox and one stroked path of relative runs."""
    root = ET.fromstring(svg)
    size = int(root.get("viewBox", "0").split()[-1])
    image = Image.new("L", (size * module_px, size * module_px), 255)
    draw = ImageDraw.Draw(image)
    (path,) = [element for element in root.iter() if element.tag.endswith("path")]
    x = y = 0.0
    text = path.get("d", "")
    for command in text.replace("M", "\nM ").replace("m", "\nm ").replace("h", "\nh ").split("\n")[1:]:
        name, *numbers = command.split()
        values = [float(number) for number in numbers]
        if name == "M":
            x, y = values
        elif name == "m":
            x, y = x + values[0], y + values[1]
        else:
            top = (y - 0.5) * module_px
            draw.rectangle((x * module_px, top, (x + values[0]) * module_px - 1, top + module_px - 1), fill=0)
            x += values[0]
    return image


@pytest.mark.parametrize("module_px", [2, 8, 20])
def test_a_png_symbol_reads_back(module_px: int) -> None:
    image = Image.open(io.BytesIO(qr_png(_URL, module_px=module_px)))
    assert _decode(image.convert("L")) == [_URL]


def test_a_png_has_four_modules_of_quiet_zone() -> None:
    image = Image.open(io.BytesIO(qr_png(_URL, module_px=1))).convert("L")
    dark = image.point(lambda value: 255 - value).getbbox()
    assert dark == (4, 4, image.width - 4, image.height - 4)


def test_an_svg_symbol_reads_back() -> None:
    svg = qr_svg(_URL)
    assert _decode(_drawn(svg, module_px=6)) == [_URL]
    assert b"class=" not in svg
    assert svg == qr_svg(_URL)


def test_the_error_level_is_at_least_m() -> None:
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(qr_png(_URL))).convert("L"))
    assert found.ec_level in {"M", "Q", "H"}


def test_every_label_of_a_proof_sheet_reads_back() -> None:
    labels = tuple(proof_labels(codebook(), batch(count=20), range(20 * 10**15, 20 * 10**15 + 20)))
    pdf = proof_sheet(labels, title="Batch 7", text="苹果醋 500 ml")
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 2
    seen: list[str] = []
    text = ""
    for page in document:
        seen += _decode(page.render(scale=4).to_pil().convert("L"))
        text += page.get_textpage().get_text_bounded()
    assert sorted(seen) == sorted(label.url for label in labels)
    for label in labels:
        groups = " ".join(label.code[at : at + 4] for at in range(0, 20, 4))
        assert groups in text
        assert str(label.serial) in text
    assert "苹果醋" in text
    document.close()
    assert proof_sheet(labels, title="Batch 7", text="苹果醋 500 ml") == pdf


def test_a_proof_sheet_has_an_end() -> None:
    label = ProofLabel(serial=1, code="0" * 20, url=_URL)
    with pytest.raises(RuleBroken, match="at most 1,000"):
        proof_sheet([label] * 1_001, title="t", text="t")


def test_labels_outside_the_batch_have_no_proof() -> None:
    for labels in (batch(count=5), batch(tag_key_id=None)):
        with pytest.raises(RuleBroken, match="no label"):
            next(proof_labels(codebook(), labels, [20 * 10**15 + 5]))


def test_a_symbol_has_a_sensible_size() -> None:
    with pytest.raises(ValueError, match="pixels"):
        qr_png(_URL, module_px=0)
