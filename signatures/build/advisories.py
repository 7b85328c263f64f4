#!/usr/bin/env python3
"""Build advisories/pack.tsv.gz.

    python3 signatures/build/advisories.py DATA_DIR           writes the pack
    python3 signatures/build/advisories.py DATA_DIR --check   says whether the pack is what this script makes

DATA_DIR holds csaf_ot.tsv.gz and kev.tsv. What else goes in stands in advisories/: city.tsv (rows by hand), vendors.tsv and
products.tsv (names). The gzip carries no name and no time, so the same input gives the same bytes.

The pack is text, one thing a line, its kind in the first cell:

    C  cve, CVSS base score in tenths (empty where none is published), CWE number, date of CISA's catalogue of exploited
       weaknesses (empty where it is not in it), `r` where ransomware used it
    W  name on the wire, maker that the device must name (or `any`), vendor, product
    V  vendor, its other names joined with `|`, in their compared form
    P  product as published, part numbers joined with `|`; of the last V
    R  versions as published, fixed version where the source says it apart, advisory, CVEs by their place among the C lines, joined with
       `,`, each as the distance to the one before; of the last P

Versions and products stay as they were published: reading them is the program's work, and what it cannot read it must not decide.
"""
import gzip
import hashlib
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / "advisories"

# Makers whose rows of the catalogue of exploited weaknesses are taken in although they name no versions: what they make hangs in a city's
# streets and cabinets. Of all others the catalogue only marks CVEs that an advisory names.
EXPLOITED = {
    "Amcrest", "Crestron", "D-Link", "Dahua", "Dasan", "Delta Electronics", "Digiever", "DrayTek", "Edimax", "FXC", "GeoVision", "Hikvision",
    "Lantronix", "MikroTik", "NETGEAR", "NUUO", "Netis", "Nice", "PTZOptics", "QNAP", "Reolink", "Rockwell", "Ruckus Wireless",
    "Schneider Electric", "Siemens", "Sierra Wireless", "Sunhillo", "TP-Link", "TVT", "Tenda", "Trihedral", "Ubiquiti", "Unitronics",
    "Zyxel",
}

# Legal forms: taken off the end of a maker's name, as often as they stand there.
LEGAL = set("inc incorporated corp corporation co company ltd limited llc plc gmbh ag kg kgaa mbh sas sa srl spa bv nv as aps oy oyj ab "
            "asa pty pte pvt private sdn bhd kk sro se lda ltda uab jsc sl kft".split())


def key(name):
    """A maker's name as it is compared: lower case, without punctuation and legal forms."""
    words = [w for w in re.split(r"[\W_]+", name.lower()) if w]
    while len(words) > 1 and words[-1] in LEGAL:
        words.pop()
    # `S.A.`, `B.V.`, `A/S`: letters that stand alone.
    while len(words) > 2 and len(words[-1]) == 1 and len(words[-2]) == 1 and words[-2] + words[-1] in LEGAL:
        words = words[:-2]
    return "".join(words)


def table(path):
    lines = [l.rstrip("\n") for l in open(path, encoding="utf-8") if not l.startswith("#")]
    columns = lines[0].split("\t")
    for line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(columns):
            sys.exit(f"{path.name}: {len(cells)} cells, not {len(columns)}: {line}")
        yield dict(zip(columns, cells))


def makers():
    """Name in its compared form -> names of the pack."""
    found = {}
    for row in table(HERE / "vendors.tsv"):
        names = [] if row["vendor"] == "-" else row["vendor"].split(";")
        found[key(row["alias"])] = names
        for name in names:
            found.setdefault(key(name), [name])
    return found


def tidy(text):
    return re.sub(r"\s+", " ", text).strip()


def rows(data):
    """(vendor text, product, part numbers, versions, fixed, advisory, cve, cvss, cwe) from all sources, and the newest date of each."""
    dates = {}
    found = []
    for line in gzip.open(data / "csaf_ot.tsv.gz", "rt", encoding="utf-8"):
        if line.startswith(("#", "advisory\t")):
            continue
        advisory, released, cve, cvss, cwe, vendor, product, models, version = line.rstrip("\n").split("\t")
        dates["csaf_ot.tsv.gz"] = max(dates.get("csaf_ot.tsv.gz", ""), released)
        found.append((vendor, tidy(product), models, tidy(version), "", advisory, cve, cvss, cwe))
    for row in table(HERE / "city.tsv"):
        dates["city.tsv"] = max(dates.get("city.tsv", ""), row["published"])
        found.append((row["vendor"], row["product"], row["models"], row["versions"], row["fixed"], row["source"], row["cve"], row["cvss"],
                      row["cwe"]))
    exploited = {}
    named = {row[6] for row in found}
    for row in table(data / "kev.tsv"):
        dates["kev.tsv"] = max(dates.get("kev.tsv", ""), row["added"])
        exploited[row["cve"]] = (row["added"], "r" if row["ransomware"] == "Known" else "")
        if row["cve"] not in named and row["vendor"].strip() in EXPLOITED and not re.search(r"(?i)multiple|^routers$", row["product"]):
            found.append((row["vendor"], tidy(row["product"]), "", "versions not named", "", "CISA KEV", row["cve"], "",
                          row["cwes"].split(",")[0]))
    return found, exploited, dates


def number(cwe):
    digits = re.search(r"\d+", cwe)
    return digits[0] if digits else ""


def pack(data):
    known = makers()
    found, exploited, dates = rows(data)
    scores, weaknesses = {}, {}
    tree = {}
    for vendor, product, models, version, fixed, advisory, cve, cvss, cwe in found:
        tenths = round(float(cvss) * 10) if cvss else -1
        scores[cve] = max(scores.get(cve, -1), tenths)
        weaknesses.setdefault(cve, number(cwe))
        name = tidy(vendor)
        for maker in known.get(key(name), [short(name)]):
            tree.setdefault(maker, {}).setdefault((product, models), {}).setdefault((version, fixed, advisory), set()).add(cve)
    # One maker for names that compare alike: the first in the alphabet, with upper case after lower case.
    order = sorted(scores, key=lambda c: tuple(int(n) if n.isdigit() else 0 for n in c.split("-")[1:]))
    place = {cve: n for n, cve in enumerate(order)}
    newest = max(dates.values())
    digest = {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
              for p in (data / "csaf_ot.tsv.gz", data / "kev.tsv", HERE / "city.tsv", HERE / "vendors.tsv", HERE / "products.tsv")}
    out = ["# Advisories by maker, product and version. Made by build/advisories.py, which says what the lines are; do not edit by hand.",
           "# source; licence: CISA OT advisories (github cisagov/CSAF 6960219f), works of the United States Government; CISA Known Exploited "
           "Vulnerabilities, CC0 1.0; city.tsv, facts, each with its source",
           f"# date: {newest}"]
    for name in sorted(digest):
        out.append(f"# from: {name} {dates.get(name, '-')} {digest[name]}")
    for cve in order:
        added, ransomware = exploited.get(cve, ("", ""))
        out.append("\t".join(("C", cve, str(scores[cve]) if scores[cve] >= 0 else "", weaknesses[cve], added, ransomware)))
    for row in table(HERE / "products.tsv"):
        maker = row["maker"] if row["maker"] == "any" else known.get(key(row["maker"]), [row["maker"]])[0]
        out.append("\t".join(("W", row["wire"].rstrip(), maker, row["vendor"], row["product"])))
    others = {}
    for alias, names in known.items():
        for name in names:
            if alias != key(name):
                others.setdefault(name, set()).add(alias)
    for maker in sorted(tree):
        out.append("\t".join(("V", maker, "|".join(sorted(others.get(maker, ()))))))
        for product, models in sorted(tree[maker]):
            out.append("\t".join(("P", product, models)))
            for version, fixed, advisory in sorted(tree[maker][product, models]):
                places = sorted(place[cve] for cve in tree[maker][product, models][version, fixed, advisory])
                steps = ",".join(str(b - a) for a, b in zip([0] + places, places))
                out.append("\t".join(("R", version, fixed, advisory, steps)))
    return "\n".join(out) + "\n"


SHORT = {}


def short(name):
    """A maker without a row in vendors.tsv: as published, without legal forms; names that compare alike are one."""
    words = name.strip(" .,;-").split(" ")
    while len(words) > 1 and (re.sub(r"\W", "", words[-1]).lower() in LEGAL or not re.sub(r"\W", "", words[-1])):
        words.pop()
    return SHORT.setdefault(key(name), " ".join(words).strip(" .,;-"))


def main():
    data = Path(sys.argv[1])
    text = pack(data)
    path = HERE / "pack.tsv.gz"
    if "--check" in sys.argv:
        same = path.is_file() and gzip.open(path, "rt", encoding="utf-8").read() == text
        print("the pack is what this script makes" if same else "the pack differs from what this script makes: build it again")
        return not same
    with open(path, "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=9) as out:
            out.write(text.encode())
    kinds = {kind: sum(line.startswith(kind + "\t") for line in text.split("\n")) for kind in "CWVPR"}
    print(f"{len(text):,} bytes, {path.stat().st_size:,} packed: {kinds['C']} CVEs, {kinds['V']} makers, {kinds['P']} products, {kinds['R']} rows")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main())
