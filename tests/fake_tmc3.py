"""A program with the command line of tmc3 that compresses with zlib, for tests of its adapter.

Predictive geometry makes the smallest file here. A cloud of 13 points makes it fail.
"""

import sys
import zlib
from pathlib import Path

options = dict(argument.lstrip("-").partition("=")[::2] for argument in sys.argv[1:])
if "help" in options:
    sys.stdout.write("MPEG PCC tmc3 version release-v0-fake\n")
    sys.exit(1)
if options["mode"] == "0":
    source = Path(options["uncompressedDataPath"]).read_bytes()
    if b"element vertex 13\n" in source:
        sys.stdout.write("thirteen points are too many\n")
        sys.exit(3)
    level = 9 if options.get("predGeomSort") == "1" else 0
    Path(options["compressedStreamPath"]).write_bytes(zlib.compress(source, level))
else:
    coded = Path(options["compressedStreamPath"]).read_bytes()
    Path(options["reconstructedDataPath"]).write_bytes(zlib.decompress(coded))
