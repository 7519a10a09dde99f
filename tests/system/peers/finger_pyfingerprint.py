"""Enrols fingers on an EF 01 module by pyfingerprint, and searches for one; prints what it says, one JSON object.

Whose finger lies on the module is somebody else's doing: FINGER n asks for it on standard output, a line on standard input
says that it is done.
"""

import json
import sys

from pyfingerprint.pyfingerprint import PyFingerprint


def lay(finger):
    print(f"FINGER {finger}", flush=True)
    sys.stdin.readline()


def look(module, buffer):
    while not module.readImage():
        pass
    module.convertImage(buffer)


module = PyFingerprint(sys.argv[1], 57600, 0xFFFFFFFF, 0x00000000)
assert module.verifyPassword()
said = {"capacity": module.getStorageCapacity(), "security": module.getSecurityLevel(), "stored": []}
for finger in (501, 502, 503):
    lay(finger)
    look(module, 1)
    assert module.searchTemplate()[0] == -1
    lay(0)
    assert not module.readImage()
    lay(finger)
    look(module, 2)
    assert module.compareCharacteristics() > 0
    assert module.createTemplate()
    said["stored"].append(module.storeTemplate())
lay(502)
look(module, 1)
said["found"] = list(module.searchTemplate())
said["count"] = module.getTemplateCount()
said["index"] = [at for at, used in enumerate(module.getTemplateIndex(0)) if used]
assert module.deleteTemplate(said["stored"][0])
said["left"] = [at for at, used in enumerate(module.getTemplateIndex(0)) if used]
print(json.dumps(said), flush=True)
