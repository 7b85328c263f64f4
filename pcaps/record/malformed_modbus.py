"""Malformed Modbus: requests of a real client and answers of a real server, damaged on their way."""

import socket
import threading
import time

import modbus_actors as m
from lab import case, main, version, wait_listening
from modbus import PLC, PLC_MAC, SCADA, SCADA_MAC, WAGO, pair

PYMODBUS = version("pymodbus")
ODD, ODD_MAC = "10.10.0.66", "00:0c:29:10:00:42"
RTU, RTU_MAC = "10.10.0.11", "00:80:f4:10:00:0b"
DAMAGE = "the damage is done by the script"


def framed(adu, pdu):
    """The ADU with another PDU, its length set right."""
    return adu[:4] + (len(pdu) + 1).to_bytes(2, "big") + adu[6:7] + pdu


def damaged_requests(wire):
    """Requests that depart from the specification, each in one way."""
    read = lambda: wire.adu(m.read_holding(0, 4))
    write = lambda: wire.adu(m.write_registers(4, [7, 8]))
    coil = wire.adu(m.write_coil(3, True))
    adus = [
        framed(read(), read()[7:10]),
        framed(read(), read()[7:] + b"\xde\xad\xbe\xef"),
        framed(write(), write()[7:12] + b"\x02\x00\x07"),
        framed(read(), b"\x03\xff\xff\x00\x02"),
        framed(read(), b"\x03\x00\x00\x00\x00"),
        framed(coil, b"\x05\x00\x03\x12\x34"),
        read()[:2] + b"\x13\x37" + read()[4:],
    ]
    again = wire.adu(m.read_coils(0, 8))
    adus.append(again + framed(again, read()[7:]))
    # The header's length has no room for a function.
    adus.append(read()[:4] + b"\x00\x01\x01")
    return adus


def ask(address, *adus, port=502, pause=0.05):
    """Sends bytes as they are, takes whatever comes back."""
    with socket.create_connection((address, port), 3) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(pause)
        for adu in adus:
            try:
                connection.sendall(adu)
                connection.recv(4096)
            except (TimeoutError, ConnectionError):
                pass


@case("modbus", PYMODBUS, DAMAGE)
def malformed_adus(lab):
    """A host sends a PLC requests that each depart from the specification in one way: cut short, with bytes behind them, counts, quantities, ranges and values that do not fit, a
    wrong protocol identifier, a transaction identifier that is still in use, a length without room for a function. The SCADA host polls meanwhile, and its operator's one bad quantity
    is refused. A serial server takes RTU over TCP, and gets frames whose checksum is wrong."""
    pair(lab, {1: WAGO})
    odd, serial = lab.host("odd", ODD, mac=ODD_MAC), lab.host("serial", RTU, mac=RTU_MAC)
    lab.start(serial, lambda: m.serve({1: WAGO}, framer="rtu"))
    wait_listening(lab, serial, 502)

    def poll():
        wire = m.Client(PLC)
        for turn in range(20):
            wire.ask(m.read_holding(turn, 4))
            time.sleep(0.05)
        wire.ask(m.read_holding(0, 126))
        wire.close()

    def attack():
        good = m.Client(PLC).adu(m.read_holding(0, 4))
        for adu in damaged_requests(m.Client(PLC)):
            ask(PLC, good, adu)
        rtu = m.Client(RTU, rtu=True)
        good = rtu.adu(m.read_holding(0, 4))
        for _ in range(5):
            ask(RTU, good, good[:-1] + bytes((good[-1] ^ 0x55,)))

    with lab.capture():
        polling = lab.start("scada", poll)
        lab.run(odd, attack)
        lab.join(polling)
    return {"server": PLC, "serial_server": RTU, "client": SCADA, "sends_malformed": ODD, "damaged_requests": 9, "damaged_rtu_frames": 5}


def tamper(listen, to, damage):
    """Stands before a server and lets `damage` decide what becomes of each answer: (request, answer) -> bytes."""
    front = socket.create_server(("0.0.0.0", listen))
    turn = 0
    while True:
        client, _ = front.accept()
        server = socket.create_connection(("127.0.0.1", to), 3)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while request := client.recv(4096):
            server.sendall(request)
            client.sendall(damage(turn, request, server.recv(4096)))
            turn += 1
        server.close()


@case("modbus", PYMODBUS, DAMAGE)
def answers_that_do_not_fit(lab):
    """Somebody sits between a PLC and the network and changes its answers: to another function, with the number of a request that was never made, twice, or with an exception code that does
    not exist. The client asks nothing unusual."""
    plc, scada = lab.host("plc", PLC, mac=PLC_MAC), lab.host("scada", SCADA, mac=SCADA_MAC)

    def damage(turn, _request, answer):
        kinds = [
            lambda: answer[:7] + b"\x04" + answer[8:],
            lambda: (int.from_bytes(answer[:2], "big") + 7000).to_bytes(2, "big") + answer[2:],
            lambda: answer + answer,
            lambda: framed(answer, b"\x83\x63"),
            lambda: answer,
        ]
        return kinds[turn % len(kinds)]()

    def server():
        threading.Thread(target=lambda: tamper(502, 1502, damage), daemon=True).start()
        m.serve({1: WAGO}, port=1502, address="127.0.0.1")

    lab.start(plc, server)
    wait_listening(lab, plc, 502)
    wait_listening(lab, plc, 1502)

    def client():
        wire = m.Client(PLC)
        for turn in range(25):
            wire.ask(m.read_holding(turn, 4))
            time.sleep(0.02)
        wire.close()

    with lab.capture():
        lab.run(scada, client)
    return {"server": PLC, "client": SCADA, "requests": 25, "other_function": 5, "other_transaction": 5, "answered_twice": 5, "unknown_exceptions": 5}


if __name__ == "__main__":
    main(__file__)
