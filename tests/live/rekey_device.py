"""A device that keeps citytap's topic contract 1 (rekey/src/delivery/topic_contract.rs): the reference for whoever writes such a firmware.

usage: rekey_device.py HOST PORT DEVICE STATE_FILE [--broken]

STATE_FILE is its flash: {"current": {"user", "password", "generation"}, "next": null, "boot": 0}. It publishes a reading every half second. With --broken it
stores what it is told wrongly, as a device with bad memory does: the new credential then fails and it must come back with the old one.
"""

import json
import math
import os
import sys
import threading
import time

import paho.mqtt.client as paho

CONTRACT = 1
ATTEMPTS = 3


class Flash:
    """What survives a restart: written beside and renamed, so that a power cut leaves the old or the new state."""

    def __init__(self, path):
        self.path = path
        with open(path) as file:
            self.state = json.load(file)

    def write(self, **changes):
        self.state.update(changes)
        with open(self.path + ".new", "w") as file:
            json.dump(self.state, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(self.path + ".new", self.path)


class Device:
    def __init__(self, host, port, name, flash, broken):
        self.address, self.name, self.flash, self.broken = (host, port), name, flash, broken
        self.topic = f"citytap/rekey/{name}"
        self.told = threading.Event()
        self.began = time.monotonic()
        flash.write(boot=flash.state["boot"] + 1)

    def connect(self, credential):
        """A client that is let in, or None."""
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=self.name, protocol=paho.MQTTv311)
        client.username_pw_set(credential["user"], credential["password"])
        answered, code = threading.Event(), []
        client.on_connect = lambda c, data, flags, reason, properties: (code.append(reason), answered.set())
        client.on_message = self.on_message
        try:
            client.connect(*self.address, 30)
        except OSError:
            return None
        client.loop_start()
        if answered.wait(5) and not code[0].is_failure:
            client.subscribe(f"{self.topic}/set", 1)
            return client
        client.disconnect()
        client.loop_stop()
        return None

    def uptime(self):
        return math.ceil(time.monotonic() - self.began)

    def say(self, client, state, **more):
        message = {"contract": CONTRACT, "state": state, "boot": self.flash.state["boot"], "uptime": self.uptime(), **more}
        client.publish(f"{self.topic}/state", json.dumps(message), qos=1).wait_for_publish(5)

    def on_message(self, client, data, message):
        """Step 1: beside the old one, durably; the answer goes out from the main loop, on the connection that it has."""
        if message.retain:
            return
        try:
            order = json.loads(message.payload)
            if order["contract"] != CONTRACT or order["generation"] <= self.flash.state["current"]["generation"]:
                return
            password = order["password"] if not self.broken else order["password"][::-1]
            self.flash.write(next={"user": order["user"], "password": password, "generation": order["generation"], "mark": order["mark"]})
            self.told.set()
        except (ValueError, KeyError, TypeError):
            return

    def start(self):
        """Step 5: a start in the middle tries the new one first."""
        client = self.adopt() if self.flash.state["next"] else None
        while client is None:
            client = self.connect(self.flash.state["current"])
            time.sleep(0 if client else 0.5)
        self.say(client, "started", generation=self.flash.state["current"]["generation"])
        return client

    def adopt(self):
        """Steps 2 to 4: a client on the new credential, or on the old one."""
        new, why = self.flash.state["next"], "the broker refuses it"
        for attempt in range(ATTEMPTS):
            if client := self.connect(new):
                self.flash.write(current={key: new[key] for key in ("user", "password", "generation")}, next=None)
                self.say(client, "using", mark=new["mark"], generation=new["generation"])
                return client
            time.sleep(0.5 * (attempt + 1))
        while (client := self.connect(self.flash.state["current"])) is None:
            time.sleep(0.5)
        self.flash.write(next=None)
        self.say(client, "kept", mark=new["mark"], generation=self.flash.state["current"]["generation"], why=why)
        return client

    def run(self):
        client, reading = self.start(), 0
        while True:
            if self.told.is_set():
                self.told.clear()
                new = self.flash.state["next"]
                self.say(client, "stored", mark=new["mark"], generation=new["generation"])
                client.disconnect()
                client.loop_stop()
                client = self.adopt()
            if not client.is_connected():
                client.loop_stop()
                client = self.start_again()
            client.publish(f"city/meter/{self.name}/reading", json.dumps({"m3": reading}), qos=1)
            reading += 1
            time.sleep(0.5)

    def start_again(self):
        """The connection was lost; no restart."""
        while True:
            if client := self.connect(self.flash.state["current"]):
                return client
            time.sleep(0.5)


if __name__ == "__main__":
    host, port, name, state_file = sys.argv[1:5]
    Device(host, int(port), name, Flash(state_file), "--broken" in sys.argv).run()
