#!/usr/bin/env python3
"""Check everything in signatures/: formats, headers, duplicates, every worked example.

    python3 signatures/build/check.py

Needs Python 3.11 and nothing else. Prints what is wrong with file and place; exit code 1 if anything is.
"""
import gzip
import hashlib
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

from lorawan_families import expand

HERE = Path(__file__).resolve().parent.parent
PROBLEMS = []
COUNTS = []

CREDENTIAL_LISTS = {"broker-default", "platform-default", "device-default", "guide-placeholder", "mirai", "default-credentials"}
COAP_KINDS = {"psk", "psk-key", "psk-identity", "psk-identity-prefix", "oscore", "spki"}
VENDOR_KINDS = {"eui-prefix", "block", "join-eui"}
SETTABLE = {"vendor", "product", "model", "firmware", "software", "hardware", "serial", "name", "class"}
ABOUT = {"self", "broker", "gateway"}
CONFIDENCE = ("high", "medium", "low")
VALUE_KINDS = {"object", "role", "service", "fingerprint", "ha_component", "ha_device_class", "cadence"}
PATTERN_KINDS = {"word", "vendor", "zigbee_model", "sparkplug_metric", "core_rt"}
POINTS = {10, 20, 30, 40, 60}
# What Python's re accepts and Rust's regex does not.
NOT_RUST = re.compile(r"\(\?(?:=|!|<=|<!|>|\(|P=|#)|\\[1-9]|\\Z|[*+?}]\+")


def problem(path, text):
    PROBLEMS.append(f"{path.relative_to(HERE)}: {text}")


def lines_of(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as f:
        return f.read().split("\n")


def table(name, columns):
    """The rows of a TSV file, after checking its header, columns and trailing newline."""
    path = HERE / name
    lines = lines_of(path)
    if lines[-1] != "":
        problem(path, "no newline at the end")
    body = [(n, l) for n, l in enumerate(lines[:-1], 1) if not l.startswith("#")]
    if not body or body[0][1].split("\t") != columns:
        problem(path, f"the first row must name the columns {columns}")
        return path, []
    rows = []
    for n, l in body[1:]:
        cells = l.split("\t")
        if len(cells) != len(columns):
            problem(path, f"line {n}: {len(cells)} columns, expected {len(columns)}")
        else:
            rows.append((n, dict(zip(columns, cells))))
    COUNTS.append((name, len(rows), path.stat().st_size))
    return path, rows


def unique(path, rows, key):
    seen = {}
    for n, r in rows:
        k = key(r)
        if k in seen:
            problem(path, f"line {n}: repeats line {seen[k]}")
        seen.setdefault(k, n)


def is_hex(text, *lengths):
    return bool(re.fullmatch(r"[0-9a-f]+", text)) and (not lengths or len(text) in lengths)


def pattern(path, where, text):
    if NOT_RUST.search(text):
        problem(path, f"{where}: uses what Rust's regex does not have: {text}")
    try:
        return re.compile(text)
    except re.error as e:
        problem(path, f"{where}: {e}: {text}")
        return None


def headers():
    for path in sorted(HERE.rglob("*")):
        if path.suffix not in (".tsv", ".toml", ".gz"):
            continue
        if path.stat().st_size > 1_000_000:
            problem(path, "over 1 MB: compress it")
        head = [l for l in lines_of(path)[:8] if l.startswith("#")]
        if not any(l.startswith("# source; licence:") for l in head):
            problem(path, "no '# source; licence:' line at the top")
        for licence in re.findall(r"LICENSES/[\w.-]+\w", "\n".join(head)):
            if not (HERE / licence).is_file():
                problem(path, f"names {licence}, which does not exist")


def credentials():
    path, rows = table("credentials/mqtt.tsv", ["list", "vendor_product", "username", "password", "applies_to", "source"])
    unique(path, rows, lambda r: (r["username"], r["password"]))
    for n, r in rows:
        if not set(r["list"].split(";")) <= CREDENTIAL_LISTS:
            problem(path, f"line {n}: unknown list {r['list']}")
        if r["username"] == r["password"] == "<blank>":
            problem(path, f"line {n}: nothing to try")
        if not all(r.values()):
            problem(path, f"line {n}: an empty cell")


def lorawan_keys():
    path, rows = table("keys/lorawan.tsv", ["key", "list", "origin"])
    unique(path, rows, lambda r: r["key"])
    lists = {}
    for n, r in rows:
        if not is_hex(r["key"], 32):
            problem(path, f"line {n}: not sixteen bytes in lowercase hex")
        else:
            lists.setdefault(r["list"], []).append(bytes.fromhex(r["key"]))
    if len(lists.get("rolaguard-2021", [])) != 334:
        problem(path, "the RoLaGuard list has 334 keys")

    path = HERE / "keys" / "lorawan_generator.toml"
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    dev, join = (bytes.fromhex(data["example"][k]) for k in ("dev_eui", "join_eui"))
    totals, ids, base, everything = Counter(), set(), set(), set()
    for f in data["family"]:
        if f["id"] in ids:
            problem(path, f"{f['id']}: twice")
        ids.add(f["id"])
        found = list(expand(f, dev, join, lists))
        totals[f["set"]] += len(found)
        everything.update(found)
        if f["set"] == "base":
            base.update(found)
        if len(found) != f["count"]:
            problem(path, f"{f['id']}: {len(found)} candidates, {f['count']} stated")
        if hashlib.sha256(b"".join(found)).hexdigest() != f["sha256"]:
            problem(path, f"{f['id']}: digest differs")
        for e in f["examples"]:
            if found[e["index"]].hex() != e["key"]:
                problem(path, f"{f['id']}: example {e['index']} differs")
    want = {"base": totals["base"], "added": totals["added"], "base_distinct": len(base), "all_distinct": len(everything)}
    if data["totals"] != want or totals["base"] != 198012:
        problem(path, f"totals are {want}")
    COUNTS.append(("keys/lorawan_generator.toml", len(data["family"]), path.stat().st_size))


def coap_keys():
    path, rows = table("keys/coap.tsv", ["kind", "list", "identity", "key", "salt", "id_context", "origin", "source"])
    unique(path, rows, lambda r: (r["kind"], r["identity"], r["key"], r["salt"], r["id_context"]))
    for n, r in rows:
        if r["kind"] not in COAP_KINDS:
            problem(path, f"line {n}: unknown kind {r['kind']}")
        for column in ("key", "salt", "id_context"):
            if r[column] != "-" and (not is_hex(r[column]) or len(r[column]) % 2):
                problem(path, f"line {n}: {column} is not lowercase hex")
        if r["kind"] == "oscore" and not re.fullmatch(r"(?:empty|[0-9a-f]{2,14})/(?:empty|[0-9a-f]{2,14})", r["identity"]):
            problem(path, f"line {n}: identity must be sender/recipient in hex")
        if r["kind"] == "spki" and not is_hex(r["key"], 64):
            problem(path, f"line {n}: not a SHA-256")


def tls_keys():
    path, rows = table("keys/tls_spki.tsv", ["spki_sha256", "vendors", "products"])
    unique(path, rows, lambda r: r["spki_sha256"])
    for n, r in rows:
        if not is_hex(r["spki_sha256"], 64) or not r["vendors"] or not r["products"].isdigit():
            problem(path, f"line {n}: bad row")


def vendors():
    path, rows = table("vendors/oui.tsv.gz", ["prefix", "vendor"])
    unique(path, rows, lambda r: r["prefix"])
    oui = {r["prefix"]: r["vendor"] for _, r in rows}
    if list(oui) != sorted(oui):
        problem(path, "not sorted")
    if path.stat().st_size > 500_000:
        problem(path, "over 500 kB")
    for n, r in rows:
        if not is_hex(r["prefix"], 6, 7, 9) or not r["vendor"].strip():
            problem(path, f"line {n}: bad row")

    path, rows = table("vendors/lorawan.tsv", ["kind", "prefix", "vendor", "registered", "note"])
    unique(path, rows, lambda r: (r["kind"], r["prefix"]))
    for n, r in rows:
        if r["kind"] not in VENDOR_KINDS or not r["vendor"]:
            problem(path, f"line {n}: bad row")
        elif not is_hex(r["prefix"], *((16,) if r["kind"] == "join-eui" else (6, 7, 9))):
            problem(path, f"line {n}: bad prefix")
        elif r["kind"] != "join-eui" and oui.get(r["prefix"]) != r["registered"]:
            problem(path, f"line {n}: {r['prefix']} is registered to {oui.get(r['prefix'])}")

    path, rows = table("vendors/modbus.tsv", ["alias", "vendor"])
    unique(path, rows, lambda r: r["alias"])
    aliases = {r["alias"]: r["vendor"] for _, r in rows}
    if list(aliases) != sorted(aliases):
        problem(path, "not sorted")
    for n, r in rows:
        if r["alias"] != alias_form(r["alias"]) or aliases.get(alias_form(r["vendor"]), r["vendor"]) != r["vendor"]:
            problem(path, f"line {n}: alias not in its plain form, or its vendor is an alias of another")

    path, rows = table("vendors/lwm2m_objects.tsv", ["object", "resource", "name", "operations", "type"])
    unique(path, rows, lambda r: (r["object"], r["resource"]))
    objects = set()
    for n, r in rows:
        if not r["object"].isdigit() or (r["resource"] and not r["resource"].isdigit()) or not r["name"]:
            problem(path, f"line {n}: bad row")
        if not r["resource"]:
            objects.add(r["object"])
    return aliases, objects


def advisories():
    city, rows = table("advisories/city.tsv", ["vendor", "product", "models", "versions", "cve", "cvss", "cwe", "fixed", "published", "source"])
    unique(city, rows, lambda r: (r["vendor"], r["product"], r["cve"]))
    if [r for _, r in rows] != sorted((r for _, r in rows), key=lambda r: tuple(r.values())):
        problem(city, "not sorted")
    for n, r in rows:
        if not re.fullmatch(r"CVE-\d{4}-\d{4,}", r["cve"]) or not re.fullmatch(r"(?:\d{1,2}\.\d)?", r["cvss"]):
            problem(city, f"line {n}: no CVE, or no CVSS score")
        if not r["versions"] or not r["source"].startswith("https://") or not re.fullmatch(r"\d{4}-\d\d-\d\d", r["published"]):
            problem(city, f"line {n}: versions, source or date are missing")
    ends, rows = table("advisories/end_of_life.tsv", ["vendor", "product", "versions", "ends", "source"])
    unique(ends, rows, lambda r: (r["vendor"], r["product"], r["versions"]))
    for n, r in rows:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", r["ends"]) or not r["source"].startswith("https://"):
            problem(ends, f"line {n}: no date, or no source")
    names, rows = table("advisories/vendors.tsv", ["alias", "vendor"])
    unique(names, rows, lambda r: r["alias"])
    wire, rows = table("advisories/products.tsv", ["wire", "maker", "vendor", "product", "source"])
    unique(wire, rows, lambda r: r["wire"])
    for n, r in rows:
        if not r["source"] or "*" in r["wire"][:-1]:
            problem(wire, f"line {n}: no source, or a `*` that is not at the end")
    # What the pack was made from, as far as it lies here, is what lies here.
    pack = HERE / "advisories" / "pack.tsv.gz"
    lines = lines_of(pack)
    made_from = {l.split(" ")[2]: l.split(" ")[-1] for l in lines[:10] if l.startswith("# from: ")}
    for path in (city, names, wire):
        if made_from.get(path.name) != hashlib.sha256(path.read_bytes()).hexdigest():
            problem(path, "the pack was made from another one: run build/advisories.py")
    COUNTS.append(("advisories/pack.tsv.gz", sum(l.startswith("R\t") for l in lines), pack.stat().st_size))


def alias_form(text):
    return re.sub(r"\s+", " ", text.replace("\0", "")).strip().rstrip(".,").lower()


def matched(rule, given):
    """The attributes that the rule sets for these inputs, or None."""
    groups = {}
    for condition in rule["when"]:
        found = re.search(condition["matches"], given[condition["attribute"]]) if condition["attribute"] in given else None
        if not found:
            return None
        groups.update({k: v for k, v in found.groupdict().items() if v})
    result = {}
    for key, value in rule["set"].items():
        names = re.findall(r"\$\{(\w+)\}", value)
        if all(n in groups for n in names):
            result[key] = re.sub(r"\$\{(\w+)\}", lambda m: groups[m[1]], value)
    return result


def fingerprints(classes, aliases):
    rules, ids = [], set()
    for path in sorted((HERE / "fingerprints").glob("*.toml")):
        found = tomllib.loads(path.read_text(encoding="utf-8"))["fingerprint"]
        COUNTS.append((f"fingerprints/{path.name}", len(found), path.stat().st_size))
        for rule in found:
            name = rule.get("id", "?")
            if set(rule) - {"about"} != {"id", "when", "set", "confidence", "source", "example"}:
                problem(path, f"{name}: keys are {sorted(rule)}")
                continue
            if name in ids:
                problem(path, f"{name}: twice")
            ids.add(name)
            compiled = [pattern(path, name, c["matches"]) for c in rule["when"]]
            if None in compiled:
                continue
            if not set(rule["set"]) <= SETTABLE or rule["confidence"] not in CONFIDENCE or rule.get("about", "self") not in ABOUT:
                problem(path, f"{name}: unknown attribute, confidence or about")
            if rule["set"].get("class", classes[0]) not in classes:
                problem(path, f"{name}: unknown class {rule['set']['class']}")
            groups = {g for c in compiled for g in c.groupindex}
            used = set(re.findall(r"\$\{(\w+)\}", "".join(rule["set"].values())))
            if not used <= groups:
                problem(path, f"{name}: uses {used - groups}, which no pattern names")
            if not rule["example"]:
                problem(path, f"{name}: no example")
            rules.append((path, rule))
    for path, rule in rules:
        for example in rule["example"]:
            got = matched(rule, example["input"])
            if got is None or any(got.get(k) != v for k, v in example["expect"].items()) or not example["expect"]:
                problem(path, f"{rule['id']}: example gives {got}, expected {example['expect']}")
            # No two rules of equal confidence may disagree about one message.
            said = {}
            for _, other in rules:
                for key, value in (matched(other, example["input"]) or {}).items():
                    if key == "vendor":
                        value = aliases.get(alias_form(value), value)
                    where = (key, other["confidence"], other.get("about", "self"))
                    if said.setdefault(where, (value, other["id"]))[0] != value:
                        problem(path, f"{rule['id']}: {other['id']} says {key} = {value}, {said[where][1]} says {said[where][0]}")


def class_ids():
    path = HERE / "classes.toml"
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    ids = [c["id"] for c in data["class"]]
    if len(set(ids)) != len(ids):
        problem(path, "a class twice")
    for c in data["class"]:
        if not {"id", "singular", "plural"} <= set(c) <= {"id", "singular", "plural", "is_a"} or c.get("is_a", ids[0]) not in ids:
            problem(path, f"{c['id']}: keys are {sorted(c)}, or is_a names no class")
    return path, data, ids


def classes(path, data, ids, objects):
    COUNTS.append(("classes.toml", len(ids) + len(data["evidence"]), path.stat().st_size))
    seen, used = set(), set()
    for n, e in enumerate(data["evidence"], 1):
        where = f"evidence {n} ({e.get('value', e.get('matches'))})"
        if set(e) - {"value", "matches", "with_role", "without_role"} != {"kind", "class", "points", "reason", "source"}:
            problem(path, f"{where}: keys are {sorted(e)}")
            continue
        if e["class"] not in ids and e["class"] != "*":
            problem(path, f"{where}: unknown class {e['class']}")
        used.add(e["class"])
        if e["points"] not in POINTS:
            problem(path, f"{where}: {e['points']} points")
        if e["kind"] in VALUE_KINDS and "value" in e:
            if e["kind"] == "object" and e["value"] not in objects:
                problem(path, f"{where}: no such LwM2M object")
        elif e["kind"] in PATTERN_KINDS and "matches" in e:
            pattern(path, where, e["matches"])
            if e["kind"] not in data["kinds"]:
                problem(path, f"{where}: [kinds] does not say what {e['kind']} reads")
        else:
            problem(path, f"{where}: kind and value do not fit")
        key = (e["kind"], e.get("value"), e.get("matches"), e["class"], e.get("with_role"))
        if key in seen:
            problem(path, f"{where}: twice")
        seen.add(key)
    by_fingerprint = {r["set"].get("class") for p in (HERE / "fingerprints").glob("*.toml")
                      for r in tomllib.loads(p.read_text(encoding="utf-8"))["fingerprint"]}
    for unused in set(ids) - used - by_fingerprint:
        problem(path, f"nothing speaks for class {unused}")
    for name, expected in data["example"].items():
        got = score(data, expected["device"])
        if got != (expected["class"], expected["points"]):
            problem(path, f"example {name} gives {got}")


def score(data, device):
    """The class and the points that a device's evidence gives it; ("unclassed", best) below publish_at."""
    points = Counter()
    words = {}
    for e in data["evidence"]:
        if "with_role" in e and e["with_role"] not in device.get("role", []):
            continue
        if "without_role" in e and e["without_role"] in device.get("role", []):
            continue
        if "value" in e:
            for value in device.get(e["kind"], []):
                if e["kind"] == "fingerprint":
                    confidence, name = value.split(":")
                    if confidence == e["value"]:
                        points[name] += e["points"]
                elif value == e["value"]:
                    points[e["class"]] += e["points"]
        else:
            for attribute in data["kinds"][e["kind"]]:
                if any(re.search(e["matches"], v) for v in device.get(attribute, [])):
                    if e["kind"] == "word":
                        slot = (e["class"], attribute)
                        bonus = data["scoring"]["profile_bonus"] if attribute == "profile" else 0
                        words[slot] = max(words.get(slot, 0), e["points"] + bonus)
                    else:
                        points[e["class"]] += e["points"]
                        break
    for (name, _), p in words.items():
        points[name] += p
    order = [c["id"] for c in data["class"]]
    own = Counter(points)
    for c in data["class"]:
        if own[c["id"]] and "is_a" in c:
            points[c["id"]] += own[c["is_a"]]
    points = +points
    if not points:
        return "unclassed", 0
    best = min(points, key=lambda c: (-points[c], order.index(c)))
    total = min(points[best], data["scoring"]["largest"])
    return (best if total >= data["scoring"]["publish_at"] else "unclassed"), total


def clauses():
    path, rows = table("clauses/classes.tsv", ["class", "relation", "standard", "clauses"])
    unique(path, rows, lambda r: (r["class"], r["relation"], r["standard"]))
    for n, r in rows:
        if r["relation"] not in ("contradicts", "supports") or not all(r["clauses"].split("; ")):
            problem(path, f"line {n}: no relation or an empty clause")
    known = {r["class"] for _, r in rows} | {"none"}
    path, rows = table("clauses/checks.tsv", ["check", "classes"])
    unique(path, rows, lambda r: r["check"])
    for n, r in rows:
        for name in r["classes"].split("; "):
            if name not in known:
                problem(path, f"line {n}: no class is called {name}")


def register_columns():
    path, rows = table("register/columns.tsv", ["field", "word"])
    unique(path, rows, lambda r: r["word"])
    if [r["field"] for _, r in rows] != sorted(r["field"] for _, r in rows):
        problem(path, "not sorted by field")


def texts():
    for path in sorted(HERE.rglob("*")):
        if path.is_file() and path.suffix in (".md", ".tsv", ".toml", ".py", ".txt"):
            if re.search(r"(?<![\w.])/(?:work|home|root|tmp)/|registry\.npm|GNU General", path.read_text(encoding="utf-8")):
                if path.name != "check.py":
                    problem(path, "names a machine path, a registry host or a licence that must not be here")


def main():
    headers()
    texts()
    credentials()
    lorawan_keys()
    coap_keys()
    tls_keys()
    aliases, objects = vendors()
    advisories()
    path, data, ids = class_ids()
    fingerprints(ids, aliases)
    classes(path, data, ids, objects)
    clauses()
    register_columns()
    for name, count, size in COUNTS:
        print(f"{count:7} {size:9,} B  {name}")
    for p in PROBLEMS:
        print(p, file=sys.stderr)
    print("ok" if not PROBLEMS else f"{len(PROBLEMS)} problems")
    return bool(PROBLEMS)


if __name__ == "__main__":
    sys.exit(main())
