#!/usr/bin/env python3
"""An attacker's hour, in a minute: somebody without a session, with a stolen one, or with a great many connections, against a
control centre that this program starts for itself. Nothing may get in, nothing may fall over, memory must stay bounded. Canaries of
every secret are planted, and looked for in all that the centre leaves. The last line counts; the exit code is 0 if all of it held.

    attack.py CENTRE [--examples N]      CENTRE: the program; N: fuzz by schemathesis with so many examples of each route
"""

import argparse
import base64
import http.client
import json
import os
import resource
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HALL = "450103-01"
PASSWORD = "a phrase of this attack alone"
HALF_OPEN = 10_000
LIMIT = 90
IMPORT = """
[[area]]
id = "450103"
name = "青秀区"
level = "county"
[[hall]]
id = "450103-01"
area = "450103"
name = "政务服务中心"
[[window]]
hall = "450103-01"
number = 1
name = "综合窗口"
[[user]]
name = "boss"
password = "%s"
role = "administrator"
scope = "450103"
must_change = false
[[user]]
name = "victim"
password = "%s"
role = "supervisor"
scope = "450103"
must_change = false
""" % (PASSWORD, PASSWORD)
# What a name or an id may be to somebody who means ill.
TRICKS = [
    "..%2f..%2f..%2fetc%2fpasswd", "..%2fsecrets%2fseal-key", "%2e%2e%2f%2e%2e%2fca%2fca-key.pem",
    "....%2f%2f....%2f%2fca%2fca-key.pem", "%00", "ca-key.pem%00.jpg", "..%5c..%5cca%5cca-key.pem", "%c0%ae%c0%ae%c0%afca",
    "%252e%252e%252fca", "'%20OR%201%3d1--", "%3cscript%3e", "%0d%0aset-cookie:%20a=b", "-1", "99999999999999999999999999",
]
SECRETS = (b"root:x:", b"PRIVATE KEY")


class Centre:
    """A centre of its own in a folder that goes with it."""

    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory(prefix="hallwatch-attack-")
        root = Path(self.folder.name)
        (root / "import.toml").write_text(IMPORT, encoding="utf-8")
        self.data = root / "centre"
        self.log = open(root / "centre.log", "wb")
        arguments = ["run", "--data", str(self.data), "--listen", "127.0.0.1:0", "--nodes-listen", "127.0.0.1:0"]
        command = [program, *arguments, "--import", str(root / "import.toml")]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        began = time.monotonic()
        while not (self.data / "addresses.json").exists():
            if self.process.poll() is not None or time.monotonic() - began > LIMIT:
                sys.exit((root / "centre.log").read_text(errors="replace"))
            time.sleep(0.05)
        addresses = json.loads((self.data / "addresses.json").read_text())
        self.site = self.address(addresses["site"])
        self.nodes = self.address(addresses["nodes"])
        self.tls = ssl.create_default_context(cafile=self.data / "ca" / "ca.pem")

    @staticmethod
    def address(url):
        host, port = url.removeprefix("https://").rsplit(":", 1)
        return host, int(port)

    def ask(self, method, path, body=None, cookie=None):
        """The status, the headers and the body of an answer."""
        connection = http.client.HTTPSConnection(*self.site, context=self.tls, timeout=LIMIT)
        headers = {"cookie": cookie} if cookie else {}
        if body is not None:
            body, headers["content-type"] = json.dumps(body), "application/json"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def sign_in(self, name):
        status, headers, body = self.ask("POST", "/api/v1/session", {"name": name, "password": PASSWORD})
        assert status == 200, (status, body)
        return headers["set-cookie"].split(";")[0]

    def connect(self):
        return self.tls.wrap_socket(socket.create_connection(self.site, LIMIT), server_hostname=self.site[0])

    def resident(self):
        """MiB in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() // (1024 * 1024)

    def end(self):
        self.process.terminate()
        return self.process.wait(30)


class Count:
    def __init__(self):
        self.requests = self.refused = 0
        self.got_in, self.failed = [], []

    def add(self, what, status):
        """A request that must not succeed; what fails inside is as bad as what gets in."""
        self.requests += 1
        if 200 <= status < 300:
            self.got_in.append(f"{what}: {status}")
        elif status == 500:
            self.failed.append(f"{what}: {status}")
        else:
            self.refused += 1


def routes(description, value):
    for path, methods in description["paths"].items():
        parts = path.split("{")
        filled = parts[0] + "".join(value + part.split("}", 1)[1] for part in parts[1:])
        for method in methods:
            if method in ("get", "put", "post", "delete", "patch"):
                yield method.upper(), filled, len(parts) > 1


def strangers(centre, description, count):
    """Every route by somebody without a session, or with one that is made up: as fast as it can be asked."""
    statuses = {}
    for cookie in (None, "__Host-hallwatch=" + "A" * 43, "__Host-hallwatch=" + "'" * 43):
        for method, path, _ in routes(description, HALL):
            if path == "/api/v1/session" and method == "POST":
                continue
            status, _, body = centre.ask(method, path, {} if method != "GET" else None, cookie)
            statuses[status] = statuses.get(status, 0) + 1
            count.add(f"{method} {path} by a stranger", status)
            if any(secret in body for secret in SECRETS):
                count.got_in.append(f"{method} {path} tells a secret")
    print("every route by strangers:", statuses)
    if set(statuses) - {401, 429}:
        count.got_in.append(f"a stranger is answered {statuses}")


def tricks(centre, description, count):
    """Every name of every route as somebody who is let in would misuse it, and the pages."""
    boss = centre.sign_in("boss")
    before = count.requests
    for trick in TRICKS:
        for method, path, named in routes(description, trick):
            if not named:
                continue
            status, _, body = centre.ask(method, path, {} if method != "GET" else None, boss)
            count.add(f"{method} {path}", status)
            if any(secret in body for secret in SECRETS):
                count.got_in.append(f"{method} {path} tells a secret")
            time.sleep(0.005)
        for path in (f"/{trick}", f"/assets/{trick}", f"/assets/..%2f{trick}", f"/api/{trick}"):
            status, headers, body = centre.ask("GET", path)
            count.requests += 1
            page = status == 200 and (headers["content-type"] or "").startswith("text/html") and b"<" in body
            if any(secret in body for secret in SECRETS) or (status == 200 and not page) or status >= 500:
                count.got_in.append(f"GET {path}: {status}")
            else:
                count.refused += 1
    print(f"tricks in names: {count.requests - before} requests")


def bodies(centre, count):
    """Bodies that are too long, and such as never end."""
    head = "POST /api/v1/session HTTP/1.1\r\nhost: centre\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    for size in (70_000, 50_000_000):
        stream = centre.connect()
        try:
            stream.sendall((head % size).encode())
            for _ in range(size // 16_384 + 1):
                stream.sendall(b" " * 16_384)
            status = stream.recv(12)[9:]
        except OSError:
            status = b""
        count.requests += 1
        if status in (b"413", b"400", b""):
            count.refused += 1
        else:
            count.got_in.append(f"a body of {size}: {status}")
    slow = [centre.connect() for _ in range(200)]
    began = time.monotonic()
    for stream in slow:
        stream.sendall((head % 1000).encode() + b"{")
    status, _, _ = centre.ask("GET", "/api/v1/openapi.json")
    print(f"200 slow bodies: another is answered {status} after {time.monotonic() - began:.2f} s")
    for stream in slow:
        try:
            answer = stream.recv(12)
        except OSError:
            answer = b""
        count.requests += 1
        if answer[9:10] == b"2":
            count.got_in.append("a body that never came is taken")
        else:
            count.refused += 1
    print(f"200 slow bodies: all refused after {time.monotonic() - began:.1f} s")


def half_open(centre, count):
    """Connections that are opened and left, from an address of their own."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = min(HALF_OPEN, hard - 500)
    opened, peak = 0, 0
    for name, address in (("people's site", centre.site), ("node listener", centre.nodes)):
        began, held = time.monotonic(), []
        for _ in range(wanted):
            stream = socket.socket()
            stream.settimeout(LIMIT)
            stream.bind(("127.0.0.9", 0))
            try:
                stream.connect(address)
                held.append(stream)
            except OSError:
                stream.close()
        status, _, _ = centre.ask("GET", "/api/v1/openapi.json")
        peak = max(peak, centre.resident())
        opened += len(held)
        print(f"{name}: {len(held)} half-open connections in {time.monotonic() - began:.1f} s, {centre.resident()} MiB, others are answered {status}")
        if status != 200:
            count.failed.append(f"beside half-open connections on the {name} others are answered {status}")
        for stream in held:
            stream.close()
    return opened, peak


def stolen(centre, count):
    """A session after its owner signed out."""
    cookie = centre.sign_in("victim")
    assert centre.ask("GET", "/api/v1/session", cookie=cookie)[0] == 200
    assert centre.ask("DELETE", "/api/v1/session", cookie=cookie)[0] == 204
    for path in ("session", "halls", "cases", "wall", f"cameras/{HALL}-W01-C1/still.jpg", f"cameras/{HALL}-W01-C1/clip.mp4"):
        status, _, _ = centre.ask("GET", f"/api/v1/{path}", cookie=cookie)
        count.add(f"GET {path} with a stolen session", status)
        if status != 401:
            count.got_in.append(f"a stolen session is answered {status} at {path}")


def guessing(centre, count):
    """A thousand wrong passwords of one person from one address: slowed, while another person signs in."""
    statuses = {}
    for n in range(60):
        status, _, _ = centre.ask("POST", "/api/v1/session", {"name": "victim", "password": f"guess number {n}"})
        statuses[status] = statuses.get(status, 0) + 1
        count.add("a guessed password", status)
    print("60 guesses of one name:", statuses)
    centre.sign_in("boss")


def plant(centre):
    """Canaries: what goes in as a secret and must be nowhere afterwards; by what each was."""
    canaries = {"a wrong password": "canary-wrong-51be02d4", "a password typed as a name": "canary-name-7f3a9c11"}
    centre.ask("POST", "/api/v1/session", {"name": "victim", "password": canaries["a wrong password"]})
    centre.ask("POST", "/api/v1/session", {"name": canaries["a password typed as a name"], "password": "x"})
    boss = centre.sign_in("boss")
    canaries["a session's token"] = boss.split("=", 1)[1]
    account = {"name": "songbird", "grants": [{"role": "hr", "scope": HALL}]}
    given = json.loads(centre.ask("POST", "/api/v1/users", account, boss)[2])["password"]
    chosen = "canary-chosen-e9d2ab70"
    status, headers, _ = centre.ask("POST", "/api/v1/session", {"name": "songbird", "password": given})
    first = headers["set-cookie"].split(";")[0]
    changed, _, body = centre.ask("PUT", "/api/v1/session/password", {"old": given, "new": chosen}, first)
    assert (status, changed) == (200, 204), (status, changed, body)
    canaries |= {"a one-time password": given, "a chosen password": chosen, "a second token": first.split("=", 1)[1]}
    code = json.loads(centre.ask("POST", f"/api/v1/halls/{HALL}/pairing-codes", {}, boss)[2])["code"]
    canaries |= {"a pairing code": code, "a pairing code without hyphens": code.replace("-", "")}
    status, _, body = centre.ask("POST", "/api/v1/session/second-factor", {"password": chosen}, first)
    if status == 201:
        secret = json.loads(body)["secret"]
        canaries |= {"a second factor's secret": secret, "the same as bytes": base64.b32decode(secret)}
    told = b""
    for path in ("events", "audit", "audit/export.csv", "users", "sessions?everybody=true", "nodes", "halls"):
        told += centre.ask("GET", f"/api/v1/{path}", cookie=boss)[2]
    told += centre.ask("GET", "/metrics")[2]
    return {what: secret if isinstance(secret, bytes) else secret.encode() for what, secret in canaries.items()}, told


def look(centre, canaries, told, count):
    """Reads every file of the centre that has ended, a backup of its database, and what it told, for the canaries."""
    root = Path(centre.folder.name)
    backup = root / "backup.db"
    with sqlite3.connect(centre.data / "centre.db") as database, sqlite3.connect(backup) as copy:
        database.backup(copy)
    places = {"what the API tells": told, "the log": (root / "centre.log").read_bytes(), "a backup": backup.read_bytes()}
    for file in centre.data.rglob("*"):
        if file.is_file():
            places[str(file.relative_to(root))] = file.read_bytes()
    assert any(b"songbird" in content for content in places.values()), "the name that is no secret is found nowhere"
    found = [f"{what} in {where}" for where, content in places.items() for what, secret in canaries.items() if secret in content]
    count.got_in += found
    size = sum(map(len, places.values()))
    print(f"{len(canaries)} canaries looked for in {len(places)} places of {size} bytes: found {len(found)}")


def fuzz(centre, examples, count):
    """By the API's own description, with a program that is none of ours."""
    program = Path(sys.executable).with_name("schemathesis")
    url = f"https://{centre.site[0]}:{centre.site[1]}/api/v1/openapi.json"
    command = [program, "run", url, "--tls-verify", "false", "--checks", "not_a_server_error", "--max-examples", str(examples),
               "--phases", "fuzzing", "--continue-on-failure", "--no-color"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=centre.folder.name)
    print("\n".join("  " + line for line in ended.stdout.splitlines()[-25:]))
    if ended.returncode:
        count.failed.append(f"schemathesis ended with {ended.returncode}: {ended.stderr[-500:]}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("centre")
    arguments.add_argument("--examples", type=int, default=0)
    arguments = arguments.parse_args()
    centre, count = Centre(arguments.centre), Count()
    try:
        description = json.loads(centre.ask("GET", "/api/v1/openapi.json")[2])
        before = centre.resident()
        canaries, told = plant(centre)
        tricks(centre, description, count)
        stolen(centre, count)
        guessing(centre, count)
        bodies(centre, count)
        opened, peak = half_open(centre, count)
        strangers(centre, description, count)
        if arguments.examples:
            fuzz(centre, arguments.examples, count)
        if centre.process.poll() is not None:
            count.failed.append(f"the centre ended with {centre.process.returncode}")
        after = centre.resident()
        if max(peak, after) > before + 300:
            count.failed.append(f"memory grew from {before} to {max(peak, after)} MiB")
    finally:
        code = centre.end()
    if code:
        count.failed.append(f"the centre ended with {code} when it was told to")
    look(centre, canaries, told, count)
    for what in [*count.got_in, *count.failed]:
        print("WRONG", what)
    print(f"attack: requests={count.requests} refused={count.refused} got_in={len(count.got_in)} failed={len(count.failed)} "
          f"half_open={opened} resident_before={before}MiB resident_peak={peak}MiB resident_after={after}MiB")
    return 1 if count.got_in or count.failed else 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
