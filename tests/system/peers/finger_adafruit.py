"""Enrols and finds a finger on an EF 01 module by Adafruit's library; prints what it says, one JSON object.

Whose finger lies on the module is somebody else's doing: FINGER n asks for it on standard output, a line on standard input
says that it is done. To be run with BLINKA_FORCEBOARD=GENERIC_AGNOSTIC_BOARD and BLINKA_FORCECHIP=GENERIC_X86.
"""

import json
import sys

import adafruit_fingerprint as af
import serial


def lay(finger):
    print(f"FINGER {finger}", flush=True)
    sys.stdin.readline()


def look(module, buffer):
    while module.get_image() != af.OK:
        pass
    assert module.image_2_tz(buffer) == af.OK


module = af.Adafruit_Fingerprint(serial.Serial(sys.argv[1], baudrate=57600, timeout=2))
assert module.verify_password() == af.OK
assert module.check_module()
assert module.read_sysparam() == af.OK
said = {"capacity": module.library_size, "security": module.security_level}
lay(701)
look(module, 1)
lay(0)
assert module.get_image() == af.NOFINGER
lay(701)
look(module, 2)
assert module.create_model() == af.OK
assert module.store_model(9) == af.OK
assert module.count_templates() == af.OK
said["count"] = module.template_count
assert module.read_templates() == af.OK
said["templates"] = module.templates
lay(701)
look(module, 1)
assert module.finger_search() == af.OK
said["found"] = [module.finger_id, module.confidence]
lay(702)
look(module, 1)
assert module.finger_fast_search() == af.NOTFOUND
print(json.dumps(said), flush=True)
