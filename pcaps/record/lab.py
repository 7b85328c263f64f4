"""Record a capture case from real software in Linux network namespaces.

A script names its cases with `@case(...)`. Each runs in a `Lab`: hosts are namespaces, joined by a bridge in a namespace of its own ("switch"),
and tcpdump listens on that bridge as a SPAN port would. `main()` at the end of a script runs the cases asked for and writes, for each,
`pcaps/<protocol>/<case>/capture.pcap` and `case.toml`.

Traffic never leaves the namespaces made here; they are removed when the case ends.
"""

import ctypes
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

PCAPS = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("CITYTAP_RECORD_CACHE", Path.home() / ".cache" / "citytap-record"))
CLONE_NEWNET = 0x40000000
SWITCH = "switch"

_libc = ctypes.CDLL(None, use_errno=True)
_fork = multiprocessing.get_context("fork")


def sh(*argv, **kwargs):
    """Run a command; its failure is ours."""
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True, **kwargs).stdout


def enter_namespace(namespace):
    """Move the calling thread (and what it starts) into a namespace."""
    with open(f"/run/netns/{namespace}") as handle:
        if _libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")


class Lab:
    """The hosts, the bridge between them, and the captures of one case."""

    def __init__(self, folder, ipv6=False):
        self.folder = folder
        self.ipv6 = ipv6
        self.tag = f"ct{os.getpid() % 10000}-"
        self.hosts = {}
        self.children = []
        self.work = Path(tempfile.mkdtemp(prefix="citytap-record-"))
        self.namespace(SWITCH)
        self.ip(SWITCH, "link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
        self.ip(SWITCH, "link", "set", "br0", "up")

    def namespace(self, name):
        """A host without an interface."""
        namespace = self.tag + name
        sh("ip", "netns", "add", namespace)
        self.hosts[name] = namespace
        for scope in ("all", "default"):
            if not self.ipv6 or name == SWITCH:
                sh("ip", "netns", "exec", namespace, "sysctl", "-qw", f"net.ipv6.conf.{scope}.disable_ipv6=1")
        self.ip(name, "link", "set", "lo", "up")

    def ip(self, host, *argv):
        """`ip` in the namespace of a host."""
        return sh("ip", "-n", self.hosts[host], *argv)

    def host(self, name, *addresses, mac=None, offload=False, mtu=None):
        """A host with one interface, eth0, on the bridge. Addresses without a prefix length get /24 or /64."""
        self.namespace(name)
        port = f"p{len(self.hosts)}"
        self.ip(SWITCH, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self.hosts[name])
        if mac:
            self.ip(name, "link", "set", "eth0", "address", mac)
        if mtu:
            self.ip(name, "link", "set", "eth0", "mtu", mtu)
        if not offload:
            sh("ip", "netns", "exec", self.hosts[name], "ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        self.ip(SWITCH, "link", "set", port, "master", "br0", "up")
        self.ip(name, "link", "set", "eth0", "up")
        for address in addresses:
            self.address(name, address)
        return name

    def address(self, host, address, interface="eth0"):
        if "/" not in address:
            address += "/64" if ":" in address else "/24"
        extra = ["nodad"] if ":" in address else []
        self.ip(host, "address", "add", address, "dev", interface, *extra)

    def start(self, host, function, *args):
        """Run a function in the namespace of a host, in a process of its own, until the case ends or `stop`."""

        def body():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            try:
                enter_namespace(self.hosts[host])
                function(*args)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            sys.stdout.flush()
            os._exit(0)

        process = _fork.Process(target=body)
        process.start()
        self.children.append(process)
        return process

    def run(self, host, function, *args, timeout=120):
        """Run a function in the namespace of a host and wait for it; it must succeed."""
        process = self.start(host, function, *args)
        process.join(timeout)
        if process.exitcode != 0:
            raise RuntimeError(f"{function.__name__} on {host}: exit code {process.exitcode}")

    def join(self, *processes, timeout=120):
        for process in processes:
            process.join(timeout)
            if process.exitcode != 0:
                raise RuntimeError(f"a process ended with {process.exitcode}")

    def program(self, host, *argv, output=None, **kwargs):
        """Start a program in the namespace of a host; it is stopped when the case ends."""
        log = open(self.work / f"{host}-{Path(str(argv[0])).name}-{len(self.children)}.log", "w") if output is None else output
        process = subprocess.Popen(["ip", "netns", "exec", self.hosts[host], *map(str, argv)],
                                   stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **kwargs)
        self.children.append(process)
        return process

    def command(self, host, *argv, check=True, timeout=60, **kwargs):
        """Run a program in the namespace of a host and return what it printed."""
        done = subprocess.run(["ip", "netns", "exec", self.hosts[host], *map(str, argv)], capture_output=True, text=True, errors="replace",
                              timeout=timeout, stdin=subprocess.DEVNULL, **kwargs)
        if check and done.returncode != 0:
            raise RuntimeError(f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def socket(self, host, kind, bind=None, family=socket.AF_INET):
        """A socket that lives in the namespace of a host and is used from here."""
        made = []

        def body():
            enter_namespace(self.hosts[host])
            made.append(socket.socket(family, kind))
            if bind:
                made[0].bind(bind)

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        made[0].settimeout(5)
        return made[0]

    def inside(self, host, function, *args):
        """Call a function of this process from a thread that is in the namespace of a host (sockets made there stay there), and return its result."""
        result = []

        def body():
            enter_namespace(self.hosts[host])
            try:
                result.append((True, function(*args)))
            except BaseException as error:
                result.append((False, error))

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if not result[0][0]:
            raise result[0][1]
        return result[0][1]

    @staticmethod
    def stop(process):
        """End one process that this lab started."""
        process.terminate()
        try:
            process.wait(5) if isinstance(process, subprocess.Popen) else process.join(5)
        except subprocess.TimeoutExpired:
            process.kill()

    @contextmanager
    def capture(self, name="capture.pcap", host=SWITCH, interface="br0", options=(), keep=None, settle=1.2):
        """Run tcpdump while the block runs. `keep` is a filter applied afterwards (a one-way capture, for example)."""
        raw = self.work / f"raw-{name}"
        argv = ["tcpdump", "-i", interface, "-s", "0", "-n", "-B", "32768", "-U", "-Z", "root", *options, "-w", raw]
        if not keep:
            argv += ["not", "stp", "and", "not", "igmp"] if "any" not in interface else []
        process = subprocess.Popen(["ip", "netns", "exec", self.hosts[host], *map(str, argv)], stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "listening on" in line:
                break
        else:
            raise RuntimeError("tcpdump did not start")
        try:
            yield
            time.sleep(settle)
        finally:
            process.send_signal(signal.SIGINT)
            report = process.stderr.read()
            process.wait(10)
        if "\n0 packets dropped by kernel" not in report:
            raise RuntimeError(f"tcpdump lost packets: {report}")
        if keep:
            filtered = self.work / f"kept-{name}"
            sh("tcpdump", "-r", raw, "-w", filtered, "-Z", "root", keep)
            raw = filtered
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(raw, self.folder / name)

    def close(self):
        for process in self.children:
            if isinstance(process, subprocess.Popen):
                if process.poll() is None:
                    self.stop(process)
            elif process.is_alive():
                self.stop(process)
                if process.is_alive():
                    process.kill()
        for namespace in self.hosts.values():
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
        shutil.rmtree(self.work, ignore_errors=True)


def wait_for_port(address, port, seconds=10):
    """Return when a TCP port of this namespace answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection((address, port), 0.5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{address}:{port} does not answer")


def wait_listening(lab, host, port, protocol="tcp", seconds=10):
    """Return when something listens on a port of a host (asks the kernel, sends nothing)."""
    flag = "-ltn" if protocol == "tcp" else "-lun"
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if f":{port} " in lab.command(host, "ss", flag):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{host}: nothing listens on {protocol} {port}")


# --- case.toml ---------------------------------------------------------------------------------------------------------------------------------


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(item, dict) for item in value):
            return "[\n" + "".join(f"  {toml_value(item)},\n" for item in value) + "]"
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items()) + " }"
    raise TypeError(type(value))


def toml_key(key):
    key = str(key)
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else toml_value(key)


def write_case(folder, purpose, origin, recorded_by, timestamps, facts):
    lines = [f"purpose = {toml_value(purpose)}", f"origin = {toml_value(origin)}", f"recorded_by = {toml_value(recorded_by)}",
             f"timestamps = {toml_value(timestamps)}", "", "[facts]"]
    lines += [f"{toml_key(key)} = {toml_value(value)}" for key, value in facts.items()]
    (folder / "case.toml").write_text("\n".join(lines) + "\n")


def packet_count(path):
    return int(sh("tshark", "-r", path, "-T", "fields", "-e", "frame.number").count("\n"))


_cases = []


def case(protocol, *software, ipv6=False, timestamps="as recorded", capture="capture.pcap"):
    """Declare a case: the function's name is the case's, its docstring the purpose, what it returns the facts."""

    def declare(function):
        _cases.append((protocol, function, software, ipv6, timestamps, capture))
        return function

    return declare


def main(script):
    """Record the cases named on the command line (`protocol` or `protocol/case`), or all of this script."""
    wanted = [argument.strip("/") for argument in sys.argv[1:]]
    failed = []
    for protocol, function, software, ipv6, timestamps, capture in _cases:
        if function.__module__ != "__main__":
            continue  # a script that this one builds on
        name = f"{protocol}/{function.__name__}"
        if function.__module__ != "__main__" or wanted and name not in wanted and protocol not in wanted:
            continue  # of a script that this one imports, or not asked for
        folder = PCAPS / protocol / function.__name__
        started = time.monotonic()
        lab = Lab(folder, ipv6=ipv6)
        try:
            facts = function(lab) or {}
            facts = {"packets": packet_count(folder / capture), **facts}
            write_case(folder, " ".join(function.__doc__.split()), list(software), f"pcaps/record/{Path(script).name}", timestamps, facts)
            print(f"{name}: {facts['packets']} packets, {(folder / capture).stat().st_size} bytes, {time.monotonic() - started:.1f} s", flush=True)
        except Exception as error:
            failed.append(name)
            print(f"{name}: FAILED: {error}", file=sys.stderr, flush=True)
            traceback.print_exc()
        finally:
            lab.close()
    sys.exit(1 if failed else 0)


def version(distribution):
    """A Python distribution and its version, for `origin`."""
    from importlib.metadata import version as of

    return f"{distribution} {of(distribution)}"


def debian(package):
    """A Debian package and its version, for `origin`."""
    return f"{package} {sh('dpkg-query', '-W', '-f', '${Version}', package)} (Debian 12)"
