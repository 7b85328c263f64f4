#!/usr/bin/env python3
"""Build vendors/oui.tsv.gz and vendors/lwm2m_objects.tsv.

    npm pack oui-data@2.1.9 && tar xzf oui-data-2.1.9.tgz
    python3 signatures/build/vendors.py DATA_DIR package/index.json

DATA_DIR holds lwm2m_objects.tsv. The gzip carries no name and no time, so the same input gives the same bytes.
"""
import gzip
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent

# Legal forms that say nothing about who the vendor is; taken off the end, as often as they stand there.
LEGAL = re.compile(
    r"[\s,.;]*\b(inc|incorporated|corp|corporation|co|company|ltd|limited|llc|l\.l\.c|plc|gmbh|ag|kg|kgaa|gmbh\s*&\s*co|mbh|s\.?a\.?s|s\.?a|s\.?r\.?l|"
    r"s\.?p\.?a|b\.?v|n\.?v|a/s|aps|oy|oyj|ab|as|asa|pty|pte|pvt|private|sdn|bhd|k\.k|s\.?r\.?o|spol|z\s*o\.?\s*o|sp|d\.o\.o|doo|kft|zrt|lda|ltda|uab|"
    r"co\.,?\s*ltd|e\.?u|ooo|jsc|inc\.?com|s\.?l|a\.s)\b[\s,.;&]*$", re.IGNORECASE)
TIDY = {"IEEE Registration Authority": None}
LONGEST = 40


def short(text):
    name = re.sub(r"\s+", " ", text.split("\n")[0]).strip(" .,;\"'\t")
    if name in TIDY:
        return TIDY[name]
    while True:
        cut = LEGAL.sub("", name).strip(" .,;&")
        if cut == name or len(cut) < 2:
            break
        name = cut
    name = re.sub(r"\s*\((?:[^)]*)\)\s*$", "", name) or name
    if len(name) > LONGEST:
        name = name[:LONGEST + 1].rsplit(" ", 1)[0].strip(" .,;&-(")
    return name


def oui(path):
    names = {}
    for prefix, text in json.load(open(path, encoding="utf-8")).items():
        name = short(text)
        if name:
            names[prefix.lower()] = name
    # One spelling for one vendor: the most frequent wins, so that gzip and people see it once.
    spellings = {}
    for name in names.values():
        spellings.setdefault(name.casefold(), {}).setdefault(name, 0)
        spellings[name.casefold()][name] += 1
    best = {}
    for folded, found in spellings.items():
        def rank(item):
            name, count = item
            return (count, not name.isupper(), not name.islower(), name)
        best[folded] = max(found.items(), key=rank)[0]
    lines = ["# IEEE MAC and EUI prefixes (24, 28 and 36 bits: 6, 7 and 9 hexadecimal digits) and a short vendor name; the longest prefix wins.",
             "# source; licence: npm oui-data 2.1.9, made from the IEEE registries; BSD-2-Clause (LICENSES/BSD-2-oui-data.txt)",
             "# Legal forms cut off, names over 40 characters shortened, blocks of the IEEE Registration Authority itself left out. Made by build/vendors.py.",
             "prefix\tvendor"]
    lines += [f"{p}\t{best[n.casefold()]}" for p, n in sorted(names.items())]
    with open(HERE / "vendors" / "oui.tsv.gz", "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=9) as out:
            out.write(("\n".join(lines) + "\n").encode())
    print(len(names), "prefixes")


def lwm2m(data):
    rows = [l.rstrip("\n").split("\t") for l in open(data / "lwm2m_objects.tsv", encoding="utf-8") if not l.startswith("#")][1:]
    with open(HERE / "vendors" / "lwm2m_objects.tsv", "w", encoding="utf-8", newline="\n") as out:
        out.write("# LwM2M objects and resources: ids, names, operations, types. A row with an empty resource names the object.\n"
                  "# source; licence: github OpenMobileAlliance/lwm2m-registry b62ffc2 2024-02-22; BSD-3-Clause (LICENSES/BSD-3-lwm2m-registry.txt)\n"
                  "# Made by build/vendors.py; do not edit by hand.\n"
                  "object\tresource\tname\toperations\ttype\n")
        for row in rows:
            row += [""] * (5 - len(row))
            out.write("\t".join(re.sub(r"\s+", " ", c).strip() for c in row) + "\n")
    print(len(rows), "rows,", sum(1 for r in rows if not r[1]), "objects")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    lwm2m(Path(sys.argv[1]))
    oui(sys.argv[2])
