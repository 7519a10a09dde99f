"""Slips as `python-escpos` (PyPI) writes them for several printers: bytes that are none of ours.

    target/python/bin/python tests/system/peers/escpos_slips.py

Prints one line of JSON for each slip: {"name": "…", "hex": "…", "number": "…", "business": "…", "waiting": 3,
"time": "2026-11-22T09:01:02", "qr": "…" or null}: the bytes, and what a person reads on the paper.

python-escpos has no Chinese code page, so Chinese text goes out as its raw text, as programs for domestic printers do; all
commands are its own. Stored pictures and symbols are drawn by it and by Pillow.
"""

import json

from escpos.printer import Dummy
from PIL import Image

# Printers of its capability table that differ in what they can do: native QR codes or not, code pages, fonts, width.
PROFILES = ["default", "TM-T88V", "TM-T20II", "TM-P80", "TM-U220B", "NT-5890K", "POS-5890", "ZJ-5870", "Sunmi-V2", "RP326"]
BUSINESSES = ["社会保险", "不动产登记", "税务", "医保（异地）", "㙍塘村证明"]


def picture():
    """A coat of arms, as far as a test needs one: every byte value occurs in it."""
    image = Image.new("1", (256, 48), 1)
    for y in range(48):
        for x in range(256):
            image.putpixel((x, y), (x * (y + 1)) >> 3 & 1)
    return image


def slip(profile, index):
    printer = Dummy(profile=profile)
    encoding = ["gb18030", "gbk"][index % 2]
    business = BUSINESSES[index % (len(BUSINESSES) if encoding == "gb18030" else 4)]
    number = f"{'ABCD'[index % 4]}{index * 37 % 1000:03}"
    # python-escpos draws an unknown feature as a picture, which is one more way to be met.
    native = printer.profile.supports("qrCode")

    def chinese(text):
        printer._raw(text.encode(encoding))

    printer.hw("INIT")
    printer._raw(b"\x1c&")
    printer.image(picture(), impl=["bitImageRaster", "graphics", "bitImageColumn"][index % 3])
    printer.set(align="center", bold=True, double_width=True, double_height=True)
    printer.set(align="center", underline=1)
    chinese("青秀区政务服务中心\n")
    printer.set_with_default(align="center", bold=True, custom_size=True, width=4, height=4)
    printer.textln(number)
    printer.set_with_default(align="left")
    chinese(f"业务：{business}\n")
    if index % 3 == 0:
        # A line in another code page in the middle, as machines with Latin advertising do.
        printer._raw(b"\x1c.")
        printer.charcode("CP437")
        printer.textln("Bienvenu à l'été")
        printer._raw(b"\x1c&")
    chinese("您前面等候人数：")
    printer.text(str(index))
    chinese(" 人\n")
    printer.textln(f"2026-11-22 09:{index:02}:02")
    content = f"450103-01-20261122-{index:05}-X"
    printer.set_with_default(align="center")
    printer.qr(content, native=native, size=4, **({} if native else {"impl": "bitImageRaster"}))
    if index % 2:
        printer.barcode("12345678901", "UPC-A", 64, 2, "BELOW", "A") if printer.profile.supports("barcodeA") else None
    printer.line_spacing(40)
    printer.ln(2)
    printer.buzzer(1, 1) if index % 5 == 0 else None
    printer.cut(mode="PART" if index % 2 and printer.profile.supports("paperPartCut") else "FULL")
    return {
        "name": f"{profile}, {encoding}, {'native' if native else 'drawn'} code",
        "hex": printer.output.hex(),
        "number": number,
        "business": business,
        "waiting": index,
        "time": f"2026-11-22T09:{index:02}:02",
        "qr": content if native else None,
    }


def main():
    for index, profile in enumerate(PROFILES):
        print(json.dumps(slip(profile, index)), flush=True)


main()
