#!/usr/bin/python3
"""An independent RTSP camera: GStreamer's RTSP server, playing a clip endlessly as /main and /sub.

For the system tests: nothing of this project's own RTSP code is in it. Needs the system's Python with python3-gi,
gir1.2-gst-rtsp-server-1.0 and gir1.2-gst-plugins-base-1.0. Prints one line of JSON once it listens:

    {"main": "rtsp://127.0.0.1:PORT/main", "sub": "rtsp://127.0.0.1:PORT/sub"}

It ends with SIGTERM or SIGINT. The clip's own timestamps go on over the loop: the next round starts one frame after
the last, so a viewer sees no jump. multifilesrc with loop=true is no way to do this: every RTP timestamp is then the
same.
"""

import argparse
import json
import signal
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402,F401

PAYLOADERS = {
    "video/x-h264": ("h264parse", "rtph264pay"),
    "video/x-h265": ("h265parse", "rtph265pay"),
    "image/jpeg": ("jpegparse", "rtpjpegpay"),
}


# A tone beside the picture, as a second stream.
SOUND = {
    "aac": "audio/x-raw,rate=16000,channels=1 ! avenc_aac ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "alaw": "audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8",
}


class Clip:
    """The coded pictures of a file's first video track, in decoding order, with their times from 0."""

    def __init__(self, path, rate):
        # H.264 goes as AVC, so that its parameter sets are in the caps and so in the session description.
        line = (
            "filesrc name=file ! parsebin ! capsfilter "
            'caps="video/x-h264,stream-format=avc,alignment=au;video/x-h265,stream-format=hvc1,alignment=au;image/jpeg" '
            "! appsink name=units sync=false max-buffers=0"
        )
        reader = Gst.parse_launch(line)
        reader.get_by_name("file").set_property("location", path)
        sink = reader.get_by_name("units")
        reader.set_state(Gst.State.PLAYING)
        self.units = []
        self.caps = None
        while True:
            sample = sink.try_pull_sample(10 * Gst.SECOND)
            if sample is None:
                break
            self.caps = self.caps or sample.get_caps()
            self.units.append(sample.get_buffer())
        error = reader.get_bus().pop_filtered(Gst.MessageType.ERROR)
        reader.set_state(Gst.State.NULL)
        if not self.units:
            raise SystemExit(f"{path}: no H.264 or H.265 video: {error.parse_error() if error else 'empty'}")
        none = Gst.CLOCK_TIME_NONE
        step = Gst.SECOND * 1000 // round(rate * 1000)
        if any(unit.pts == none for unit in self.units):
            # A bare H.264 byte stream, as drawn footage is written, has no times.
            self.times = [(index * step, index * step) for index in range(len(self.units))]
            self.duration = len(self.units) * step
            return
        if self.units[0].duration not in (0, none):
            step = self.units[0].duration
        # A clip with B-frames begins showing later than it begins decoding; Matroska gives no decoding time at all.
        first = min(unit.pts for unit in self.units)
        decoded = [index * step if unit.dts == none else unit.dts for index, unit in enumerate(self.units)]
        self.times = [(dts - decoded[0], unit.pts - first) for dts, unit in zip(decoded, self.units)]
        self.duration = self.times[-1][0] + step

    def payloader(self):
        return PAYLOADERS[self.caps.get_structure(0).get_name()][1]

    def payload_settings(self):
        return "pt=26" if self.payloader() == "rtpjpegpay" else "pt=96 config-interval=-1"


class Mount(GstRtspServer.RTSPMediaFactory):
    """One path: a shared pipeline, built when the first viewer comes, fed by one thread at the clip's pace."""

    def __init__(self, clip, sound=None):
        super().__init__()
        self.clip = clip
        tone = f"audiotestsrc is-live=true wave=ticks ! audioconvert ! audioresample ! {SOUND[sound]} " if sound else ""
        self.set_launch(
            f"( appsrc name=src is-live=true format=time do-timestamp=false max-bytes=4000000 "
            f"! {clip.payloader()} name=pay0 {clip.payload_settings()} {tone})"
        )
        self.set_shared(True)
        self.set_latency(0)
        self.connect("media-configure", self.configure)

    def configure(self, _factory, media):
        source = media.get_element().get_by_name_recurse_up("src")
        source.set_property("caps", self.clip.caps)
        ended = threading.Event()
        media.connect("unprepared", lambda _media: ended.set())
        threading.Thread(target=self.feed, args=(source, ended), daemon=True).start()

    def feed(self, source, ended):
        begun = time.monotonic_ns()
        offset = 0
        while True:
            for unit, (dts, pts) in zip(self.clip.units, self.clip.times):
                wait = (begun + offset + dts - time.monotonic_ns()) / 1e9
                if ended.wait(max(wait, 0)):
                    return
                buffer = unit.copy()
                buffer.dts = offset + dts
                buffer.pts = offset + pts
                if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                    return
            offset += self.clip.duration


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--clip", required=True, help="the file played as /main")
    arguments.add_argument("--sub-clip", help="the file played as /sub; without it the same clip")
    arguments.add_argument("--rate", type=float, default=25.0, help="pictures a second, for files without times")
    arguments.add_argument("--sound", choices=sorted(SOUND), help="a tone beside the picture, coded so")
    arguments.add_argument("--port", default="0", help="0: any free one")
    arguments.add_argument("--user", help="ask for this user, by Digest")
    arguments.add_argument("--password", default="")
    asked = arguments.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(asked.port)
    main_clip = Clip(asked.clip, asked.rate)
    sub_clip = Clip(asked.sub_clip, asked.rate) if asked.sub_clip else main_clip
    factories = {"main": Mount(main_clip, asked.sound), "sub": Mount(sub_clip)}
    if asked.user:
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_digest(asked.user, asked.password, token)
        server.set_auth(auth)
        for factory in factories.values():
            factory.add_role_from_structure(
                Gst.Structure.new_from_string("viewer,media.factory.access=(boolean)true,media.factory.construct=(boolean)true")
            )
    for name, factory in factories.items():
        server.get_mount_points().add_factory(f"/{name}", factory)
    if server.attach(None) == 0:
        raise SystemExit("the server could not listen")
    port = server.get_bound_port()
    print(json.dumps({name: f"rtsp://127.0.0.1:{port}/{name}" for name in factories}), flush=True)

    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
