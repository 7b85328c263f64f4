"""Stretch the time stamps of a capture: between the marks, packets keep their spacing; at each mark the clock jumps ahead.

A city script records for a minute what happens in six hours; it notes the wall-clock moment of each quiet point and how much time passes there.
"""

import struct


def stretch(source, target, start, jumps):
    """Rewrite a microsecond pcap. `start`: seconds since the epoch of the first packet; `jumps`: (wall-clock seconds, seconds to add), in order."""
    data = source.read_bytes()
    magic = struct.unpack("<I", data[:4])[0]
    assert magic == 0xA1B2C3D4, "a little-endian microsecond pcap is expected"
    out, at, base, added, pending = bytearray(data[:24]), 24, None, 0.0, list(jumps)
    last = None
    while at < len(data):
        seconds, micros, length, original = struct.unpack("<IIII", data[at:at + 16])
        wall = seconds + micros / 1e6
        if base is None:
            base, pending = wall, [jump for jump in pending if jump[0] > wall]
        while pending and wall >= pending[0][0]:
            added += pending.pop(0)[1]
        moment = round((start + wall - base + added) * 1e6)
        last = moment if last is None else max(last, moment)
        out += struct.pack("<IIII", last // 1_000_000, last % 1_000_000, length, original) + data[at + 16:at + 16 + length]
        at += 16 + length
    target.write_bytes(out)
    return last / 1e6
