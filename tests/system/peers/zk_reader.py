"""Reads a ZK terminal by pyzk and prints what it says, one JSON object."""

import argparse
import json
import sys

from zk import ZK

arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, required=True)
arguments.add_argument("--comm-key", type=int, default=0)
arguments.add_argument("--encoding", default="gbk")
arguments.add_argument("--udp", action="store_true")
arguments.add_argument("--live", type=int, default=0, help="live events to wait for, after READY is printed")
asked = arguments.parse_args()

terminal = ZK(
    "127.0.0.1",
    port=asked.port,
    timeout=20,
    password=asked.comm_key,
    force_udp=asked.udp,
    ommit_ping=True,
    encoding=asked.encoding,
).connect()
try:
    terminal.disable_device()
    users = terminal.get_users()
    records = terminal.get_attendance()
    terminal.enable_device()
    said = {
        "serial": terminal.get_serialnumber(),
        "firmware": terminal.get_firmware_version(),
        "time": terminal.get_time().isoformat(),
        "users": [[user.uid, user.user_id, user.name] for user in users],
        "records": [[r.user_id, r.timestamp.isoformat(), r.status, r.punch] for r in records],
        "live": [],
    }
    if asked.live:
        for event in terminal.live_capture():
            if event is None:
                continue
            said["live"].append([event.user_id, event.timestamp.isoformat(), event.status, event.punch])
            if len(said["live"]) == asked.live:
                terminal.end_live_capture = True
finally:
    terminal.disconnect()
json.dump(said, sys.stdout)
print()
