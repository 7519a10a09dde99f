"""The ONVIF/RTSP virtual camera `ipycam` (PyPI), started on free loopback ports.

For the system tests: an independent camera that speaks ONVIF and RTSP. Run it with the Python that has ipycam
(scripts/setup test puts it into target/python):

    target/python/bin/python tests/system/peers/virtual_camera.py

It needs ffmpeg, with which ipycam encodes: one process for each viewer, H.264 constrained baseline, a key frame every
2 s. Prints one line of JSON once it can be watched, and ends with SIGTERM or SIGINT:

    {"main": "rtsp://127.0.0.1:PORT/video_main", "sub": "rtsp://127.0.0.1:PORT/video_sub",
     "onvif": "http://127.0.0.1:PORT/onvif/device_service", "discovery": "127.0.0.1:PORT" with --discovery}

What ipycam 1.3.0 does and does not: RTSP by TCP or UDP, and never with a password (its user and password guard ONVIF
and its pages only); no SEI, no B-frames; timestamps count its pictures. Three things are put right here. It listens on
every address of the machine: here on loopback. It answers WS-Discovery on the fixed port 3702: here only with
--discovery, and on a free port, told as "discovery". And it lets ffmpeg write its progress into a pipe that nobody reads, so that the picture of every viewer
stops after some minutes, when the pipe is full: here ffmpeg is told to be silent.
"""

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time

import cv2
import numpy

import ipycam
import ipycam.camera
import ipycam.rtsp


class LoopbackRtsp(ipycam.rtsp.NativeRTSPServer):
    """ipycam's RTSP server on loopback, with a silent encoder."""

    def __init__(self, port=8554, host="127.0.0.1"):
        super().__init__(port=port, host=host)

    def _build_ffmpeg_rtp_cmd_tcp_local(self, *arguments):
        return silent(super()._build_ffmpeg_rtp_cmd_tcp_local(*arguments))

    def _build_ffmpeg_rtp_cmd_udp(self, *arguments):
        return silent(super()._build_ffmpeg_rtp_cmd_udp(*arguments))


def silent(command):
    return [command[0], "-nostdin", "-nostats", "-loglevel", "error", *command[1:]]


class LoopbackHttp(ipycam.camera.ReusableThreadingTCPServer):
    """ipycam's ONVIF and web server on loopback."""

    def __init__(self, address, handler):
        super().__init__(("127.0.0.1", address[1]), handler)


def discovery_on(port):
    """ipycam's WS-Discovery on a port of our choice."""

    class Discovery(ipycam.camera.WSDiscoveryServer):
        MULTICAST_PORT = port

    return Discovery


class NoDiscovery:
    """In place of WS-Discovery, whose port is fixed."""

    def __init__(self, _onvif):
        pass

    def start(self):
        """Nothing to start."""

    def stop(self):
        """Nothing to stop."""


def free_ports(count):
    """Ports that were free a moment ago; ipycam cannot be told to take any."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def drawn(width, height, index):
    """A picture of our own: a gradient, a bar that goes round once in four seconds, and the picture's number."""
    picture = numpy.empty((height, width, 3), numpy.uint8)
    picture[:, :, 0] = numpy.linspace(40, 160, width, dtype=numpy.uint8)
    picture[:, :, 1] = numpy.linspace(60, 180, height, dtype=numpy.uint8)[:, None]
    picture[:, :, 2] = 90
    left = index * width // 100 % width
    picture[:, left : left + width // 16] = (255, 255, 255)
    cv2.putText(picture, f"ipycam {index}", (width // 20, height // 3), cv2.FONT_HERSHEY_SIMPLEX, height / 300, (0, 0, 0), 3)
    return picture


def pictures(video, width, height):
    """Pictures without end: of the file, over and over, or drawn."""
    if video is None:
        index = 0
        while True:
            yield drawn(width, height, index)
            index += 1
    capture = cv2.VideoCapture(video)
    if not capture.isOpened():
        raise SystemExit(f"{video}: cannot be opened")
    while True:
        read, picture = capture.read()
        if not read:
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            read, picture = capture.read()
            if not read:
                raise SystemExit(f"{video}: has no pictures")
        yield picture


def main():
    arguments = argparse.ArgumentParser(description="ipycam on free loopback ports")
    arguments.add_argument("--video", help="play this file; without it a picture of our own is drawn")
    arguments.add_argument("--width", type=int, default=1280)
    arguments.add_argument("--height", type=int, default=720)
    arguments.add_argument("--fps", type=int, default=25)
    arguments.add_argument("--bitrate", default="2M")
    arguments.add_argument("--user", default="", help="guards ONVIF only; RTSP has no password in ipycam")
    arguments.add_argument("--password", default="")
    arguments.add_argument("--discovery", action="store_true", help="answer WS-Discovery, on a free port")
    asked = arguments.parse_args()

    ipycam.camera.NativeRTSPServer = LoopbackRtsp
    ipycam.camera.ReusableThreadingTCPServer = LoopbackHttp
    rtsp, onvif, nobody, probes = free_ports(4)
    ipycam.camera.WSDiscoveryServer = discovery_on(probes) if asked.discovery else NoDiscovery
    config = ipycam.CameraConfig(
        name="virtual camera",
        local_ip="127.0.0.1",
        onvif_port=onvif,
        rtsp_port=rtsp,
        # A port where nobody listens: no go2rtc, so that ipycam serves RTSP itself.
        go2rtc_api_port=nobody,
        username=asked.user,
        password=asked.password,
        main_width=asked.width,
        main_height=asked.height,
        main_fps=asked.fps,
        main_bitrate=asked.bitrate,
        sub_width=640,
        sub_height=360,
        sub_fps=asked.fps,
        sub_bitrate="500K",
        hw_accel="cpu",
        show_timestamp=False,
    )
    # ipycam keeps its configuration in the current folder when a page changes it.
    os.chdir(tempfile.mkdtemp(prefix="ipycam-"))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    camera = ipycam.IPCamera(config)
    if not camera.start() or not camera.streaming_mode.startswith("native_rtsp"):
        raise SystemExit(f"ipycam does not serve RTSP ({camera.streaming_mode}): is ffmpeg installed?")
    announced = False
    try:
        for picture in pictures(asked.video, asked.width, asked.height):
            begun = time.monotonic()
            if ended.is_set():
                break
            camera.stream(picture)
            if not announced:
                announced = True
                where = {"main": config.main_stream_rtsp, "sub": config.sub_stream_rtsp, "onvif": config.onvif_url}
                if asked.discovery:
                    where["discovery"] = f"127.0.0.1:{probes}"
                print(json.dumps(where), flush=True)
            # ipycam paces by itself, in one of its modes; this holds in all.
            time.sleep(max(0.0, 1 / asked.fps - (time.monotonic() - begun)))
    finally:
        camera.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
