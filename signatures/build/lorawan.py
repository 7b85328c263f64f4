#!/usr/bin/env python3
"""Build keys/lorawan.tsv and keys/lorawan_generator.toml.

    python3 signatures/build/lorawan.py DATA_DIR

DATA_DIR holds lorawan_keys.tsv.
"""
import hashlib
import itertools
import re
import sys
from pathlib import Path

from lorawan_families import expand

HERE = Path(__file__).resolve().parent.parent
UNKNOWN = "published in a list of known keys; origin not established"

ORIGINS = {
    "2b7e151628aed2a6abf7158809cf4f3c": "AES example key of FIPS 197; default AppKey, NwkKey and session keys of Semtech LoRaMac-node and of the SDKs and modules built on it",
    "2b7e1516284ed2a6aabf7158809cf4f3": "LoRaMac-node default key, mistyped",
    "b7e1516284ed2a6aabf7158809cf4f3c": "LoRaMac-node default key, mistyped",
    "5a6967426565416c6c69616e63653039": "the text ZigBeeAlliance09, the public Zigbee link key",
    "4c6f526157414e40554a52435f417070": "the text LoRaWAN@UJRC_App",
    "88888888888888888888888888886601": "Heltec example code",
    "077ee45c6e4564d96d76ae55afd3aa89": "example code for an AT-command LoRaWAN module",
    "bec499c69e9c939e413b663961636c61": "application server key in published test code",
    "53450044415246410018b2000000004b": "contains the Adeunis block 0018b2 and the text ARF; otherwise not established",
    "53450044415246410018b2000000004d": "contains the Adeunis block 0018b2 and the text ARF; otherwise not established",
    "33333333333333333333333333333333": "trivial: one byte repeated; also the digit 3 as text",
}

# Not in the RoLaGuard list.
ADDED = {
    "5572404c696e6b4c6f52613230313823": "the text Ur@LinkLoRa2018#: Milesight and Ursalink factory AppKey until about Q3 2025",
    "15b1d0efa463dfbe3d11181e1ec7da85": "Heltec and CubeCell example code, network session key (ABP)",
    "d72c78758cdccabf55ee4a778d16ef67": "Heltec and CubeCell example code, application session key (ABP)",
    "2b84e0b09b68e5cb42176fe753dcee79": "RAK WisBlock example code, AppKey",
    "323d155a000df335307a16da0c9df53f": "RAK WisBlock example code, network session key (ABP)",
    "3f6a66459d5edca63cbc4619cd61a11e": "RAK WisBlock example code, application session key (ABP)",
    "88888888888888888888888888888888": "Heltec example code; trivial: one byte repeated",
    "0102030405060708090a0b0c0d0e0f10": "trivial: counting up from 01; also the OSCORE example secret of RFC 8613",
    "0f0e0d0c0b0a09080706050403020100": "trivial: counting down to 00",
    "100f0e0d0c0b0a090807060504030201": "trivial: counting down to 01",
    "fedcba9876543210fedcba9876543210": "trivial: counting down in hexadecimal digits, twice",
    "fedcba98765432100123456789abcdef": "trivial: hexadecimal digits down and up",
    "ffeeddccbbaa99887766554433221100": "trivial: doubled hexadecimal digits, downwards",
    "12345678901234567890123456789012": "trivial: decimal digits counting up",
    "01234567890123456789012345678901": "trivial: decimal digits counting up",
    "deadbeefdeadbeefdeadbeefdeadbeef": "trivial: word pattern deadbeef",
    "cafebabecafebabecafebabecafebabe": "trivial: word pattern cafebabe",
    "31323334353637383930313233343536": "trivial: the text 1234567890123456",
    "30313233343536373839616263646566": "trivial: the text 0123456789abcdef",
    "30313233343536373839414243444546": "trivial: the text 0123456789ABCDEF",
}

ADEUNIS = {"0018b244", "41524632", "0018b200", "00000912"}
TRIVIAL = {
    "000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "01020304050607080102030405060708",
    "01020304050607080910111213141516", "0123456789abcdef0123456789abcdef", "0123456789abcdefefcdab8967452301",
    "05060708090a0b0c0d0e0f1011121314", "090a0b0c0d0e0f101112131415161718", "11111111111122222222222233333333",
    "11223344556677889911223344556677", "112233445566778899aabbccddeeff00", "1122334455667788aabbccddeeff0123",
    "1516171819101a1b1c1d1e1f20212223", "76543234567898765432234567876543",
}


def origin(key):
    if key in ORIGINS:
        return ORIGINS[key]
    if {key[i:i + 8] for i in range(0, 32, 8)} <= ADEUNIS:
        return "Adeunis: a combination of four factory words (0018b244, 41524632 'ARF2', 0018b200, 00000912)"
    if re.fullmatch(r"(..)\1{15}", key):
        return "trivial: one byte repeated"
    if re.fullmatch(r"0{30}..", key):
        return "trivial: zeros and one last byte"
    if key in TRIVIAL:
        return "trivial: a counting pattern"
    return UNKNOWN


LIST_HEADER = """\
# Known LoRaWAN keys (AppKey, NwkKey and session keys alike), lowercase hex, one row a key.
# source; licence: list rolaguard-2021 = github Argeniss-Software/rolaguard_engine c2d4429 2021-11-08, keys.txt; Apache-2.0 (LICENSES/Apache-2.0.txt, LICENSES/NOTICE-rolaguard.txt).
# list citytap = facts from vendors' public guides and example code, re-typed; origins of both lists are ours; no licence needed.
# Changed from the original: lower case, sorted, an origin for each key. Made by build/lorawan.py; do not edit by hand.
"""

EUI = [["join_eui"], ["dev_eui"], ["join_eui", "dev_eui"], ["dev_eui", "join_eui"]]
EUI_REVERSED = [[n + "_reversed" for n in v] for v in EUI]
TEXT = [["dev_eui_hex_lower"], ["dev_eui_hex_upper"], ["join_eui_hex_lower"], ["join_eui_hex_upper"],
        ["join_eui_hex_lower", "dev_eui_hex_lower"], ["join_eui_hex_upper", "dev_eui_hex_upper"],
        ["dev_eui_hex_lower", "join_eui_hex_lower"], ["dev_eui_hex_upper", "join_eui_hex_upper"]]
HASH = {"kind": "hash", "algorithms": ["md5", "sha1", "sha256", "sha3-256", "sha3-224"], "take": ["first", "last"]}
FORMS = ["dev_eui", "join_eui", "dev_eui_reversed", "join_eui_reversed"]
BASE_PAIRS = [["join_eui", "dev_eui"], ["dev_eui", "join_eui"]]
DOUBLE = [["dev_eui", "dev_eui"]]
OTHER_PAIRS = [list(p) for p in itertools.product(FORMS, FORMS) if list(p) not in BASE_PAIRS + DOUBLE]
BOTH = ["dev_eui", "join_eui"]

FAMILIES = [
    # The order is the order of trial: cheap and likely first.
    dict(id="list", set="base", kind="list", lists=["rolaguard-2021"], needs=[],
         name="a published key", description="The key stands in a published list of LoRaWAN keys."),
    dict(id="list-citytap", set="added", kind="list", lists=["citytap"], needs=[],
         name="a published key", description="The key stands in a vendor's public guide or example code."),
    dict(id="eui-pair", set="base", kind="concat", variants=BASE_PAIRS, needs=BOTH,
         name="JoinEUI and DevEUI joined", description="The key is the JoinEUI followed by the DevEUI, or the reverse. Both are sent in clear in every join request."),
    dict(id="dev-dev", set="added", kind="concat", variants=DOUBLE, needs=["dev_eui"],
         name="DevEUI twice", description="The key is the DevEUI written twice: the factory rule of Milesight devices shipped from Q4 2025. The DevEUI is sent in clear and printed on the label."),
    dict(id="eui-other", set="added", kind="concat", variants=OTHER_PAIRS, needs=BOTH,
         name="DevEUI or JoinEUI joined in another order", description="Every other way to put two of DevEUI, JoinEUI and their byte-reversed forms side by side."),
    dict(id="eui-text", set="added", kind="concat", variants=TEXT[:4], needs=BOTH,
         name="DevEUI or JoinEUI as text", description="The key is the sixteen hexadecimal digits of an EUI as ASCII characters."),
    dict(id="eui-hash", set="base", **HASH, inputs=EUI, reversed=False, needs=BOTH,
         name="a hash of the EUIs", description="The key is the first or last sixteen bytes of a plain hash over the EUIs; no secret goes in."),
    dict(id="eui-interleave", set="base", kind="interleave", needs=BOTH,
         variants=[[["dev_eui", "join_eui"], "forward"], [["join_eui", "dev_eui"], "forward"],
                   [["dev_eui", "join_eui"], "reversed"], [["join_eui", "dev_eui"], "reversed"]],
         name="DevEUI and JoinEUI interleaved", description="The key takes one byte of each EUI in turn, forwards or backwards."),
    dict(id="eui-fill", set="base", kind="concat", needs=BOTH,
         variants=[["join_eui", "byte8"], ["dev_eui", "byte8"], ["byte8", "dev_eui"], ["byte8", "join_eui"]],
         name="an EUI filled up with one byte", description="The key is an EUI with eight equal bytes before or after it."),
    dict(id="list-reversed", set="added", kind="list-reversed", lists=["rolaguard-2021", "citytap"], needs=[],
         name="a published key, byte-reversed", description="A listed key entered in the wrong byte order."),
    dict(id="hash-reversed-eui", set="added", **HASH, inputs=EUI_REVERSED, reversed=False, needs=BOTH,
         name="a hash of the byte-reversed EUIs", description="As a hash of the EUIs, over the EUIs in the byte order of the radio frame."),
    dict(id="hash-backwards", set="added", **HASH, inputs=EUI + EUI_REVERSED, reversed=True, needs=BOTH,
         name="a hash of the EUIs, backwards", description="As a hash of the EUIs in either byte order, with the sixteen bytes of the result reversed. LAF tries the second half of these."),
    dict(id="hash-text", set="added", **HASH, inputs=TEXT, reversed=False, needs=BOTH,
         name="a hash of the EUIs as text", description="As a hash of the EUIs, over their hexadecimal digits."),
    dict(id="pattern-first", set="base", kind="pattern", template="ABBBBBBBBBBBBBBB", needs=[],
         name="a simple pattern", description="One byte, then another repeated fifteen times."),
    dict(id="pattern-alternate", set="base", kind="pattern", template="ABABABABABABABAB", needs=[],
         name="a simple pattern", description="Two bytes in turn."),
    dict(id="pattern-tail", set="base", kind="pattern", template="00000000000000AB", needs=[],
         name="a simple pattern", description="Fourteen zero bytes, then two others: small numbers."),
    dict(id="pattern-last", set="added", kind="pattern", template="BBBBBBBBBBBBBBBA", needs=[],
         name="a simple pattern", description="One byte repeated fifteen times, then another. The byte-reversed form of pattern-first, which LAF in effect tries."),
    dict(id="pattern-head", set="added", kind="pattern", template="AB00000000000000", needs=[],
         name="a simple pattern", description="Two bytes, then fourteen zeros. The byte-reversed form of pattern-tail."),
]

DEV_EUI, JOIN_EUI = "a1b2c3d4e5f60718", "70b3d57ed0001234"

GENERATOR_HEADER = """\
# LoRaWAN keys that follow from what the radio frame shows: the families of candidates that a key audit tries, as data.
# source; licence: families of set "base" are those of IOActive's LoRaWAN Auditing Framework (github IOActive/laf, lorawanwrapper/utils, BSD-3-Clause; read for facts, own words); set "added" is citytap.
# Made by build/lorawan.py; do not edit by hand. build/check.py recomputes every example from this file.
#
# Reading it. An EUI is eight bytes, most significant byte first, as printed; *_reversed is the byte order of the radio frame;
# *_hex_lower and *_hex_upper are its sixteen hexadecimal digits as ASCII. A key is sixteen bytes as AES takes them.
# A family lists candidates in a fixed order; an example's index counts from 0 in it:
#   list, list-reversed  the keys of the named lists of lorawan.tsv, list after list, in file order; reversed means byte by byte
#   concat               the variants in order; if byte8 (one byte eight times) occurs, byte 00..ff is the outer loop
#   hash                 inputs, then take (first or last sixteen bytes of the digest), then algorithms; reversed = the sixteen bytes backwards
#   interleave           one byte of the first, one of the second, eight times; reversed = the sixteen bytes backwards
#   pattern              A = 00..ff (outer loop), B = 00..ff (inner), digit 0 = a zero byte
# needs: what the frame must have shown; families with an empty list also serve data frames without a join (ABP session keys).
# count: candidates in the family, repeated ones included (a one-byte repetition stands in two patterns; MD5's first and last
# sixteen bytes are the same). sha256: over all keys of the family for the example EUIs, in order: proves a complete enumeration.
# Base and list together are the 198,012 candidates of LAF. One 32-bit MIC lets 198,012 / 2^32 = 0.0046 % of honest devices
# through by chance: a key is proved only by a second join request with another DevNonce, or by its join accept.
# LAF hands EUIs to its library in frame order and the library (read in its upstream form) reverses every computed key. The pairs, interleavings and fills
# that it tries in effect stand in the families here; its hashes are in hash-backwards, its patterns in pattern-last and pattern-head.
"""


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        assert '"' not in value and "\\" not in value
        return f'"{value}"'
    return "[" + ", ".join(toml(v) for v in value) + "]"


def main(data):
    keys = [l.strip().lower() for l in open(data / "lorawan_keys.tsv") if not l.startswith("#")][1:]
    overlap = set(keys) & set(ADDED)
    added = {k: v for k, v in ADDED.items() if k not in overlap}
    if overlap:
        print("already listed:", *sorted(overlap))
    lists = {"rolaguard-2021": sorted(set(keys)), "citytap": sorted(added)}
    with open(HERE / "keys" / "lorawan.tsv", "w", newline="\n") as out:
        out.write(LIST_HEADER + "key\tlist\torigin\n")
        for name in lists:
            for key in lists[name]:
                out.write(f"{key}\t{name}\t{ADDED[key] if name == 'citytap' else origin(key)}\n")

    as_bytes = {n: [bytes.fromhex(k) for k in v] for n, v in lists.items()}
    dev, join = bytes.fromhex(DEV_EUI), bytes.fromhex(JOIN_EUI)
    totals, distinct, body = {"base": 0, "added": 0}, {"base": set(), "added": set()}, []
    for f in FAMILIES:
        found = list(expand(f, dev, join, as_bytes))
        assert all(len(k) == 16 for k in found)
        totals[f["set"]] += len(found)
        distinct[f["set"]].update(found)
        wanted = sorted({0, len(found) // 3, len(found) - 1})
        lines = ["[[family]]"]
        for field in ("id", "set", "name", "description", "needs", "kind", "lists", "variants", "inputs", "algorithms", "take", "reversed", "template"):
            if field in f:
                if field in ("variants", "inputs") and len(f[field]) > 4:
                    lines += [f"{field} = ["] + [f"  {toml(v)}," for v in f[field]] + ["]"]
                else:
                    lines.append(f"{field} = {toml(f[field])}")
        lines.append(f"count = {len(found)}")
        lines.append(f'sha256 = "{hashlib.sha256(b"".join(found)).hexdigest()}"')
        lines.append("examples = [")
        lines += [f'  {{ index = {i}, key = "{found[i].hex()}" }},' for i in wanted]
        lines.append("]")
        body.append("\n".join(lines))
    assert totals["base"] == 198012, totals
    with open(HERE / "keys" / "lorawan_generator.toml", "w", newline="\n") as out:
        out.write(GENERATOR_HEADER)
        out.write(f'\n[example]\ndev_eui = "{DEV_EUI}"\njoin_eui = "{JOIN_EUI}"\n')
        out.write(f"\n[totals]\nbase = {totals['base']}\nadded = {totals['added']}\n"
                  f"# different keys for the example EUIs\nbase_distinct = {len(distinct['base'])}\nall_distinct = {len(distinct['base'] | distinct['added'])}\n\n")
        out.write("\n\n".join(body) + "\n")
    print({n: len(v) for n, v in lists.items()}, totals, len(distinct["base"]), len(distinct["base"] | distinct["added"]))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
