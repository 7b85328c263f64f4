"""LoRaWAN end devices for the cases: keys, counters and frames. lora-packet (in Node.js) makes the bytes; nothing here does cryptography."""

import json
import os
import subprocess
from pathlib import Path

from lab import CACHE

NET_ID = "000013"
LORA_PACKET = "lora-packet 0.9.3"


class Frames:
    """A running lora-packet."""

    def __init__(self):
        self.node = subprocess.Popen(["node", Path(__file__).with_suffix(".js")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                     env={**os.environ, "NODE_PATH": str(CACHE / "node" / "node_modules")})

    def __call__(self, op, **fields):
        self.node.stdin.write(json.dumps({"op": op, **fields}) + "\n")
        self.node.stdin.flush()
        return json.loads(self.node.stdout.readline())


frames = None


def _frames(op, **fields):
    global frames
    if frames is None:
        frames = Frames()
    return frames(op, **fields)


class Device:
    """A LoRaWAN 1.0.x end device and, since the script plays both ends, its session at the network server."""

    def __init__(self, dev_eui, join_eui, app_key=None, dev_addr=None, nwk_s_key=None, app_s_key=None, dev_nonce=1):
        self.dev_eui, self.join_eui, self.app_key = dev_eui.lower(), join_eui.lower(), app_key
        self.dev_addr, self.nwk_s_key, self.app_s_key = dev_addr, nwk_s_key, app_s_key
        self.dev_nonce, self.up, self.down = dev_nonce, 0, 0
        self.join_nonce = 0

    def join_request(self, dev_nonce=None):
        if dev_nonce is not None:
            self.dev_nonce = dev_nonce
        return _frames("joinRequest", joinEui=self.join_eui, devEui=self.dev_eui, devNonce=self.dev_nonce, key=self.app_key)

    def join_accept(self, dev_addr, join_nonce, cf_list=""):
        """The answer to the last join request; the session begins."""
        self.dev_addr, self.join_nonce = dev_addr, join_nonce
        session = _frames("sessionKeys10", key=self.app_key, netId=NET_ID, joinNonce=join_nonce, devNonce=self.dev_nonce)
        self.nwk_s_key, self.app_s_key = session["NwkSKey"], session["AppSKey"]
        self.up = self.down = 0
        frame = _frames("joinAccept", key=self.app_key, netId=NET_ID, joinNonce=join_nonce, devAddr=dev_addr, rxDelay=1, cfList=cf_list)
        self.dev_nonce += 1
        return frame

    def _data(self, down, counter, port, payload, **options):
        fields = {"fPort": port} if port is not None else {}
        return _frames("data", down=down, devAddr=self.dev_addr, fCnt=counter, payload=payload, nwkSKey=self.nwk_s_key, appSKey=self.app_s_key,
                       confirmed=options.get("confirmed", False), fOpts=options.get("f_opts", ""), fCtrl=options.get("f_ctrl", {}), **fields)

    def uplink(self, port=1, payload="", **options):
        """The next uplink. Options: confirmed, f_opts (hex), f_ctrl ({ADR, ADRACKReq, ACK})."""
        frame = self._data(False, self.up, port, payload, **options)
        self.up += 1
        return frame

    def downlink(self, port=None, payload="", **options):
        frame = self._data(True, self.down, port, payload, **options)
        self.down += 1
        return frame


class Device11:
    """A LoRaWAN 1.1 end device joined to a 1.1 network server."""

    def __init__(self, dev_eui, join_eui, app_key, nwk_key):
        self.dev_eui, self.join_eui, self.app_key, self.nwk_key = dev_eui.lower(), join_eui.lower(), app_key, nwk_key
        self.js = _frames("jsKeys", nwkKey=nwk_key, devEui=self.dev_eui)
        self.dev_nonce, self.up, self.down = 0, 0, 0

    def join_request(self):
        self.dev_nonce += 1
        return _frames("joinRequest", joinEui=self.join_eui, devEui=self.dev_eui, devNonce=self.dev_nonce, key=self.nwk_key)

    def join_accept(self, dev_addr, join_nonce):
        self.dev_addr = dev_addr
        self.session = _frames("sessionKeys11", appKey=self.app_key, nwkKey=self.nwk_key, joinEui=self.join_eui, joinNonce=join_nonce, devNonce=self.dev_nonce)
        return _frames("joinAccept", key=self.nwk_key, jsIntKey=self.js["JSIntKey"], netId=NET_ID, joinNonce=join_nonce, devAddr=dev_addr, dlSettings=0x80,
                       rxDelay=1, joinEui=self.join_eui, devNonce=self.dev_nonce)

    def uplink(self, port, payload, data_rate, channel):
        """ConfFCnt is zero (no acknowledgement); the transmission's data rate and channel are in the MIC."""
        frame = _frames("data", down=False, devAddr=self.dev_addr, fCnt=self.up, fPort=port, payload=payload, nwkSKey=self.session["FNwkSIntKey"],
                        appSKey=self.session["AppSKey"], sNwkSIntKey=self.session["SNwkSIntKey"], confFCnt=f"0000{data_rate:02x}{channel:02x}")
        self.up += 1
        return frame

    def rejoin(self, kind, count):
        key = self.js["JSIntKey"] if kind == 1 else self.session["SNwkSIntKey"]
        return _frames("rejoin", type=kind, joinEui=self.join_eui, netId=NET_ID, devEui=self.dev_eui, rjCount=count, key=key)
