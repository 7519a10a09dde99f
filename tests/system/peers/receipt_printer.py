"""A receipt printer that is none of ours: the simulator `emupos` (PyPI), on a free loopback port.

For the system tests: it interprets ESC/POS, answers status questions, holds data while it is out of paper or open, and
draws each slip as a picture. Run it with the Python that has emupos (scripts/setup test puts it into target/python):

    target/python/bin/python tests/system/peers/receipt_printer.py --folder FOLDER

Prints one line of JSON once it can be dialled, and one for each slip; ends with SIGTERM or SIGINT:

    {"printer": "127.0.0.1:PORT", "control": "127.0.0.1:PORT"}
    {"slip": 1, "text": "…", "boundary": "cut", "qr": ["…"], "png": "FOLDER/slip-1.png", "unknown": []}

`text` is what the printer printed, `qr` what OpenCV reads off the picture, `unknown` the commands emupos does not know. The
control port takes lines such as `paper-out on`, `cover-open off`, and answers `ok`.

What emupos 0.4.0 does not have is added here: Chinese mode (it draws and dumps one byte as one character; a domestic
printer takes two or four bytes of GB18030 as one, twice as wide, and starts in that mode). Lengths of commands, sizes, places,
codes, cuts, status and faults are emupos's own. It is written for Python 3.13; three forms of its type annotations are
rewritten as it is loaded, so that 3.11 takes them.
"""

import argparse
import asyncio
import importlib.abc
import importlib.machinery
import json
import pathlib
import re
import signal
import sys

import cv2
import numpy
from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"


class OlderPython(importlib.machinery.SourceFileLoader):
    """Loads a module of Python 3.13 whose new syntax is in its types only."""

    def source_to_code(self, data, path, *, _optimize=-1):
        text = data.decode()
        text = re.sub(r"(?m)^type (\w+) = ", r"\1 = ", text)
        text = re.sub(r"(?m)^def (\w+)\[(\w+)\]\(", r"\2 = __import__('typing').TypeVar('\2')\ndef \1(", text)
        return super().source_to_code(text.encode(), path, _optimize=_optimize)


class EmuposFinder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] != "emupos":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = OlderPython(name, spec.origin)
        return spec


if sys.version_info < (3, 13):
    # What is compiled from the rewritten source must not be taken for the original's.
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, EmuposFinder())

import yaml  # noqa: E402

import emupos  # noqa: E402
from emupos.config import PrinterProfile  # noqa: E402
from emupos.events import EventType  # noqa: E402
from emupos.printer import printer as device  # noqa: E402
from emupos.printer.escpos.model import PrintModel  # noqa: E402
from emupos.printer.escpos.render import scale  # noqa: E402
from emupos.printer.escpos.tokenizer import Command, Text  # noqa: E402


def length(data):
    """How many bytes of GB18030 the character at the start takes; 0 = not yet known."""
    if data[0] < 0x81 or data[0] == 0xFF:
        return 1
    if len(data) < 2:
        return 0
    if 0x30 <= data[1] <= 0x39:
        return 4 if len(data) >= 4 else 0
    return 2


class ChineseModel(PrintModel):
    """emupos's print model with Chinese mode, on as a domestic printer has it after switching on."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.chinese = True
        self.rest = b""
        self.font = ImageFont.truetype(FONT, 22)

    def process(self, token):
        if not isinstance(token, Text):
            self.rest = b""
        if isinstance(token, Command) and token.name in ("FS &", "FS .", "ESC @"):
            self.chinese = token.name != "FS ."
        return super().process(token)

    def _print_text(self, data):
        if not self.chinese:
            return super()._print_text(data)
        data, self.rest = self.rest + data, b""
        while data:
            size = length(data)
            if size == 0:
                self.rest = data
                return
            one, data = data[:size], data[size:]
            if size == 1:
                super()._print_text(one)
            else:
                self.print_wide(one.decode("gb18030", errors="replace"))

    def print_wide(self, character):
        """A character of two cells, as large and bold as the settings say."""
        settings, cell = self.settings, self._profile.font_a
        width, height = cell.width * 2, cell.height
        image = Image.new("1", (width, height), 255)
        draw = ImageDraw.Draw(image)
        for shift in range(2 if settings.emphasized else 1):
            draw.text((1 + shift, -2), character, font=self.font, fill=0)
        image = scale(image, settings.width, settings.height)
        if self.receipt.position + image.width > self._print_area.width and not self.receipt.at_line_start:
            self._print_line(settings.line_spacing)
        self.receipt.add_to_line(image, character)


device.PrintModel = ChineseModel


def codes(png):
    """What OpenCV reads off the picture."""
    picture = cv2.imdecode(numpy.frombuffer(png, numpy.uint8), cv2.IMREAD_GRAYSCALE)
    framed = cv2.copyMakeBorder(picture, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
    found, texts, _, _ = cv2.QRCodeDetector().detectAndDecodeMulti(framed)
    return [text for text in texts if text] if found else []


async def main():
    arguments = argparse.ArgumentParser(description="emupos on free loopback ports")
    arguments.add_argument("--folder", type=pathlib.Path, required=True, help="where pictures of slips go")
    asked = arguments.parse_args()
    profile = pathlib.Path(emupos.__file__).parent / "profiles/printers/epson-tm-t20iii.yaml"
    printer = device.Printer(
        "slips",
        PrinterProfile.model_validate(yaml.safe_load(profile.read_text()), strict=False),
        sensor_open_level="high",
        job_idle_timeout_ms=60_000,
    )
    lines, slips, unknown, now = {}, 0, [], asyncio.get_running_loop().time

    def carry_out(output):
        nonlocal slips
        for write in output.writes:
            if write.connection in lines:
                lines[write.connection].write(write.data)
        unknown.extend(e.data["bytes"] for e in output.events if e.type == EventType.PRINTER_COMMAND_UNKNOWN)
        for receipt in output.receipts:
            slips += 1
            path = asked.folder / f"slip-{slips}.png"
            path.write_bytes(receipt.png)
            row = {"slip": slips, "text": receipt.text, "boundary": receipt.boundary, "qr": codes(receipt.png)}
            print(json.dumps({**row, "png": str(path), "unknown": unknown[:]}, ensure_ascii=False), flush=True)
            unknown.clear()

    async def serve(reader, writer):
        name = str(writer.get_extra_info("peername"))
        lines[name] = writer
        carry_out(printer.open_connection(name, now()))
        try:
            while data := await reader.read(4096):
                carry_out(printer.receive(name, data, now()))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            del lines[name]
            carry_out(printer.close_connection(name, now()))
            writer.close()

    async def control(reader, writer):
        while line := await reader.readline():
            fault, state = line.decode().split()
            carry_out(printer.set_fault(device.PrinterFault(fault), state == "on", now()))
            writer.write(b"ok\n")
            await writer.drain()
        writer.close()

    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    servers = [await asyncio.start_server(one, "127.0.0.1", 0) for one in (serve, control)]
    ports = ["127.0.0.1:%d" % server.sockets[0].getsockname()[1] for server in servers]
    print(json.dumps({"printer": ports[0], "control": ports[1]}), flush=True)
    await ended.wait()


asyncio.run(main())
