#!/usr/bin/env python3
"""Where a replay spends its time: profile.py CAPTURE. Samples `citytap replay` on one thread with perf (Debian's linux-perf) and counts each sample for the innermost part of the
program in its stack. Needs the release build that `make bench` makes."""
import collections
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CITYTAP = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/citytap"
# A name of a function, generic arguments left out, and the part that it belongs to.
PARTS = [
    ("capture files", "capture::file|capture::window|pcap_parser|capture::merge"),
    ("packets peeled, sent to shards", "link::peel|etherparse|dispatch::dispatch"),
    ("flow table", "flow::table|flow::wheel"),
    ("streams, TCP, recognition", "pipeline::|stream::|transport::"),
    ("decoders", "protocols::|sensor::json"),
    ("observer: facts and records hashed and copied", "hot::"),
    ("rules asked in the shard", "RuleSet::observe|rules::predicate|rules::index|rules::values"),
    ("epochs in order", "engine::Cold::epoch|hot::order"),
    ("inventory", "inventory::"),
    ("rules counted", "rules::stage|rules::correlate"),
    ("detectors", "detectors::"),
    ("key audit", "analyzer::keys"),
    ("judgement: answers, findings", "findings::"),
    ("signatures and classes", "signatures::"),
    ("screen", "screen"),
]


def without_generics(line):
    """`a<b<c>>::d` as `a::d`."""
    while "<" in line and (shorter := re.sub(r"<[^<>]*>", "", line)) != line:
        line = shorter
    return line


def part(stack):
    for line in stack:
        for name, pattern in PARTS:
            if re.search(pattern, without_generics(line)):
                return name
    return "other"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: profile.py CAPTURE")
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        record = ["perf", "record", "-o", data, "-F", "120", "--call-graph", "dwarf,24000", CITYTAP, "replay", sys.argv[1], "--threads", "1"]
        subprocess.run(record, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        script = subprocess.run(["perf", "script", "-i", data, "-F", "ip,sym,time"], check=True, capture_output=True, text=True).stdout
    stacks = [sample.strip().split("\n")[1:] for sample in script.split("\n\n")]
    stacks = [stack for stack in stacks if stack]
    for name, count in collections.Counter(map(part, stacks)).most_common():
        print(f"{100 * count / len(stacks):5.1f} %  {name}")


if __name__ == "__main__":
    main()
