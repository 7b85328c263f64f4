#!/usr/bin/env python3
"""What a packet costs: citytap replay against tcpdump (the cost of merely reading) and, where installed, Suricata.

Every run is a process of its own; its CPU time, wall time and peak memory are the kernel's (wait4). Runs are paired: one of each tool in turn,
so that a busy machine slows them alike, and a ratio is the median of the pairs' ratios. Nothing here is a test: no time is asserted.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "bench"
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
CITYTAP = TARGET / "release/citytap"
WORKLOAD = TARGET / "quick/workload"
PROTOCOLS = ["modbus", "mqtt", "coap", "lwm2m", "lorawan"]


def workloads(megabytes):
    """Name, arguments of the generator, what it is."""
    small = max(megabytes // 4, 1)
    yield "mixed", ["mixed", str(megabytes), *PROTOCOLS], f"{megabytes} MB of all captures in pcaps/, multiplied"
    yield "steady", ["steady", "100000", "2000000"], "100,000 concurrent long flows"
    for protocol in PROTOCOLS:
        yield protocol, ["mixed", str(small), protocol], f"{protocol} alone"
    for flows in (10_000, 100_000, 1_000_000):
        # Each flow speaks every five seconds, so that only their number differs.
        yield f"scale-{flows}", ["steady", str(flows), str(flows * 10), str(flows // 5)], f"{flows:,} flows, ten packets each"
    yield "flood", ["flood", "2000000"], "every packet of a new address, client, device or topic"


def capture(name, arguments):
    """The workload's file, written where it is not there yet, and its number of packets."""
    path, count = FOLDER / f"{name}.pcap", FOLDER / f"{name}.packets"
    key = " ".join(arguments)
    if not path.exists() or not count.exists() or count.read_text().split("\n")[1:2] != [key]:
        FOLDER.mkdir(exist_ok=True)
        out = subprocess.run([WORKLOAD, arguments[0], path, *arguments[1:]], check=True, capture_output=True, text=True).stdout
        count.write_text(f"{out.strip()}\n{key}")
    # Into the page cache, piece by piece: a process begins with the peak memory of the one that starts it.
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass
    return path, int(count.read_text().split("\n")[0])


def measure(command):
    """CPU seconds, wall seconds, peak memory in MB of one run."""
    null = os.open(os.devnull, os.O_RDWR)
    with tempfile.TemporaryFile() as errors:
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)]
        start = time.monotonic()
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        wall = time.monotonic() - start
        os.close(null)
        if status != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{errors.read().decode(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def commands(path, scratch):
    """The tools, tcpdump first: all ratios are against it."""
    tcpdump = shutil.which("tcpdump")
    yield "tcpdump -w /dev/null", [tcpdump, "-r", str(path), "-w", "/dev/null"]
    for threads in ("1", "2"):
        yield f"citytap replay, {threads} thread" + "s" * (threads != "1"), [str(CITYTAP), "replay", str(path), "--threads", threads]
    if suricata := shutil.which("suricata"):
        yield "suricata", [suricata, "-r", str(path), "-l", scratch, "-k", "none"]


def spread(values, unit=1.0, digits=2):
    low, middle, high = min(values) * unit, statistics.median(values) * unit, max(values) * unit
    return f"{middle:9.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def compare(name, what, path, packets, runs):
    print(f"\n{name}: {what}; {packets:,} packets, {path.stat().st_size / 1e6:,.0f} MB, {runs} paired runs")
    print(f"  {'':24} {'CPU s (min-max)':>24} {'x tcpdump':>10} {'wall s (min-max)':>24} {'x tcpdump':>10} {'ns/packet':>10} {'packets/s':>12} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        tools = list(commands(path, scratch))
        taken = {tool: [] for tool, _ in tools}
        for _ in range(runs):
            for tool, command in tools:
                taken[tool].append(measure(command))
    base = taken[tools[0][0]]
    for tool, _ in tools:
        cpu, wall, memory = zip(*taken[tool])
        ratio = [statistics.median(mine[at] / theirs[at] for mine, theirs in zip(taken[tool], base)) for at in (0, 1)]
        middle = statistics.median(wall)
        print(
            f"  {tool:24} {spread(cpu):>24} {ratio[0]:10.2f} {spread(wall):>24} {ratio[1]:10.2f}"
            f" {statistics.median(cpu) / packets * 1e9:10.0f} {packets / middle:12,.0f} {max(memory):8.0f}"
        )


def stages(path):
    """Time by stage of one run, as the program tells it."""
    done = subprocess.run([CITYTAP, "replay", path, "--timings"], capture_output=True, text=True)
    if done.returncode == 0:
        print("  time by stage, one thread:")
        print("".join(f"    {line.strip()}\n" for line in done.stderr.splitlines()), end="")


def rule(number):
    """A rule of a person's own that asks for one of many values, as most rules do."""
    service, field, value = [
        ("modbus", "modbus.address", 60000 + number),
        ("mqtt", "mqtt.topic", f"city/lamp/{number}/set"),
        ("coap", "coap.uri_path", f"/actuators/{number}"),
        ("lorawan", "lorawan.dev_addr", f"'{0x26000000 + number:08x}'"),
    ][number % 4]
    return (
        f"title: bench {number}\nname: bench-{number}\nlogsource:\n  product: citytap\n  service: {service}\n"
        f"detection:\n  selection:\n    {field}: {value}\n  condition: selection\n"
    )


def with_rules(runs, rules=1000):
    """What a thousand rules cost beside those that come with the program."""
    path, packets = capture("rules", ["mixed", "50", *PROTOCOLS])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules.yml").write_text("---\n".join(map(rule, range(rules))))
        plain = [str(CITYTAP), "replay", str(path)]
        pairs = [(measure([*plain, "--rules", folder])[0], measure(plain)[0]) for _ in range(runs)]
    ratio = statistics.median(more / less for more, less in pairs)
    own, shipped = zip(*pairs)
    print(f"\n{rules:,} rules more, {packets:,} packets: {spread(own)} s CPU, without {spread(shipped)} s CPU: {ratio:.2f} times")


def against_tshark(runs):
    """decode to JSON against tshark's."""
    tshark = shutil.which("tshark")
    if not tshark:
        return
    path, packets = capture("decode", ["mixed", "10", *PROTOCOLS])
    ours = [measure([str(CITYTAP), "decode", str(path)])[0] for _ in range(runs)]
    theirs = [measure([tshark, "-n", "-r", str(path), "-T", "json"])[0] for _ in range(max(runs // 2, 1))]
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"\ndecode to JSON, {packets:,} packets: citytap {spread(ours)} s CPU, tshark -T json {spread(theirs)} s CPU: {ratio:.1f} times faster")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="paired runs of each workload")
    parser.add_argument("--megabytes", type=int, default=200, help="size of the mixed workload")
    parser.add_argument("--only", default="", help="workloads whose names begin with one of these, separated by commas")
    parser.add_argument("--capture", type=Path, help="measure this capture instead")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}; {subprocess.run([CITYTAP, '--version'], capture_output=True, text=True).stdout.strip()}")
    if options.capture:
        counted = subprocess.run(["tcpdump", "-r", options.capture, "--count"], capture_output=True, text=True).stdout
        compare(options.capture.name, "as given", options.capture, int(counted.split()[0]), options.runs)
        return stages(options.capture)
    wanted = tuple(options.only.split(","))
    for name, arguments, what in workloads(options.megabytes):
        if name.startswith(wanted):
            path, packets = capture(name, arguments)
            compare(name, what, path, packets, options.runs)
            stages(path)
    if "rules".startswith(wanted):
        with_rules(options.runs)
    if "decode".startswith(wanted):
        against_tshark(options.runs)


if __name__ == "__main__":
    main()
