#!/usr/bin/env python3
"""Build advisories/labelled.tsv.gz: pairs of what a device says and what an advisory says, with whether the one concerns the other.

    python3 signatures/build/advisory_labels.py DATA_DIR

DATA_DIR holds csaf_ot.tsv.gz. The labels do not come from the program's matcher, and share no code with it. Most follow from how a pair is made:
a version is made below, at or above the bound of an advisory, a name is spelt in other ways, a product is taken that is another one. Where
both sides are plain numbers, tuples of numbers are compared as well, and a pair on which the two disagree is an error. The rest were
judged by hand, one device at a time (HAND).

What a label means:
    affected  the same part number or the same name, and a version that the advisory names
    possible  the same product and all versions, or versions said in words, or a version that cannot be read; or a variant of the product
              whose version is among those named
    unknown   the same product, and no version to hold against those named
    none      another product, another maker, or a version that is not named
"""
import gzip
import random
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / "advisories"
PICK = random.Random(20261128)

# Other spellings of makers, as devices have them.
SPELT = {
    "Siemens": ["Siemens", "SIEMENS AG", "Siemens AG", "siemens"],
    "Schneider Electric Software, LLC": ["Schneider Electric", "SCHNEIDER ELECTRIC", "Schneider-Electric", "Telemecanique", "Schneider Electric SE"],
    "Rockwell Automation": ["Rockwell Automation", "Allen-Bradley", "Rockwell Automation, Inc.", "Rockwell Automation/Allen-Bradley"],
    "Mitsubishi Electric": ["Mitsubishi Electric", "MITSUBISHI ELECTRIC CORPORATION", "Mitsubishi"],
    "Moxa": ["Moxa", "MOXA Inc.", "Moxa Technologies Co., Ltd", "moxa"],
    "WAGO": ["WAGO", "WAGO Kontakttechnik GmbH & Co. KG", "Wago"],
    "Phoenix Contact": ["Phoenix Contact", "PHOENIX CONTACT GmbH & Co. KG"],
    "Advantech": ["Advantech", "Advantech Co. Ltd", "ADVANTECH"],
    "ABB": ["ABB", "ABB Oy", "abb ab"],
    "Delta Electronics": ["Delta Electronics", "Delta", "DELTA ELECTRONICS, INC."],
    "Omron": ["Omron", "OMRON Corporation"],
    "Hikvision": ["Hikvision", "HIKVISION", "Hangzhou Hikvision Digital Technology Co., Ltd."],
    "Honeywell": ["Honeywell", "Honeywell International Inc."],
    "AutomationDirect": ["AutomationDirect", "Automation Direct"],
    "Yokogawa": ["Yokogawa"], "Emerson": ["Emerson", "Emerson Process Management"], "Eaton": ["Eaton", "Eaton Corporation"],
    "Weidmueller": ["Weidmueller", "Weidmüller"], "Weintek": ["Weintek"], "Westermo": ["Westermo"], "Teltonika": ["Teltonika", "Teltonika Networks"],
    "InHand Networks": ["InHand Networks", "InHand"], "Red Lion": ["Red Lion", "Red Lion Controls"], "Sierra Wireless": ["Sierra Wireless"],
    "Carlo Gavazzi": ["Carlo Gavazzi", "Carlo Gavazzi Controls"], "Unitronics": ["Unitronics", "Unitronics Ltd"],
    "HMS Networks": ["HMS Networks", "HMS Industrial Networks AB"], "Grundfos Pumps Corporation": ["Grundfos", "Grundfos Holding A/S"],
    "Hitachi Energy": ["Hitachi Energy"], "Philips": ["Philips"],
}
# Who makes none of the others' products.
STRANGERS = ["Siemens", "Moxa", "WAGO", "Phoenix Contact", "Teltonika", "Kamstrup", "Milesight", "Dragino", "Yokogawa", "Eaton"]
NUMBER = r"\d+(?:\.\d+)*"
FILLERS = re.compile(r"(?i)\b(series|firmware|family|controllers?|routers?|all references|versions?)\b")


def rows(data):
    seen = set()
    for line in gzip.open(data / "csaf_ot.tsv.gz", "rt", encoding="utf-8"):
        if line.startswith(("#", "advisory\t")):
            continue
        advisory, _, _, _, _, vendor, product, models, version = line.rstrip("\n").split("\t")
        vendor = {"Schneider Electric": "Schneider Electric Software, LLC", "Mitsubishi Electric Corporation": "Mitsubishi Electric"}.get(vendor.strip(), vendor.strip())
        row = (vendor, re.sub(r"\s+", " ", product).strip(), models, re.sub(r"\s+", " ", version).strip(), advisory)
        if row not in seen and row[0] in SPELT:
            seen.add(row)
            yield row


def text(numbers, like):
    """Numbers as a version, written as wide as the example's parts are."""
    widths = [len(p) if p.startswith("0") else 0 for p in like.split(".")]
    return ".".join(str(n).zfill(w) for n, w in zip(numbers, widths))


def below(version):
    """Versions before a dotted one, the nearest first."""
    parts = [int(p) for p in version.split(".")]
    found = []
    for at in range(len(parts) - 1, -1, -1):
        if parts[at] > 0:
            less = parts[:at] + [parts[at] - 1] + ([9 if not p.startswith("0") or len(p) == 1 else int("9" * len(p)) for p in version.split(".")[at + 1:]])
            found.append(text(less, version))
    return [v for v in found if any(int(p) for p in v.split("."))]


def above(version):
    parts = [int(p) for p in version.split(".")]
    found = []
    for at in range(len(parts) - 1, -1, -1):
        limit = 10 ** len(version.split(".")[at]) - 1
        if parts[at] < limit:
            found.append(text(parts[:at] + [parts[at] + 1] + [0] * (len(parts) - at - 1), version))
    return found


def numbers(version):
    return tuple(int(p) for p in re.sub(r"^[Vv]", "", version).split("."))


def cases(versions):
    """(version of a device, label) for versions as published; None where this script does not understand them."""
    t = re.sub(r"^vers:all/", "", versions.replace("_", " "))
    t = re.sub(r"(?i)^all (firmware )?versions?\s*(?=[<>])", "", t).strip()
    if versions in ("vers:all/*", "All versions", "All Versions"):
        return [("1.0", "possible"), ("7.3.2", "possible"), ("", "possible")]
    m = re.fullmatch(rf"<\s*[Vv]?\s?({NUMBER})", t)
    if m and len(m[1]) > 2:
        b = m[1]
        made = [(v, "affected") for v in below(b)[:2]] + [(b, "none"), ("V" + b, "none")] + [(v, "none") for v in above(b)[:2]] + [("", "unknown")]
        for v, label in made:
            if v and (numbers(v) < numbers(b)) != (label == "affected"):
                sys.exit(f"two ways to judge {v} {t} disagree")
        return made
    m = re.fullmatch(rf"<=\s*[Vv]?\s?({NUMBER})", t)
    if m and len(m[1]) > 2:
        b = m[1]
        made = [(v, "affected") for v in below(b)[:1]] + [(b, "affected"), ("v" + b, "affected")] + [(v, "none") for v in above(b)[:2]] + [("", "unknown")]
        for v, label in made:
            if v and (numbers(v) <= numbers(b)) != (label == "affected"):
                sys.exit(f"two ways to judge {v} {t} disagree")
        return made
    m = re.fullmatch(rf">=?\s*[Vv]?({NUMBER})\s*(?:\||and)?\s*(<=?)\s*[Vv]?({NUMBER})", t)
    if m and "." in m[1] and "." in m[3] and len(m[1].split(".")) == len(m[3].split(".")) and numbers(m[1]) < numbers(m[3]) and t.startswith(">="):
        low, sign, high = m.groups()
        return [(v, "none") for v in below(low)[:1]] + [(low, "affected")] + [(v, "none") for v in above(high)[:1]] \
            + [(high, "affected" if sign == "<=" else "none"), ("", "unknown")]
    m = re.fullmatch(rf"<\s*[Vv]?({NUMBER}) SP(\d+)", t)
    if m:
        base, sp = m[1], int(m[2])
        made = [(f"V{base} SP{sp}", "none"), (f"{base} SP{sp + 1}", "none"), ("", "unknown")]
        made += [(f"V{base} SP{sp - 1}", "affected")] if sp > 1 else []
        return made + [(v, "affected") for v in below(base)[:1]] + [(v, "none") for v in above(base)[:1]]
    m = re.fullmatch(rf"<\s*[Vv]?({NUMBER})(?: SP(\d+))? (HF|Upd|Update) ?(\d+)", t)
    if m:
        base, sp, word, n = m[1], m[2], m[3], int(m[4])
        stem = base + (f" SP{sp}" if sp else "")
        other = {"Upd": "Update ", "Update": "Upd", "HF": "HF"}[word]
        made = [(f"{stem} {other}{n}", "none"), (f"V{stem} {word}{n + 1}", "none"), ("", "unknown")]
        made += [(f"V{stem} {other}{n - 1}", "affected")] if n > 1 else []
        return made + [(v, "affected") for v in below(base)[:1]] + [(v, "none") for v in above(base)[:1]]
    m = re.fullmatch(rf"<=\s*({NUMBER})([A-Y])", t)
    if m and m[2] not in "AX":
        return [(m[1] + chr(ord(m[2]) - 1), "affected"), (m[1] + m[2], "affected"), (m[1] + chr(ord(m[2]) + 1), "none"), ("", "unknown")]
    m = re.fullmatch(r"< FW(\d+)", t)
    if m:
        n = int(m[1])
        return [(f"FW{n - 1:02}", "affected"), (f"FW{n:02}", "none"), (f"FW{n + 1:02}", "none"), (str(n - 1), "affected"), ("02.07.07", "possible"), ("", "unknown")]
    m = re.fullmatch(rf"<=\s*({NUMBER}) [Bb]uild (\d+)", t)
    if m:
        n = int(m[2])
        return [(f"{m[1]} build {n - 1}", "affected"), (f"{m[1]} Build {n}", "affected"), (f"{m[1]} Build {n + 1}", "none"), ("", "unknown")]
    m = re.fullmatch(rf"(?:({NUMBER}) \| )+({NUMBER})", t)
    if m and all("." in p for p in t.split(" | ")) and len({len(p.split(".")) for p in t.split(" | ")}) == 1:
        named = t.split(" | ")
        return [(v, "affected") for v in named[:2]] + [(v, "none") for v in above(named[-1])[:1] if v not in named] + [("", "unknown")]
    if re.search(r"(?i)serial|only affected|if |with |BIOS|January|April|without", t):
        return [("1.0", "possible"), ("4.2.1", "possible"), ("", "possible")]
    return None


def own_name(vendor, product):
    """The product's name without its maker and words that name no product."""
    name = re.sub(r"\s*\([^)]*\)", "", product)
    for word in re.split(r"\W+", vendor):
        if len(word) > 2:
            name = re.sub(rf"(?i)^{re.escape(word)}\s+", "", name)
    return re.sub(r"\s+", " ", FILLERS.sub("", name)).strip(" ,-")


def spellings(name):
    return list(dict.fromkeys([name, name.upper(), name.lower(), name.replace("-", " "), name.replace(" ", "-")]))


def is_plain(product):
    """A name of one product: no list, no part of a product, no software for it, nothing left open."""
    words = r"(?i),|;|/|\band\b|\bor\b|\*|□|\[|\]|xx|\bx\b|\bfor\b|with|server|serial|bios|operating|image|web|dtm|all |part n|version|V\d|incl|" \
            r"suite|client|engine|component|interface|card|option|safety|utility|studio|configur|editor|designer|software|tool|viewer|app\b|" \
            r"windows|android|ios|using|only|sdk|library|driver|loader|simulator|workbench|programming|Series [A-Z]\b"
    return not re.search(words, product)


def pairs(data):
    table = list(rows(data))
    for row in PICK.sample([r for r in table if r[2]], 700):
        yield from by_number(row)
    named = [r for r in table if not r[2] and is_plain(r[1]) and re.search(r"\d", own_name(r[0], r[1])) and not re.search(r"6[A-Z]{2}\d|\(", r[1])]
    for row in PICK.sample(named, min(550, len(named))):
        yield from by_name(row)
    series = [r for r in named if re.search(r"(?i)series", r[1])]
    for row in PICK.sample(series, min(60, len(series))):
        yield from variants(row)
    yield from other_products(table, named)
    yield from by_hand(table)


def spelt_number(number):
    m = re.fullmatch(r"(6[A-Z]{2}\d)(\S+)", number)
    return PICK.choice([number, number.lower()] + ([f"{m[1]} {m[2]}"] * 2 if m else []))


def by_number(row):
    vendor, product, number, versions, _ = row
    made = cases(versions)
    if made is None or re.search(r"\bV\d", product):
        return
    for version, label in PICK.sample(made, min(4, len(made))):
        yield "part number", PICK.choice(SPELT[vendor]), spelt_number(number), version, row, label
    yield "part number, other maker", PICK.choice([s for s in STRANGERS if s not in SPELT[vendor]]), number, made[0][0], row, "none"
    if made[0][1] == "affected":
        yield "version that is none", PICK.choice(SPELT[vendor]), spelt_number(number), PICK.choice(["unknown", "n/a", "latest", "see label", "A/B"]), row, "possible"


def by_name(row):
    vendor, product, _, versions, _ = row
    made = cases(versions)
    name = own_name(vendor, product)
    if made is None or len(name) < 3:
        return
    for version, label in PICK.sample(made, min(4, len(made))):
        yield "name", PICK.choice(SPELT[vendor]), PICK.choice(spellings(name)), version, row, label
    yield "name, other maker", PICK.choice([s for s in STRANGERS if s not in SPELT[vendor]]), name, made[0][0], row, "none"


def variants(row):
    """A device that says more than the series: it is one of them, perhaps."""
    made = cases(row[3])
    if made is None:
        return
    for version, label in made[:4]:
        suffix = PICK.choice([" SC-T", " rev B", " (EU)", " T"])
        yield "variant", PICK.choice(SPELT[row[0]]), own_name(row[0], row[1]) + suffix, version, row, "possible" if label == "affected" else label


def other_products(table, named):
    """The same maker's other products: other part numbers of the same look, other names with other digits."""
    by_vendor = {}
    for row in table:
        if row[2]:
            by_vendor.setdefault(row[0], {}).setdefault(row[2], []).append(row)
    for vendor, numbered in by_vendor.items():
        all_numbers = sorted(numbered)
        for number in PICK.sample(all_numbers, min(260, len(all_numbers))):
            near = [n for n in all_numbers if n != number and n[:6] == number[:6]]
            other = PICK.choice(near or [n for n in all_numbers if n != number] or [number])
            if other != number:
                yield "other part number", PICK.choice(SPELT[vendor]), spelt_number(number), "1.0.0", PICK.choice(numbered[other]), "none"
    digits = lambda name: {w for w in re.split(r"[\s/]+", name.lower()) if re.search(r"\d", w)}
    names = {}
    for row in named:
        if len(digits(own_name(row[0], row[1]))) == 1:
            names.setdefault(row[0], {}).setdefault(own_name(row[0], row[1]), []).append(row)
    for vendor, known in names.items():
        all_names = sorted(known)
        for name in PICK.sample(all_names, min(60, len(all_names))):
            # As alike as there are: the longest common beginning.
            others = [n for n in all_names if not digits(n) & digits(name) and not digits(n).pop().startswith(digits(name).pop()[:-1]) or
                      (len(digits(n).pop()) == len(digits(name).pop()) and digits(n) != digits(name))]
            others = [n for n in others if re.sub(r"\W", "", n.lower()) not in re.sub(r"\W", "", name.lower())
                      and re.sub(r"\W", "", name.lower()) not in re.sub(r"\W", "", n.lower()) and not digits(n).pop().endswith("00")]
            if others:
                shared = lambda n: len(re.match(rf"[{re.escape(name.lower())}]*", n.lower())[0])
                other = PICK.choice(sorted(others, key=lambda n: (-shared(n), n))[:4])
                yield "other name", PICK.choice(SPELT[vendor]), name, "1.0", PICK.choice(known[other]), "none"


# Devices as they were seen on the wire (or as their makers' manuals say they answer), each with the advisories that were read for it and what a
# person says of them: (maker, product, model, version, product of the advisory, versions, label).
HAND = [
    # Modbus function 43/14 and 17.
    ("Schneider Electric", "Modicon M340", "BMX P34 2020", "v2.50", "Modicon M340", "< 3.01", "affected"),
    ("Schneider Electric", "Modicon M340", "BMX P34 2020", "v3.20", "Modicon M340", "< 3.01", "none"),
    ("Schneider Electric", "Modicon M340", "BMX P34 2020", "", "Modicon M340", "< 3.01", "unknown"),
    ("Schneider Electric", "Modicon M340", "BMX P34 2020", "v2.50", "Modicon M340 CPU (part numbers BMXP34*)", "vers:all/*", "possible"),
    ("Schneider Electric", "Modicon M340", "BMX P34 2020", "v2.50", "Modicon M340 CPU (part numbers BMXP34*)", "< SV3.51", "affected"),
    ("Schneider Electric", "Modicon M340", "BMX P34 2020", "v3.60", "Modicon M340 CPU (part numbers BMXP34*)", "< SV3.51", "none"),
    ("Schneider Electric", "Modicon M340", "BMX P34 2020", "v2.50", "Modicon M580", "< 2.80", "none"),
    ("Schneider Electric", "Modicon M340", "BMX P34 2020", "v2.50", "Modicon Premium", "< 3.20", "none"),
    ("Schneider Electric", "Modicon M580", "BME P58 2040", "v2.70", "Modicon M580", "< 2.80", "affected"),
    ("Schneider Electric", "Modicon M580", "BME P58 2040", "v2.80", "Modicon M580", "< 2.80", "none"),
    ("Schneider Electric", "Modicon M580", "BME P58 2040", "v2.80", "Modicon M340", "< 3.01", "none"),
    ("Schneider Electric", "Modicon M221", "TM221CE24R", "1.5.0.0", "Modicon M221 all references", "< 1.6.2.0", "affected"),
    ("Schneider Electric", "Modicon M221", "TM221CE24R", "1.10.2.2", "Modicon M221 all references", "< 1.6.2.0", "none"),
    ("Schneider Electric", "Modicon M221", "TM221CE24R", "1.6.0.1", "Modicon M221", "< 1.5.0.0", "none"),
    ("Schneider Electric", "Modicon M221", "TM221CE24R", "1.6.0.1", "Modicon M221", "<1.6.2.0", "affected"),
    ("Schneider Electric", "Modicon M221", "TM221CE24R", "1.10.2.2", "Modicon M221", "vers:all/*", "possible"),
    ("Schneider Electric", "Modicon M221", "TM221CE24R", "1.10.2.2", "Modicon M251", "< 4.0.5.11", "none"),
    ("Schneider Electric", "", "PM5560", "2.5.3", "PowerLogic PM5560", "< 2.5.4", "affected"),
    ("Schneider Electric", "", "PM5560", "2.5.4", "PowerLogic PM5560", "< 2.5.4", "none"),
    ("Schneider Electric", "", "METSEPM5560", "2.5.3", "PowerLogic PM5560", "< 2.5.4", "affected"),
    ("Schneider Electric", "PM5560", "METSEPM5560", "2.5.3", "PowerLogic PM5560", "< 2.5.4", "affected"),
    ("Schneider Electric", "iEM3000", "METSEEM3122", "001.000.004", "PowerLogic PM5560", "< 2.5.4", "none"),
    ("Schneider Electric", "", "140 CPU 651 60", "3.10", "Modicon Quantum", "< 3.52", "affected"),
    ("Schneider Electric", "", "140 CPU 651 60", "3.60", "Modicon Quantum", "< 3.52", "none"),
    ("Siemens", "SIMATIC S7", "6ES7 214-1AG40-0XB0", "V4.4.0", "SIMATIC S7-1200 CPU family (incl. SIPLUS variants)", "< V4.5.0", "affected"),
    ("Siemens", "SIMATIC S7", "6ES7 214-1AG40-0XB0", "V4.5.0", "SIMATIC S7-1200 CPU family (incl. SIPLUS variants)", "< V4.5.0", "none"),
    ("Siemens", "SIMATIC S7", "6ES7 214-1AG40-0XB0", "V4.4.0", "SIMATIC S7-1200 CPU family (incl. SIPLUS variants)", "< V4.2.3", "none"),
    ("Siemens", "SIMATIC S7", "6ES7 214-1AG40-0XB0", "V4.4.0", "SIMATIC S7-1200 CPU family (incl. SIPLUS variants)", "vers:all/<V4.6.0", "affected"),
    ("Siemens", "SIMATIC S7", "6ES7 214-1AG40-0XB0", "V4.5.1", "SIMATIC S7-1200 CPU family (incl. SIPLUS variants)", "vers:all/>=V4.5.0<V4.5.2", "affected"),
    ("Siemens", "SIMATIC S7", "6ES7 214-1AG40-0XB0", "V4.4.0", "SIMATIC S7-1200 CPU family (incl. SIPLUS variants)", ">= 4.4.0 (only affected by CVE-2019-10943)", "possible"),
    ("Siemens", "SIMATIC S7", "6ES7 214-1AG40-0XB0", "V4.4.0", "SIMATIC S7-1200 CPU 1214C DC/DC/DC (6ES7214-1AG40-0XB0)", "vers:all/*", "possible"),
    ("Siemens", "SIMATIC S7", "6ES7 214-1AG40-0XB0", "V4.4.0", "SIMATIC S7-1200 CPU 1214C AC/DC/Rly (6ES7214-1BG40-0XB0)", "vers:all/*", "none"),
    ("Siemens", "SIMATIC S7", "6ES7 214-1AG40-0XB0", "V4.4.0", "SIPLUS S7-1200 CP 1243-1 (6AG1243-1BX30-2AX0)", "< V3.3.46", "none"),
    ("Siemens", "SENTRON PAC", "7KM2112-0BA00-3AA0", "2.4.0", "SENTRON PAC3200", "< V2.4.5", "affected"),
    ("Siemens", "SENTRON PAC", "7KM2112-0BA00-3AA0", "2.4.6", "SENTRON PAC3200", "< V2.4.5", "none"),
    ("Siemens", "SENTRON PAC", "7KM2112-0BA00-3AA0", "2.4.6", "SENTRON PAC3200", "< V2.4.7", "affected"),
    ("Siemens", "SENTRON PAC", "7KM2112-0BA00-3AA0", "2.4.6", "SENTRON PAC3200T", "< V3.2.2", "none"),
    ("WAGO", "I/O System 750", "750-881", "01.07.13", "750-881", "< FW14", "possible"),
    ("WAGO", "I/O System 750", "750-881", "13", "750-881", "< FW14", "affected"),
    ("WAGO", "I/O System 750", "750-881", "14", "750-881", "< FW14", "none"),
    ("WAGO", "I/O System 750", "750-881", "13", "750-889", "< FW14", "none"),
    ("WAGO", "I/O System 750", "750-8202", "02.06.15(9)", "750-8202", "< 02.07.07(10)", "affected"),
    ("WAGO", "I/O System 750", "750-8202", "03.10.08", "750-8202", "< 02.07.07(10)", "none"),
    ("WAGO", "PFC200", "750-8212/025-000", "03.10.08", "750-8202", "< 02.07.07(10)", "none"),
    ("WAGO", "PFC200", "750-8212", "03.10.08", "PFC200", ">FW16_up_to_and_including_FW26", "possible"),
    ("WAGO", "PFC200", "750-8212", "FW22", "PFC200", ">FW16_up_to_and_including_FW26", "affected"),
    ("WAGO", "PFC200", "750-8212", "FW27", "PFC200", ">FW16_up_to_and_including_FW26", "none"),
    ("WAGO", "PFC200", "750-8212", "03.10.08", "Series PFC200", "750-82xx/xxx-xxx", "possible"),
    ("WAGO", "PFC200", "750-8212", "03.10.08", "Series PFC100", "750-81xx/xxx-xxx", "none"),
    ("Moxa", "", "UC-8112A-ME-T", "1.3.1", "UC-8100A-ME-T System Image", ">= 1.0 | <= 1.6", "possible"),
    ("Moxa", "", "UC-8112A-ME-T", "1.3.1", "UC-8100-ME-T System Image", ">= 3.0 | <= 3.1", "none"),
    ("Moxa", "", "ioLogik 2512", "2.9", "ioLogik 2500 series", "<= 3.0", "possible"),
    ("Moxa", "", "ioLogik E1210", "2.9", "ioLogik 2500 series", "<= 3.0", "none"),
    ("Moxa", "", "MGate MB3280", "4.0", "MGate MB3280 Series", "<= 4.1", "affected"),
    ("Moxa", "", "MGate MB3280", "4.2", "MGate MB3280 Series", "<= 4.1", "none"),
    ("Moxa", "", "MGate MB3180", "4.0", "MGate MB3280 Series", "<= 4.1", "none"),
    ("Moxa", "", "MGate MB3280", "4.0", "MGate MB3480 Series", "<= 3.2", "none"),
    ("Moxa", "", "NPort 5110", "2.6", "NPort 5110", "2.6", "affected"),
    ("Moxa", "", "NPort 5110", "2.8", "NPort 5110", "2.6", "none"),
    ("Grundfos", "", "CIM 500", "2.04", "CIM 500", "< 06.16.00", "affected"),
    ("Grundfos", "", "CIM 500", "06.16.00", "CIM 500", "< 06.16.00", "none"),
    ("Grundfos", "", "CU 352", "6.00.03", "CIM 500", "< 06.16.00", "none"),
    ("Carlo Gavazzi", "", "VMU-C EM", "A11_U04", "VMU-C EM", "< A11_U05", "affected"),
    ("Carlo Gavazzi", "", "VMU-C EM", "A11_U05", "VMU-C EM", "< A11_U05", "none"),
    ("Carlo Gavazzi", "", "VMU-C PV", "A16", "VMU-C PV", "< A17", "affected"),
    ("Carlo Gavazzi", "", "VMU-C PV", "A17", "VMU-C PV", "< A17", "none"),
    ("Carlo Gavazzi", "", "EM24", "A16", "VMU-C PV", "< A17", "none"),
    ("Advantech", "", "ADAM-3600", "2.6.2", "ADAM-3600", "<= 2.6.2", "affected"),
    ("Advantech", "", "ADAM-3600", "2.6.3", "ADAM-3600", "<= 2.6.2", "none"),
    ("Advantech", "", "ADAM-6050", "2.6.2", "ADAM-3600", "<= 2.6.2", "none"),
    ("Advantech", "", "ADAM-5630", "2.5.1", "Advantech ADAM-5630", "<v2.5.2", "affected"),
    ("Advantech", "", "ADAM-5550", "1.0", "Advantech ADAM 5550", "vers:all/*", "possible"),
    ("Unitronics", "", "Vision 120", "4.3", "Vision 120", "vers:all/*", "possible"),
    ("Unitronics", "", "Vision 130", "4.3", "Vision 120", "vers:all/*", "none"),
    ("Phoenix Contact", "", "TC ROUTER 3002T-4G", "2.06.5", "TC ROUTER 3002T-4G", "< 2.07.2", "affected"),
    ("Phoenix Contact", "", "TC ROUTER 3002T-4G", "2.07.2", "TC ROUTER 3002T-4G", "< 2.07.2", "none"),
    ("Phoenix Contact", "", "AXC F 2152", "2019.0.3", "AXC 3050", "2700989", "none"),
    ("Teltonika", "", "RUT955", "00.07.02", "RUT model routers", ">=00.07.00|<=00.07.03.4", "affected"),
    ("InHand Networks", "", "IR615", "2.3.0.r4724", "IR615 Router", "<= 2.3.0.r5417", "affected"),
    ("InHand Networks", "", "IR615", "2.3.0.r5542", "IR615 Router", "<= 2.3.0.r5417", "none"),
    ("Hikvision", "", "DS-2CD2132F-I", "V5.3.0 build 150513", "DS-2CD2xx2F-I Series", ">= 5.2.0 build 140721 | <= 5.4.0 build 160530", "possible"),
    ("Hikvision", "", "DS-2CD2132F-I", "V5.4.5 build 170123", "DS-2CD2xx2F-I Series", ">= 5.2.0 build 140721 | <= 5.4.0 build 160530", "none"),
    ("Hikvision", "", "DS-2CD2142FWD-I", "V5.3.0 build 150513", "DS-2CD2xx2F-I Series", ">= 5.2.0 build 140721 | <= 5.4.0 build 160530", "none"),
    # The maker is known by the prefix of an address alone, or not at all.
    ("prefix:Siemens", "", "6ES7 214-1AG40-0XB0", "V4.4.0", "SIMATIC S7-1200 CPU family (incl. SIPLUS variants)", "< V4.5.0", "possible"),
    ("prefix:Moxa", "", "MGate MB3280", "4.0", "MGate MB3280 Series", "<= 4.1", "possible"),
    ("Texas Instruments", "", "MGate MB3280", "4.0", "MGate MB3280 Series", "<= 4.1", "none"),
    ("Espressif", "Tasmota", "Sonoff POW R2", "13.3.0(tasmota)", "MGate MB3280 Series", "<= 4.1", "none"),
]

# $SYS/broker/version of brokers, and firmware that hubs and gateways tell: rows of city.tsv, with the versions as the CVE records name them, (from, to).
BROKERS = [
    ("Eclipse", "Mosquitto", ["1.4.8", "1.4.14", "1.5.2", "1.5.8", "1.6.4", "1.6.9", "2.0.7", "2.0.9", "2.0.11", "2.0.15", "2.0.18", "2.0.22"], {
        "CVE-2017-7650": ((0,), (1, 4, 11)), "CVE-2017-7651": ((0, 15), (1, 4, 14)), "CVE-2017-7653": ((0,), (1, 4, 15)),
        "CVE-2018-12543": ((1, 5), (1, 5, 2)), "CVE-2018-12546": ((1, 0), (1, 5, 5)), "CVE-2019-11778": ((1, 6, 0), (1, 6, 4)),
        "CVE-2021-28166": ((2, 0, 0), (2, 0, 9)), "CVE-2021-34431": ((1, 6), (2, 0, 10)), "CVE-2021-34432": ((0,), (2, 0, 7)),
        "CVE-2021-34434": ((2, 0, 0), (2, 0, 11)), "CVE-2021-41039": ((1, 6), (2, 0, 11)), "CVE-2023-0809": ((0,), (2, 0, 15, 9)),
        "CVE-2023-28366": ((1, 3, 2), (2, 0, 15, 9)), "CVE-2024-8376": ((0,), (2, 0, 18, 9)), "CVE-2024-3935": ((2, 0, 0), (2, 0, 18))}),
    ("EMQ", "EMQX", ["4.1.2", "4.2.7", "4.2.8", "5.3.2"], {"CVE-2021-33175": ((0,), (4, 2, 7))}),
    ("VMware", "RabbitMQ", ["3.7.8", "3.8.15", "3.8.16", "3.12.1"], {"CVE-2021-22116": ((0,), (3, 8, 15))}),
    ("Tasmota", "Tasmota", ["6.5.0", "9.5.0(tasmota)", "12.5.0(tasmota)", "13.3.0(tasmota)"], {"CVE-2021-36603": ((6, 5, 0), (6, 5, 0))}),
    ("ESPHome", "ESPHome", ["2021.8.2", "2021.9.1", "2021.9.2", "2023.12.5", "2025.8.0", "2025.12.6", "2025.12.7"], {
        "CVE-2021-41104": ((0,), (2021, 9, 1)), "CVE-2025-57808": ((2025, 8, 0), (2025, 8, 0)), "CVE-2026-23833": ((2025, 9, 0), (2025, 12, 6))}),
    ("MikroTik", "RouterOS", ["6.41.3", "6.42.1", "6.48.6", "6.49.5", "6.49.7", "7.11"], {"CVE-2018-14847": ((0,), (6, 42)), "CVE-2023-30799": ((0,), (6, 49, 6))}),
    ("Milesight", "UR35", ["35.3.0.6", "35.3.0.7", "35.3.0.8"], {"CVE-2023-43261": ((0,), (35, 3, 0, 6))}),
    ("Kerlink", "KerOS", ["5.10", "5.11.2", "5.12", "6.0.1"], {"CVE-2024-32388": ((0,), (5, 11, 9))}),
]


def by_hand(table):
    for maker, product, model, version, named, versions, label in HAND:
        found = [r for r in table if r[1] == named and r[3] == versions] or \
            [r for r in table if r[1] == named and r[3].replace(" ", "") == versions.replace(" ", "")]
        if not found:
            sys.exit(f"no row is about {named} {versions}")
        for row in found[:3]:
            yield "by hand", maker, "|".join(filter(None, (product, model))), version, row, label
    city = [l.rstrip("\n").split("\t") for l in open(HERE / "city.tsv", encoding="utf-8") if not l.startswith("#")][1:]
    for vendor, product, versions, ranges in BROKERS:
        for row in (r for r in city if r[0] == vendor and r[1] == product and r[4] in ranges):
            low, high = ranges[row[4]]
            for version in versions:
                numbers = tuple(int(p) for p in re.match(NUMBER, version)[0].split("."))
                label = "affected" if low <= numbers <= high else "none"
                # 6.42.1 is RouterOS 6.42 with something mended: whether `through 6.42` means it is not said.
                if (row[4], version) == ("CVE-2018-14847", "6.42.1"):
                    label = "possible"
                yield "by hand", vendor, product, version, (vendor, product, "", row[3], row[9]), label


def main():
    data = Path(sys.argv[1])
    lines = ["# Pairs of what a device says and a row of the advisories, with whether the one concerns the other. Made by build/advisory_labels.py, which says how; for tests.",
             "# source; licence: CISA OT advisories (github cisagov/CSAF 6960219f), works of the United States Government; labels: citytap",
             "kind\tmaker\tnames\tversion\tproduct\tpart_numbers\tversions\tadvisory\tlabel"]
    counts, seen = {}, set()
    for kind, maker, names, version, row, label in pairs(data):
        line = "\t".join((kind, maker, names, version, row[1], row[2], row[3], row[4], label))
        if line not in seen:
            seen.add(line)
            lines.append(line)
            counts[kind, label] = counts.get((kind, label), 0) + 1
    with open(HERE / "labelled.tsv.gz", "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=9) as out:
            out.write(("\n".join(lines) + "\n").encode())
    for (kind, label), count in sorted(counts.items()):
        print(f"{count:6}  {kind}: {label}")
    print(f"{len(lines) - 3:6}  pairs, {(HERE / 'labelled.tsv.gz').stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
