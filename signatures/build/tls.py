#!/usr/bin/env python3
"""Build keys/tls_spki.tsv.

    python3 signatures/build/tls.py DATA_DIR

DATA_DIR holds known_tls_keys.tsv. Only hashes of public keys are kept, never a private key.
"""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
HEADER = """\
# Certificates whose private key is public: SHA-256 of the SubjectPublicKeyInfo, and whose products carry it. One row per hash.
# source; licence: computed from github sec-consult/houseofkeys b4c8ee4 2016-09-06; the repository has no licence, so only facts (hashes, vendor names, a count) are kept.
# products: number of product images that the source counts for the key. Made by build/tls.py; do not edit by hand.
"""


def main(data):
    rows = [l.rstrip("\n").split("\t") for l in open(data / "known_tls_keys.tsv") if not l.startswith("#")][1:]
    with open(HERE / "keys" / "tls_spki.tsv", "w", newline="\n") as out:
        out.write(HEADER + "spki_sha256\tvendors\tproducts\n")
        keys = {}
        for spki, vendors, _examples, products in sorted(rows):
            names, count = keys.setdefault(spki, ([], []))
            names += [v for v in vendors.split("; ") if v and v not in names]
            count.append(int(products))
        for spki, (names, count) in keys.items():
            out.write(f"{spki}\t{'; '.join(sorted(names)) or 'several'}\t{sum(count)}\n")
    print(len(keys), "hashes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
