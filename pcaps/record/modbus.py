"""Modbus cases: pymodbus servers and clients."""

import time

import modbus_actors as m
from lab import case, main, sh, version, wait_listening
from pymodbus import other_message as other

PYMODBUS = version("pymodbus")
SCHNEIDER = {0: "Schneider Electric", 1: "TM221CE24R", 2: "V1.10.2.2", 3: "https://www.se.com", 4: "Modicon M221", 5: "M221", 6: "Pump station 4",
             0x80: "SN 8A-1520-0417"}
SIEMENS = {0: "SIEMENS", 1: "6ES7 214-1AG40-0XB0", 2: "V4.4.0"}
WAGO = {0: "WAGO", 1: "750-8212", 2: "03.10.08", 3: "https://www.wago.com", 4: "PFC200", 5: "750-8212/025-000"}
ABB = {0: "ABB", 1: "M4M 30", 2: "2.1.4", 4: "Network analyser", 5: "M4M 30 Modbus"}

PLC, SCADA = "10.10.0.10", "10.10.0.100"
PLC_MAC, SCADA_MAC = "00:80:f4:10:00:0a", "00:0c:29:10:00:64"


def pair(lab, units, **options):
    """A PLC with the given units and a SCADA host; returns their names once the server listens."""
    plc, scada = lab.host("plc", PLC, mac=PLC_MAC), lab.host("scada", SCADA, mac=SCADA_MAC)
    lab.start(plc, lambda: m.serve(units, **options))
    wait_listening(lab, plc, options.get("port", 502), "udp" if options.get("udp") else "tcp")
    return plc, scada


def every_function(client, unit=1):
    """One request of every public function code; returns how many."""
    requests = [
        m.read_coils(0, 19), m.read_discrete(3, 22), m.read_holding(107, 3), m.read_input(8, 1),
        m.write_coil(172, True), m.write_coil(172, False), m.write_register(1, 3),
        other.ReadExceptionStatusRequest(),
        *[kind(b"\xa5\x37") if kind is m.diag.ReturnQueryDataRequest else kind() for kind in m.DIAGNOSTICS],
        other.GetCommEventCounterRequest(), other.GetCommEventLogRequest(),
        m.write_coils(19, [True, False, True, True, False, False, True, True, True, False]), m.write_registers(1, [0x000A, 0x0102]),
        m.report_server_id(),
        m.files.ReadFileRecordRequest([m.files.FileRecord(file_number=4, record_number=1, record_length=2),
                                       m.files.FileRecord(file_number=3, record_number=9, record_length=2)]),
        m.files.WriteFileRecordRequest([m.files.FileRecord(file_number=4, record_number=7, record_data=b"\x06\xaf\x04\xbe\x10\x0d")]),
        m.mask_write(4, 0x00F2, 0x0025), m.read_write(3, 6, 14, [0x00FF, 0x00FF, 0x00FF]), m.files.ReadFifoQueueRequest(0x04DE),
        m.identify(1), m.identify(2), m.identify(3), m.identify(4, 5),
    ]
    for request in requests:
        client.ask(request, unit)
    return len(requests)


@case("modbus", PYMODBUS)
def every_public_function(lab):
    """Every public function code once or more over Modbus TCP, each answered: 1-7, 8 with sixteen subfunctions, 11, 12, 15-17, 20-24 and 43/14 in
    its four access modes; then MEI type 13 (CANopen), which this server refuses with exception 1."""
    _, scada = pair(lab, {1: SCHNEIDER})

    def client():
        wire = m.Client(PLC)
        every_function(wire)
        wire.ask(m.VendorRequest(43, b"\x0d\x01\x02\x00"))
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "unit": 1, "requests": 39, "responses": 38, "exceptions": 1,
            "function_codes": [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43],
            "diagnostic_subfunctions": [kind.sub_function_code for kind in m.DIAGNOSTICS], "vendor": "Schneider Electric", "product_code": "TM221CE24R",
            "revision": "V1.10.2.2", "product_name": "Modicon M221", "model_name": "M221"}


@case("modbus", PYMODBUS)
def listen_only_mode(lab):
    """Diagnostics subfunction 4 (force listen only mode), which has no answer, followed by subfunction 1 (restart communications)."""
    _, scada = pair(lab, {1: SCHNEIDER})

    def client():
        wire = m.Client(PLC)
        wire.ask(m.read_holding(0, 2))
        wire.send(m.diag.ForceListenOnlyModeRequest())
        wire.pause(0.5)
        wire.ask(m.diag.RestartCommunicationsOptionRequest())
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "requests": 3, "responses": 2, "unanswered": 1}


@case("modbus", PYMODBUS)
def exceptions(lab):
    """Requests that are refused: an unknown function (1), an address out of range (2), a bad quantity (3), an object that does not exist (2), and a
    unit that is not there (11, gateway target failed to respond)."""
    _, scada = pair(lab, {1: SIEMENS})

    def client():
        wire = m.Client(PLC)
        wire.ask(m.read_holding(0, 4))
        wire.ask(m.VendorRequest(65, b"\x01\x02"))
        wire.ask(m.read_holding(60000, 4))
        wire.ask(m.read_holding(0, 126))
        wire.ask(m.read_coils(0, 2001))
        wire.ask(m.write_register(999, 1))
        wire.ask(m.identify(4, 0x90))
        wire.ask(m.read_input(0, 1), unit=77)
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "requests": 8, "responses": 1, "exceptions": 7,
            "exception_codes": [1, 2, 3, 3, 2, 2, 11], "refused_function_codes": [65, 3, 3, 1, 6, 43, 4]}


@case("modbus", PYMODBUS)
def units_behind_a_gateway(lab):
    """One address, four units with identities of their own (a serial gateway), polled in turn; unit 9 is absent. Each unit is a device."""
    _, scada = pair(lab, {1: SCHNEIDER, 2: WAGO, 3: ABB, 17: SIEMENS})

    def client():
        wire = m.Client(PLC)
        for unit in (1, 2, 3, 17):
            wire.ask(m.identify(2), unit)
        for turn in range(5):
            for unit in (1, 2, 3, 17):
                wire.ask(m.read_holding(turn, 10), unit)
            wire.ask(m.read_holding(turn, 10), 9)
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "units": [1, 2, 3, 17], "absent_units": [9], "requests": 29, "responses": 24, "exceptions": 5,
            "identities": [{"unit": unit, "vendor": objects[0], "product_code": objects[1], "revision": objects[2]}
                           for unit, objects in ((1, SCHNEIDER), (2, WAGO), (3, ABB), (17, SIEMENS))]}


@case("modbus", PYMODBUS)
def broadcast_to_unit_0(lab):
    """Writes to unit 0, which all units carry out and none answers, between ordinary polls of units 1 and 2."""
    _, scada = pair(lab, {1: SCHNEIDER, 2: WAGO}, broadcast=True)

    def client():
        wire = m.Client(PLC)
        wire.ask(m.read_holding(0, 4), 1)
        wire.send(m.write_register(0, 4711), 0)
        wire.pause(0.2)
        wire.ask(m.read_holding(0, 4), 1)
        wire.ask(m.read_holding(0, 4), 2)
        wire.send(m.write_coils(0, [True] * 8), 0)
        wire.pause(0.2)
        wire.ask(m.read_coils(0, 8), 2)
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "requests": 6, "responses": 4, "broadcasts": 2, "register_0_after_broadcast": 4711}


@case("modbus", PYMODBUS)
def udp(lab):
    """Modbus over UDP port 502: every public function code."""
    _, scada = pair(lab, {1: ABB}, udp=True)

    def client():
        wire = m.Client(PLC, udp=True)
        every_function(wire)
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "requests": 38, "responses": 38, "transport": "udp", "vendor": "ABB", "product_code": "M4M 30", "revision": "2.1.4"}


@case("modbus", PYMODBUS)
def rtu_over_tcp(lab):
    """RTU frames (unit, function, data, CRC; no MBAP header) over TCP port 502, as serial device servers send them."""
    _, scada = pair(lab, {1: SCHNEIDER, 5: ABB}, framer="rtu")

    def client():
        wire = m.Client(PLC, rtu=True)
        for turn in range(6):
            for unit in (1, 5):
                wire.ask(m.read_holding(turn, 8), unit)
                wire.pause(0.02)
        for request in (m.write_register(7, 99), m.write_registers(8, [1, 2, 3]), m.read_coils(0, 16), m.identify(1), m.read_holding(9000, 2)):
            wire.ask(request, 5)
            wire.pause(0.02)
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "units": [1, 5], "requests": 17, "responses": 16, "exceptions": 1, "framing": "rtu"}


@case("modbus", PYMODBUS)
def rtu_over_tcp_on_an_odd_port(lab):
    """RTU frames over TCP port 4001, where no port hints at Modbus."""
    _, scada = pair(lab, {3: ABB}, framer="rtu", port=4001)

    def client():
        wire = m.Client(PLC, port=4001, rtu=True)
        for turn in range(10):
            wire.ask(m.read_input(turn, 6), 3)
            wire.pause(0.02)
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "port": 4001, "units": [3], "requests": 10, "responses": 10, "framing": "rtu"}


@case("modbus", PYMODBUS)
def tcp_on_an_odd_port(lab):
    """Modbus TCP on port 10502."""
    _, scada = pair(lab, {1: WAGO}, port=10502)

    def client():
        wire = m.Client(PLC, port=10502)
        wire.ask(m.identify(1))
        for turn in range(10):
            wire.ask(m.read_holding(turn, 6))
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "port": 10502, "requests": 11, "responses": 11, "vendor": "WAGO", "product_code": "750-8212"}


@case("modbus", PYMODBUS)
def several_adus_in_a_segment(lab):
    """A client that pipelines: eight requests in one segment, their answers coalesced or not as the server sends them; three rounds."""
    _, scada = pair(lab, {1: SCHNEIDER})

    def client():
        wire = m.Client(PLC)
        for turn in range(3):
            wire.socket.sendall(b"".join(wire.adu(m.read_holding(10 * turn + i, i + 1)) for i in range(8)))
            got, wanted = b"", sum(9 + 2 * (i + 1) for i in range(8))
            while len(got) < wanted:
                got += wire.receive()
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "requests": 24, "responses": 24, "requests_in_a_segment": 8}


@case("modbus", PYMODBUS)
def adus_split_over_segments(lab):
    """A client that writes its ADUs a few bytes at a time: a request of 17 bytes byte by byte, one cut inside the MBAP header, one cut inside the
    values, and a segment that ends one ADU and begins the next."""
    _, scada = pair(lab, {1: SCHNEIDER})

    def dribble(wire, data, sizes):
        for size in sizes:
            wire.socket.sendall(data[:size])
            data = data[size:]
            time.sleep(0.03)
        if data:
            wire.socket.sendall(data)

    def client():
        wire = m.Client(PLC)
        dribble(wire, wire.adu(m.write_registers(1, [11, 22])), [1] * 17)
        wire.receive()
        dribble(wire, wire.adu(m.read_holding(0, 60)), [3])
        wire.receive()
        dribble(wire, wire.adu(m.write_registers(5, list(range(50)))), [20, 40])
        wire.receive()
        both = wire.adu(m.read_holding(0, 5)) + wire.adu(m.read_coils(0, 5))
        dribble(wire, both, [9, 8])
        time.sleep(0.2)
        wire.receive()
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "requests": 5, "responses": 5}


def polls(wire, turns, pause=0.01):
    for turn in range(turns):
        wire.ask(m.read_holding(turn % 50, 4))
        wire.pause(pause)


def mid_stream_client(lab, scada):
    """A client that connects and polls before the capture, and goes on when told."""
    go = lab.work / "go"

    def client():
        wire = m.Client(PLC)
        polls(wire, 5)
        while not go.exists():
            time.sleep(0.02)
        polls(wire, 20)
        wire.close()

    process = lab.start(scada, client)
    time.sleep(0.6)
    return go, process


@case("modbus", PYMODBUS)
def mid_stream_start(lab):
    """The capture starts after the connection: no SYN, and the first packet is a request."""
    _, scada = pair(lab, {1: SCHNEIDER})
    go, process = mid_stream_client(lab, scada)
    with lab.capture():
        go.touch()
        lab.join(process)
    return {"server": PLC, "client": SCADA, "requests": 20, "responses": 20, "syn": False}


@case("modbus", PYMODBUS)
def only_requests_seen(lab):
    """One way: a SPAN port that mirrors only what the client sends. Connection with SYN, no answers."""
    _, scada = pair(lab, {1: SCHNEIDER})
    with lab.capture(keep=f"src host {SCADA} and tcp"):
        lab.run(scada, lambda: polls(m.Client(PLC), 20))
    return {"server": PLC, "client": SCADA, "requests": 20, "responses": 0, "one_way": "client to server"}


@case("modbus", PYMODBUS)
def only_responses_seen(lab):
    """One way: a SPAN port that mirrors only what the server sends, identification included; the capture starts mid-stream."""
    _, scada = pair(lab, {1: SCHNEIDER})

    def client():
        wire = m.Client(PLC)
        wire.ask(m.identify(2))
        polls(wire, 20)
        wire.close()

    with lab.capture(keep=f"src host {PLC} and tcp and not tcp[tcpflags] & tcp-syn != 0"):
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "requests": 0, "responses": 21, "one_way": "server to client", "syn": False,
            "vendor": "Schneider Electric", "product_code": "TM221CE24R"}


@case("modbus", PYMODBUS)
def scan_of_units(lab):
    """A scanner asks units 1 to 247 of one address for their identification; three answer, the rest get exception 11."""
    plc, scada = pair(lab, {1: SCHNEIDER, 2: WAGO, 100: SIEMENS})
    scanner = lab.host("scanner", "10.10.0.66", mac="00:0c:29:66:66:66")

    def scan():
        wire = m.Client(PLC)
        for unit in range(1, 248):
            wire.ask(m.identify(1), unit)
        wire.close()

    with lab.capture():
        lab.run(scada, lambda: polls(m.Client(PLC), 5))
        lab.run(scanner, scan)
    return {"server": PLC, "client": SCADA, "scanner": "10.10.0.66", "units_asked": 247, "units_present": [1, 2, 100], "requests": 252,
            "responses": 8, "exceptions": 244}


@case("modbus", PYMODBUS)
def searched_and_then_stopped(lab):
    """An intruder asks units 1 to 40 for their identification, of which one is there, and tells that one a little later to listen only. The SCADA host
    polls meanwhile."""
    plc, scada = pair(lab, {1: SCHNEIDER})
    intruder = lab.host("intruder", "10.10.0.66", mac="00:0c:29:66:66:66")

    def attack():
        wire = m.Client(PLC)
        for unit in range(1, 41):
            wire.ask(m.identify(1), unit)
        wire.pause(1)
        wire.send(m.diag.ForceListenOnlyModeRequest())
        wire.pause(0.5)
        wire.close()

    with lab.capture():
        lab.run(scada, lambda: polls(m.Client(PLC), 5))
        lab.run(intruder, attack)
    return {"server": PLC, "client": SCADA, "intruder": "10.10.0.66", "units_asked": 40, "units_present": [1]}


@case("modbus", PYMODBUS)
def scan_of_units_that_all_answer(lab):
    """A server that does not heed the unit identifier: two scanners ask units 1 to 247 for their identification, one of them with a connection for
    each unit, and the same server answers under all of them."""
    plc, scada = pair(lab, {1: WAGO}, any_unit=True)
    scanners = [lab.host(f"scanner{n}", f"10.10.0.6{n}", mac=f"00:0c:29:66:66:6{n}") for n in (6, 7)]

    def one_by_one():
        for unit in range(1, 125):
            wire = m.Client(PLC)
            wire.ask(m.identify(1), unit)
            wire.close()

    def at_once():
        wire = m.Client(PLC)
        for unit in range(125, 248):
            wire.ask(m.identify(1), unit)
        wire.close()

    with lab.capture():
        lab.run(scada, lambda: polls(m.Client(PLC), 5))
        lab.run(scanners[0], one_by_one)
        lab.run(scanners[1], at_once)
    return {"server": PLC, "client": SCADA, "scanners": ["10.10.0.66", "10.10.0.67"], "units_asked": 247, "requests": 252,
            "responses": 252}


@case("modbus", PYMODBUS)
def scan_of_function_codes(lab):
    """A scanner tries function codes 1 to 127 one connection each; the server refuses what it does not know."""
    plc, scada = pair(lab, {1: SCHNEIDER})

    codes = (1, 2, 3, 4, 7, 11, 12, 17, *range(25, 43), *range(44, 90), *range(91, 125), 126, 127)

    def scan():
        for code in codes:
            wire = m.Client(PLC)
            wire.ask(m.VendorRequest(code, b"\x00\x00\x00\x01" if code < 5 else b""))
            wire.close()

    with lab.capture():
        lab.run(scada, scan)
    return {"server": PLC, "client": SCADA, "function_codes_tried": len(codes), "connections": len(codes), "responses": 8, "exceptions": len(codes) - 8}


@case("modbus", PYMODBUS)
def unknown_client_writes(lab):
    """A SCADA host polls and writes a set point every few seconds; then a second host, silent until now, connects and writes coils and registers."""
    plc, scada = pair(lab, {1: SCHNEIDER})
    intruder = lab.host("intruder", "10.10.0.77", mac="00:0c:29:77:77:77")

    def usual():
        wire = m.Client(PLC)
        for turn in range(30):
            wire.ask(m.read_holding(0, 20))
            if turn % 10 == 9:
                wire.ask(m.write_register(12, 500 + turn))
            wire.pause(0.1)
        wire.close()

    def attack():
        wire = m.Client(PLC)
        wire.ask(m.read_coils(0, 32))
        wire.ask(m.write_coil(4, False))
        wire.ask(m.write_coils(0, [False] * 16))
        wire.ask(m.write_registers(10, [0] * 8))
        wire.close()

    with lab.capture():
        process = lab.start(scada, usual)
        time.sleep(2)
        lab.run(intruder, attack)
        lab.join(process)
    return {"server": PLC, "client": SCADA, "intruder": "10.10.0.77", "writes_by_client": 3, "writes_by_intruder": 3, "requests": 37, "responses": 37}


@case("modbus", PYMODBUS)
def scan_of_registers(lab):
    """A scanner reads a controller's holding registers and coils in steps of a hundred, far beyond what it has: exception 2, one address after another. Meanwhile a SCADA host
    with a wrong entry in its list asks for one absent address in each of its rounds."""
    plc, scada = pair(lab, {1: SCHNEIDER})
    scanner = lab.host("scanner", "10.10.0.66", mac="00:0c:29:66:66:66")

    def usual():
        wire = m.Client(PLC)
        for _ in range(12):
            wire.ask(m.read_holding(0, 20))
            wire.ask(m.read_holding(4000, 2))
            wire.pause(0.2)
        wire.close()

    def scan():
        wire = m.Client(PLC)
        for read in (m.read_holding, m.read_coils):
            for address in range(0, 1500, 100):
                wire.ask(read(address, 10))
        wire.close()

    with lab.capture():
        process = lab.start(scada, usual)
        time.sleep(1)
        lab.run(scanner, scan)
        lab.join(process)
    return {"server": PLC, "client": SCADA, "scanner": "10.10.0.66", "addresses_tried": 15, "absent_addresses": 13, "requests": 54, "responses": 16, "exceptions": 38,
            "exceptions_of_client": 12, "absent_addresses_of_client": [4000]}


@case("modbus", PYMODBUS)
def device_busy(lab):
    """An engineer's host writes a long block that the controller acknowledges with exception 5 (it takes its time); until it is done, reads get exception 6: six of the SCADA
    host, one of the engineer's."""
    plc, scada = pair(lab, {1: SIEMENS}, functions=m.BUSY)
    engineer = lab.host("engineer", "10.10.0.50", mac="00:0c:29:10:00:32")

    def work():
        wire = m.Client(PLC)
        wire.ask(m.read_holding(0, 4))
        wire.ask(m.write_registers(150, list(range(40))))
        wire.ask(m.read_holding(0, 4))
        wire.close()

    def usual(turns):
        wire = m.Client(PLC)
        for _ in range(turns):
            wire.ask(m.read_holding(0, 20))
            wire.pause(0.3)
        wire.close()

    with lab.capture():
        lab.run(scada, lambda: usual(3))
        lab.run(engineer, work)
        lab.run(scada, lambda: usual(10))
    return {"server": PLC, "client": SCADA, "engineer": "10.10.0.50", "requests": 16, "responses": 8, "exceptions": 8, "acknowledge": 1, "busy": 7, "busy_to_client": 6}


@case("modbus", PYMODBUS)
def hammered_point(lab):
    """A host writes the same register three times a second, by function 6, 16 and 23, and keeps it where it wants. A SCADA host writes a sign of life once a second, as it should."""
    plc, scada = pair(lab, {1: SCHNEIDER})
    intruder = lab.host("intruder", "10.10.0.77", mac="00:0c:29:77:77:77")

    def usual():
        wire = m.Client(PLC)
        for turn in range(13):
            wire.ask(m.read_holding(0, 20))
            wire.ask(m.write_register(100, turn))
            wire.pause(1)
        wire.close()

    def attack():
        wire = m.Client(PLC)
        wire.ask(m.read_holding(0, 40))
        for turn in range(24):
            wire.ask((m.write_register(12, 0), m.write_registers(12, [0]), m.read_write(12, 1, 12, [0]))[turn % 3])
            wire.pause(0.33)
        wire.close()

    with lab.capture():
        process = lab.start(scada, usual)
        time.sleep(2)
        lab.run(intruder, attack)
        lab.join(process)
    return {"server": PLC, "client": SCADA, "intruder": "10.10.0.77", "address": 12, "writes_by_intruder": 24, "writes_by_client": 13, "requests": 51, "responses": 51}


@case("modbus", PYMODBUS)
def many_points_written(lab):
    """A host that does not know which point matters writes to 44 coils and registers in several places within a few seconds. A SCADA host loads its set points: one block of 32 registers,
    again and again, and one coil."""
    plc, scada = pair(lab, {1: SCHNEIDER})
    intruder = lab.host("intruder", "10.10.0.77", mac="00:0c:29:77:77:77")

    def usual():
        wire = m.Client(PLC)
        for turn in range(4):
            wire.ask(m.write_registers(40, [turn] * 32))
            wire.ask(m.write_coil(3, turn % 2 == 0))
            wire.ask(m.read_holding(40, 32))
            wire.pause(0.4)
        wire.close()

    def attack():
        wire = m.Client(PLC)
        for address in range(0, 100, 25):
            wire.ask(m.write_registers(address, [0xFFFF] * 6))
            wire.ask(m.write_coils(address, [True] * 4))
        for address in range(150, 154):
            wire.ask(m.write_register(address, 0))
        wire.close()

    with lab.capture():
        process = lab.start(scada, usual)
        time.sleep(0.6)
        lab.run(intruder, attack)
        lab.join(process)
    return {"server": PLC, "client": SCADA, "intruder": "10.10.0.77", "points_by_intruder": 44, "writes_by_intruder": 12, "writes_by_client": 8, "requests": 24, "responses": 24}


@case("modbus", PYMODBUS)
def umas_and_firmware_replacement(lab):
    """Vendor functions: UMAS (90) reads the PLC's identity, takes a reservation, uploads, stops and starts the PLC, one sub-function is refused; then
    function 125 (firmware replacement). pymodbus frames them; the bodies are the script's, after public descriptions of UMAS."""
    _, scada = pair(lab, {0: {}, 1: SCHNEIDER})

    def client():
        wire = m.Client(PLC)
        for code, body in ((0x02, b""), (0x04, b""), (0x10, b"\x3b\x0e\x00\x00"), (0x20, b"\x01\x14\x00\x00\x20\x00"), (0x41, b"\xff\x00"),
                           (0x40, b"\xff\x00"), (0x58, b"")):
            wire.ask(m.VendorRequest(90, bytes((0, code)) + body), 0)
        wire.ask(m.VendorRequest(125, b"\x01\x00\x10" + bytes(range(16))), 1)
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "function_codes": [90, 125], "umas_subfunctions": [0x02, 0x04, 0x10, 0x20, 0x41, 0x40, 0x58], "requests": 8,
            "responses": 8}


@case("modbus", PYMODBUS)
def programming_function_40(lab):
    """An engineering host uses function 40 (programming of Concept) three times; pymodbus frames the requests, the bodies are the script's."""
    _, scada = pair(lab, {1: SCHNEIDER}, functions=m.PROGRAMMING)

    def client():
        wire = m.Client(PLC)
        for body in (b"\x00\x01", b"\x00\x10\x00\x00", b"\x00\x11"):
            wire.ask(m.VendorRequest(40, body), 1)
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "function_codes": [40], "requests": 3}


@case("modbus", "python3 http.server (Debian 12)")
def http_on_port_502(lab):
    """Negative: a web server on TCP port 502. Nothing here is Modbus."""
    plc, scada = lab.host("plc", PLC, mac=PLC_MAC), lab.host("scada", SCADA, mac=SCADA_MAC)
    page = lab.work / "index.html"
    page.write_text("<html><title>Pump controller</title><body>" + "status ok " * 200 + "</body></html>")
    lab.program(plc, "/usr/bin/python3", "-m", "http.server", "502", "--directory", lab.work)
    wait_listening(lab, plc, 502)
    with lab.capture():
        for path in ("/", "/index.html", "/missing"):
            lab.command(scada, "/usr/bin/python3", "-c", f"import urllib.request as u\ntry: u.urlopen('http://{PLC}:502{path}').read()\nexcept OSError: pass")
    return {"server": PLC, "client": SCADA, "modbus_messages": 0, "http_requests": 3}


@case("modbus", "OpenSSL (Debian 12)")
def tls_on_port_502(lab):
    """Negative: TLS on TCP port 502. Unread, not Modbus."""
    plc, scada = lab.host("plc", PLC, mac=PLC_MAC), lab.host("scada", SCADA, mac=SCADA_MAC)
    key, certificate = lab.work / "key.pem", lab.work / "cert.pem"
    sh("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "30", "-subj", "/CN=pump.example")
    lab.program(plc, "openssl", "s_server", "-accept", "502", "-key", key, "-cert", certificate, "-www")
    wait_listening(lab, plc, 502)
    with lab.capture():
        lab.command(scada, "sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -connect {PLC}:502 -quiet", check=False)
    return {"server": PLC, "client": SCADA, "modbus_messages": 0, "tls_connections": 1}


@case("modbus", PYMODBUS)
def two_clients_same_transaction_ids(lab):
    """Two clients of one PLC, each counting transactions from 1, with requests in flight at the same time: pairs belong to flows."""
    plc, scada = pair(lab, {1: SCHNEIDER})
    second = lab.host("second", "10.10.0.101", mac="00:0c:29:10:00:65")
    with lab.capture():
        processes = [lab.start(host, lambda: polls(m.Client(PLC), 15, 0.005)) for host in (scada, second)]
        lab.join(*processes)
    return {"server": PLC, "clients": [SCADA, "10.10.0.101"], "requests": 30, "responses": 30}


@case("modbus", PYMODBUS, ipv6=True)
def over_ipv6(lab):
    """Modbus TCP between global IPv6 addresses."""
    plc, scada = lab.host("plc", "2001:db8:10::10", mac=PLC_MAC), lab.host("scada", "2001:db8:10::100", mac=SCADA_MAC)
    lab.start(plc, lambda: m.serve({1: WAGO}, address="::"))
    wait_listening(lab, plc, 502)

    def client():
        wire = m.Client("2001:db8:10::10")
        wire.ask(m.identify(1))
        polls(wire, 10)
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": "2001:db8:10::10", "client": "2001:db8:10::100", "requests": 11, "responses": 11, "vendor": "WAGO"}


if __name__ == "__main__":
    main(__file__)
