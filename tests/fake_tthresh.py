"""A program with the command line of tthresh that rounds and deflates, for tests of its adapter.

A PSNR below 20 dB is as large as one of 20 dB, so that some sizes cannot be had.
"""

import sys
import zlib
from pathlib import Path

import numpy as np

options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
if "-p" in options:
    values = np.frombuffer(Path(options["-i"]).read_bytes(), "<f4")
    low, spread = float(values.min()), float(np.ptp(values))
    step = spread * 12**0.5 * 10 ** (-max(float(options["-p"]), 20.0) / 20)
    whole = np.rint((values - low) / step).astype("<i4")
    head = np.array([low, step], "<f8").tobytes()
    Path(options["-c"]).write_bytes(head + zlib.compress(whole.tobytes(), 9))
else:
    data = Path(options["-c"]).read_bytes()
    low, step = np.frombuffer(data[:16], "<f8")
    whole = np.frombuffer(zlib.decompress(data[16:]), "<i4")
    Path(options["-o"]).write_bytes((whole * step + low).astype("<f4").tobytes())
