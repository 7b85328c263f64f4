"""Semtech UDP packet forwarders and a network server (GWMP versions 1 and 2). Their sockets live in the namespaces of their hosts; the conversation is
driven from one place, so that it is the same each time."""

import base64
import json
import socket
import struct

PUSH_DATA, PUSH_ACK, PULL_DATA, PULL_RESP, PULL_ACK, TX_ACK = range(6)
CHANNELS = [868.1, 868.3, 868.5, 867.1, 867.3, 867.5, 867.7, 867.9]


class NetworkServer:
    """Acknowledges what comes and sends downlinks to where a gateway last pulled from."""

    def __init__(self, lab, host, address, port=1700):
        self.address, self.port = address, port
        self.socket = lab.socket(host, socket.SOCK_DGRAM, (address, port))
        self.pulls = {}
        self.token = 0x4000

    def receive(self):
        data, peer = self.socket.recvfrom(65535)
        version, token, kind = data[0], data[1:3], data[3]
        if kind == PUSH_DATA:
            self.socket.sendto(bytes((version,)) + token + bytes((PUSH_ACK,)), peer)
        elif kind == PULL_DATA:
            self.pulls[data[4:12]] = (peer, version)
            self.socket.sendto(bytes((version,)) + token + bytes((PULL_ACK,)), peer)
        return kind

    def pull_resp(self, gateway, txpk):
        peer, version = self.pulls[bytes.fromhex(gateway.eui)]
        self.token += 1
        token = struct.pack("<H", self.token) if version > 1 else b"\0\0"
        self.socket.sendto(bytes((version,)) + token + bytes((PULL_RESP,)) + json.dumps({"txpk": txpk}, separators=(",", ":")).encode(), peer)


class Gateway:
    """A packet forwarder. Up and down are two sockets, as in the reference implementation."""

    def __init__(self, lab, host, address, server, eui, version=2, start=1_000_000):
        self.eui, self.server, self.version = eui, server, version
        self.up, self.down = (lab.socket(host, socket.SOCK_DGRAM, (address, 0)) for _ in range(2))
        for sock in (self.up, self.down):
            sock.connect((server.address, server.port))
        self.token, self.tmst = int(eui[-4:], 16), start
        self.counts = {"rxnb": 0, "rxok": 0, "rxfw": 0, "ackr": 100.0, "dwnb": 0, "txnb": 0}

    def header(self, kind, token=None):
        if token is None:
            self.token = (self.token * 31 + 7) & 0xFFFF
            token = struct.pack(">H", self.token)
        return bytes((self.version,)) + token + bytes((kind,)) + bytes.fromhex(self.eui)

    def pull(self):
        self.down.send(self.header(PULL_DATA))
        assert self.server.receive() == PULL_DATA
        self.down.recv(100)

    def rxpk(self, frame, rssi=-60, lsnr=9.0, channel=0, datr="SF7BW125", stat=1, advance=1_000_000, **more):
        """The reception of a frame (hex). `more` overrides or adds fields; a value of None removes one."""
        self.tmst = (self.tmst + advance) & 0xFFFFFFFF
        data = bytes.fromhex(frame)
        fields = {"tmst": self.tmst, "chan": channel, "rfch": 0 if channel > 2 else 1, "freq": CHANNELS[channel], "stat": stat, "modu": "LORA", "datr": datr,
                  "codr": "4/5", "lsnr": lsnr, "rssi": rssi, "size": len(data), "data": base64.b64encode(data).decode(), **more}
        self.counts["rxnb"] += 1
        self.counts["rxok"] += stat == 1
        self.counts["rxfw"] += 1
        return {name: value for name, value in fields.items() if value is not None}

    def push(self, *rxpks, stat=None, **top):
        body = {**({"rxpk": list(rxpks)} if rxpks else {}), **({"stat": stat} if stat else {}), **top}
        self.up.send(self.header(PUSH_DATA) + json.dumps(body, separators=(",", ":")).encode())
        assert self.server.receive() == PUSH_DATA
        self.up.recv(100)

    def stat(self, time="2026-05-04 06:00:00 GMT", **more):
        return {"time": time, "lati": 52.37, "long": 4.89, "alti": 12, **self.counts, **more}

    def transmit(self, frame, rx=None, delay=1_000_000, freq=868.1, datr="SF7BW125", error=None, **more):
        """The server has this gateway send a frame; the gateway acknowledges (version 2)."""
        data = bytes.fromhex(frame)
        tmst = {"imme": True} if rx is None else {"imme": False, "tmst": (rx["tmst"] + delay) & 0xFFFFFFFF}
        txpk = {**tmst, "freq": freq, "rfch": 0, "powe": 14, "modu": "LORA", "datr": datr, "codr": "4/5", "ipol": True, "size": len(data),
                "data": base64.b64encode(data).decode(), **more}
        self.server.pull_resp(self, txpk)
        token = self.down.recv(65535)[1:3]
        self.counts["dwnb"] += 1
        if self.version > 1:
            body = b"" if error is None else json.dumps({"txpk_ack": {"error": error}}).encode()
            self.down.send(self.header(TX_ACK, token) + body)
            assert self.server.receive() == TX_ACK
        self.counts["txnb"] += error in (None, "NONE")


def site(lab, gateways=1, versions=(2, 2, 2, 2, 2), port=1700):
    """A network server 10.40.0.2 and gateways 10.40.1.N, each pulled once."""
    lab.host("ns", "10.40.0.2/16", mac="00:15:5d:40:00:02")
    server = NetworkServer(lab, "ns", "10.40.0.2", port)
    made = []
    for number in range(1, gateways + 1):
        eui = f"7076ff00560600{number:02x}"
        name = lab.host(f"gw{number}", f"10.40.1.{number}/16", mac=f"70:76:ff:06:00:{number:02x}")
        made.append(Gateway(lab, name, f"10.40.1.{number}", server, eui, versions[number - 1], start=1_000_000 * number))
    return server, made


def heard(gateways, frame, **fields):
    """The same frame received by each of the gateways, one PUSH_DATA each; returns the receptions."""
    receptions = []
    for number, gateway in enumerate(gateways):
        reception = gateway.rxpk(frame, rssi=-60 - 11 * number, lsnr=9.0 - 2.5 * number, **fields)
        gateway.push(reception)
        receptions.append(reception)
    return receptions
