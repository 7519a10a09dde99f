"""A relay made of GStreamer's own elements, for comparison: RTSP over TCP in, H.264 byte stream over TCP out to any
number of viewers. Arguments: a folder for idle.json, go and ports.json, then the cameras' URLs."""

import json
import os
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

folder, urls = sys.argv[1], sys.argv[2:]


def write(name, value):
    part = os.path.join(folder, name + ".part")
    with open(part, "w", encoding="ascii") as file:
        json.dump(value, file)
    os.rename(part, os.path.join(folder, name))


Gst.init(None)
write("idle.json", True)
while not os.path.exists(os.path.join(folder, "go")):
    time.sleep(0.005)

# latency=0: no jitter buffer's wait, as is right over TCP. sync=false: sent on as soon as it is there. A newcomer gets
# the last key frame at once; one who falls behind is set to the next key frame.
line = " ".join(
    f"rtspsrc location={url} protocols=tcp latency=0 ! rtph264depay ! h264parse config-interval=-1 "
    "! video/x-h264,stream-format=byte-stream,alignment=au "
    f"! tcpserversink name=sink{number} host=127.0.0.1 port=0 sync=false async=false sync-method=latest-keyframe "
    "recover-policy=keyframe buffers-soft-max=75 buffers-max=150 time-min=2200000000"
    for number, url in enumerate(urls)
)
pipeline = Gst.parse_launch(line)
pipeline.set_state(Gst.State.PLAYING)
sinks = [pipeline.get_by_name(f"sink{number}") for number in range(len(urls))]
while any(sink.get_property("current-port") == 0 for sink in sinks):
    time.sleep(0.002)
write("ports.json", [sink.get_property("current-port") for sink in sinks])


def failed(_bus, message):
    error, detail = message.parse_error()
    raise SystemExit(f"{error} {detail}")


pipeline.get_bus().add_signal_watch()
pipeline.get_bus().connect("message::error", failed)
GLib.MainLoop().run()
