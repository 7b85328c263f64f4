"""The key families of keys/lorawan_generator.toml, expanded.

One reading of the file's rules in plain Python: build/lorawan.py uses it to compute the examples,
build/check.py to prove that the examples follow from the file alone.
"""
import hashlib

ALGORITHMS = {"md5": hashlib.md5, "sha1": hashlib.sha1, "sha256": hashlib.sha256,
              "sha3-256": hashlib.sha3_256, "sha3-224": hashlib.sha3_224}


def operand(name, dev, join, byte=None):
    """dev and join are eight bytes, most significant first, as EUIs are printed."""
    return {
        "dev_eui": dev, "join_eui": join,
        "dev_eui_reversed": dev[::-1], "join_eui_reversed": join[::-1],
        "dev_eui_hex_lower": dev.hex().encode(), "dev_eui_hex_upper": dev.hex().upper().encode(),
        "join_eui_hex_lower": join.hex().encode(), "join_eui_hex_upper": join.hex().upper().encode(),
        "byte8": None if byte is None else bytes([byte]) * 8,
    }[name]


def joined(names, dev, join, byte=None):
    return b"".join(operand(n, dev, join, byte) for n in names)


def expand(family, dev, join, lists):
    """Yields every candidate key of the family, in the order that its indices mean."""
    kind = family["kind"]
    if kind in ("list", "list-reversed"):
        for name in family["lists"]:
            for key in lists[name]:
                yield key if kind == "list" else key[::-1]
    elif kind == "concat":
        if any("byte8" in v for v in family["variants"]):
            for byte in range(256):
                for v in family["variants"]:
                    yield joined(v, dev, join, byte)
        else:
            for v in family["variants"]:
                yield joined(v, dev, join)
    elif kind == "hash":
        for v in family["inputs"]:
            text = joined(v, dev, join)
            for take in family["take"]:
                for name in family["algorithms"]:
                    digest = ALGORITHMS[name](text).digest()
                    key = digest[:16] if take == "first" else digest[-16:]
                    yield key[::-1] if family["reversed"] else key
    elif kind == "interleave":
        for (a, b), backwards in family["variants"]:
            a, b = operand(a, dev, join), operand(b, dev, join)
            key = bytes(x for pair in zip(a, b) for x in pair)
            yield key[::-1] if backwards == "reversed" else key
    elif kind == "pattern":
        for a in range(256):
            for b in range(256):
                yield bytes({"A": a, "B": b, "0": 0}[c] for c in family["template"])
    else:
        raise ValueError(f"unknown kind {kind}")
