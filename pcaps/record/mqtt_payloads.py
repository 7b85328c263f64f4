"""What real products publish: topics and payloads, field for field. Each function returns a list of (topic, payload, retained)."""

import base64
import json


def text(value):
    return json.dumps(value, separators=(",", ":"))


def home_assistant_sensor(prefix, unique, device, origin, short=False, component="sensor", unit="°C"):
    """One discovery message of the classic form, with long or abbreviated keys, and a state."""
    state = f"{prefix}_state/{unique}"
    if short:
        config = {"name": "Value", "uniq_id": unique, "stat_t": state, "unit_of_meas": unit, "val_tpl": "{{ value }}",
                  "dev": {"ids": device["identifiers"], "cns": device["connections"], "name": device["name"], "mf": device["manufacturer"], "mdl": device["model"],
                          "sw": device["sw_version"], "hw": device["hw_version"], "sn": device["serial_number"]},
                  "o": {"name": origin["name"], "sw": origin["sw_version"], "url": origin["support_url"]}}
    else:
        config = {"name": "Value", "unique_id": unique, "state_topic": state, "unit_of_measurement": unit, "value_template": "{{ value }}", "device": device,
                  "origin": origin}
    return [(f"{prefix}/{component}/{unique}/config", text(config), True), (state, "21.5", False)]


def home_assistant_device(prefix, unique, device, origin):
    """The device form: one message, several components."""
    config = {"dev": device, "o": {"name": origin["name"], "sw": origin["sw_version"], "url": origin["support_url"]},
              "cmps": {"temperature": {"p": "sensor", "device_class": "temperature", "unit_of_measurement": "°C", "value_template": "{{ value_json.t }}",
                                       "unique_id": unique + "_t"},
                       "battery": {"p": "sensor", "device_class": "battery", "unit_of_measurement": "%", "value_template": "{{ value_json.b }}",
                                   "unique_id": unique + "_b"}},
              "state_topic": f"{unique}/state", "qos": 1}
    return [(f"{prefix}/device/{unique}/config", text(config), True), (f"{unique}/state", text({"t": 19.5, "b": 87}), False)]


def tasmota(mac, ip, name, version="13.3.0", module="Sonoff Basic", module_number=1, build="2023-12-02T12:22:22"):
    """A Tasmota switch from power-on: LWT, INFO1 to 3, discovery, STATE, SENSOR, and the answer to `Status 2`. `mac`: 12 upper-case digits."""
    topic = f"tasmota_{mac[-6:]}"
    config = {"ip": ip, "dn": name, "fn": [name, None, None, None, None, None, None, None], "hn": f"{topic.replace('_', '-')}-{int(mac[-4:], 16) % 8192}",
              "mac": mac, "md": module, "ty": 0, "if": 0, "ofln": "Offline", "onln": "Online", "state": ["OFF", "ON", "TOGGLE", "HOLD"], "sw": version,
              "t": topic, "ft": "%prefix%/%topic%/", "tp": ["cmnd", "stat", "tele"], "rl": [1, 0, 0, 0, 0, 0, 0, 0], "swc": [-1] * 8, "swn": [None] * 8,
              "btn": [0] * 8, "so": {"4": 0, "11": 0, "13": 0, "17": 0, "20": 0, "30": 0, "68": 0, "73": 0, "82": 0, "114": 0, "117": 0}, "lk": 0, "lt_st": 0,
              "bat": 0, "dslp": 0, "sho": [0] * 4, "sht": [[0, 0, 0]] * 4, "ver": 1}
    energy = {"TotalStartTime": "2023-01-01T00:00:00", "Total": 12.345, "Yesterday": 0.12, "Today": 0.045, "Power": 17, "Voltage": 231, "Current": 0.075}
    return [
        (f"tele/{topic}/LWT", "Online", True),
        (f"cmnd/{topic}/POWER", "", False),
        (f"tele/{topic}/INFO1", text({"Info1": {"Module": module, "Version": f"{version}(tasmota)", "FallbackTopic": f"cmnd/DVES_{mac[-6:]}_fb/",
                                                "GroupTopic": "cmnd/tasmotas/"}}), False),
        (f"tele/{topic}/INFO2", text({"Info2": {"WebServerMode": "Admin", "Hostname": config["hn"], "IPAddress": ip}}), False),
        (f"tele/{topic}/INFO3", text({"Info3": {"RestartReason": "Power On", "BootCount": 31}}), False),
        (f"stat/{topic}/RESULT", text({"POWER": "ON"}), False), (f"stat/{topic}/POWER", "ON", False),
        (f"tasmota/discovery/{mac}/config", text(config), True),
        (f"tasmota/discovery/{mac}/sensors", text({"sn": {"Time": "2026-05-04T06:00:00", "ENERGY": energy}, "ver": 1}), True),
        (f"tele/{topic}/STATE", text({"Time": "2026-05-04T06:00:00", "Uptime": "0T00:00:12", "UptimeSec": 12, "Heap": 26, "SleepMode": "Dynamic", "Sleep": 50,
                                      "LoadAvg": 19, "MqttCount": 1, "POWER": "ON", "Wifi": {"AP": 1, "SSId": "city", "BSSId": "02:11:22:33:44:55", "Channel": 6,
                                                                                            "Mode": "11n", "RSSI": 78, "Signal": -61, "LinkCount": 1}}), False),
        (f"tele/{topic}/SENSOR", text({"Time": "2026-05-04T06:00:00", "ENERGY": energy}), False),
        (f"stat/{topic}/STATUS2", text({"StatusFWR": {"Version": f"{version}(tasmota)", "BuildDateTime": build, "Boot": 31, "Core": "2_7_4_9",
                                                      "SDK": "2.2.2-dev(38a443e)", "CpuFrequency": 80, "Hardware": "ESP8266EX", "CR": "376/699"}}), False),
    ]


def shelly_gen1(device_id, model, mac, ip, firmware="20230913-112003/v1.14.0-gcb84623", new_firmware=False):
    announce = text({"id": device_id, "model": model, "mac": mac, "ip": ip, "new_fw": new_firmware, "fw_ver": firmware})
    return [("shellies/announce", announce, False), (f"shellies/{device_id}/announce", announce, False), (f"shellies/{device_id}/online", "true", True),
            (f"shellies/{device_id}/relay/0", "on", True), (f"shellies/{device_id}/relay/0/power", "23.10", True),
            (f"shellies/{device_id}/relay/0/energy", "18234", True), (f"shellies/{device_id}/input/0", "0", True)]


def shelly_gen2(device_id, model, app, mac, ip, version="1.0.8", auth=False, client="city-hub"):
    """A Gen2 device that is online, answers Shelly.GetDeviceInfo to `client`, and notifies."""
    info = {"name": None, "id": device_id, "mac": mac, "slot": 1, "model": model, "gen": 2, "fw_id": f"20231107-162609/{version}-g8192e75", "ver": version,
            "app": app, "auth_en": auth, "auth_domain": device_id if auth else None}
    notify = {"src": device_id, "dst": f"{device_id}/events", "method": "NotifyStatus",
              "params": {"ts": 1777874400.5, "switch:0": {"id": 0, "output": True, "source": "MQTT", "apower": 41.2, "voltage": 230.8}}}
    full = {"src": device_id, "dst": f"{device_id}/events", "method": "NotifyFullStatus",
            "params": {"ts": 1777874400.1, "ble": {}, "cloud": {"connected": False}, "mqtt": {"connected": True},
                       "switch:0": {"id": 0, "source": "init", "output": False, "apower": 0.0, "voltage": 230.9, "temperature": {"tC": 51.2, "tF": 124.1}},
                       "sys": {"mac": mac, "restart_required": False, "time": "06:00", "unixtime": 1777874400, "uptime": 61, "ram_size": 246256, "ram_free": 140432,
                               "fs_size": 393216, "fs_free": 131072, "cfg_rev": 11, "available_updates": {"stable": {"version": "1.1.0"}}},
                       "wifi": {"sta_ip": ip, "status": "got ip", "ssid": "city", "rssi": -58}, "ws": {"connected": False}}}
    return [(f"{device_id}/online", "true", True), (f"{device_id}/events/rpc", text(full), False),
            (f"{client}/rpc", text({"id": 1, "src": device_id, "dst": client, "result": info}), False),
            (f"{device_id}/events/rpc", text(notify), False), (f"{device_id}/status/switch:0", text(notify["params"]["switch:0"]), False)]


ZIGBEE = [  # ieee address, type, friendly name, manufacturer, model id, vendor, model, description, software build, date code, power
    ("0x00158d0001a2b301", "EndDevice", "depot_door", "LUMI", "lumi.sensor_magnet.aq2", "Aqara", "MCCGQ11LM", "Door and window sensor", "3000-0001", "20161128", "Battery"),
    ("0x00158d0001a2b302", "EndDevice", "depot_climate", "LUMI", "lumi.weather", "Aqara", "WSDCGQ11LM", "Temperature and humidity sensor", "3000-0001", "20161129", "Battery"),
    ("0x00158d0001a2b303", "EndDevice", "tunnel_leak", "LUMI", "lumi.sensor_wleak.aq1", "Aqara", "SJCGQ11LM", "Water leak sensor", "3000-0001", "20170721", "Battery"),
    ("0x001788010b5a0001", "Router", "hall_light_1", "Signify Netherlands B.V.", "LCA001", "Philips", "9290022166", "Hue white and color ambiance E26/E27", "1.104.2", "20230411", "Mains (single phase)"),
    ("0x001788010b5a0002", "Router", "hall_light_2", "Signify Netherlands B.V.", "LCA001", "Philips", "9290022166", "Hue white and color ambiance E26/E27", "1.104.2", "20230411", "Mains (single phase)"),
    ("0x001788010b5a0003", "EndDevice", "hall_motion", "Signify Netherlands B.V.", "SML003", "Philips", "9290030675", "Hue motion sensor", "2.53.6", "20211118", "Battery"),
    ("0x842e14fffe3a1101", "Router", "yard_plug_1", "IKEA of Sweden", "TRADFRI control outlet", "IKEA", "E1603/E1702/E1708", "TRADFRI control outlet", "2.3.089", "20221104", "Mains (single phase)"),
    ("0x842e14fffe3a1102", "Router", "yard_plug_2", "IKEA of Sweden", "TRADFRI control outlet", "IKEA", "E1603/E1702/E1708", "TRADFRI control outlet", "2.0.0244", "20190311", "Mains (single phase)"),
    ("0x7cb03eaa00b00001", "Router", "pump_house_plug", "OSRAM", "Plug 01", "OSRAM", "AB3257001NJ", "Smart+ plug", "V1.04.14", "20140331OSR****", "Mains (single phase)"),
    ("0xa4c13801aa550001", "EndDevice", "square_air", "_TZE200_dwcarsat", "TS0601", "Tuya", "TS0601_smart_air_house_keeper", "Smart air house keeper", None, "", "Mains (single phase)"),
    ("0xa4c13801aa550002", "EndDevice", "square_rain", "_TZ3210_tgvtvdoc", "TS0207", "Tuya", "RB-SRAIN01", "Rain sensor", None, "", "Battery"),
    ("0x04cf8cdf3c7d0001", "EndDevice", "depot_vibration", "LUMI", "lumi.vibration.aq1", "Aqara", "DJT11LM", "Vibration sensor", "3000-0001", "20180130", "Battery"),
]


def zigbee2mqtt(base="zigbee2mqtt", version="1.35.1", permit_join=True, devices=ZIGBEE):
    """bridge/state, info, devices and groups, then one message of each device."""
    info = {"version": version, "commit": "7ebb6f8", "coordinator": {"ieee_address": "0x00124b0024c1a2b3", "type": "zStack3x0",
            "meta": {"maintrel": 1, "majorrel": 2, "minorrel": 7, "product": 1, "revision": 20230507, "transportrev": 2}},
            "zigbee_herdsman_converters": {"version": "16.13.1"}, "zigbee_herdsman": {"version": "0.30.0"},
            "network": {"channel": 15, "pan_id": 6754, "extended_pan_id": "0xdddddddddddddddd"}, "log_level": "info", "permit_join": permit_join,
            "permit_join_timeout": None, "restart_required": False,
            "config": {"mqtt": {"base_topic": base, "server": "mqtt://10.20.0.5:1883"}, "serial": {"port": "/dev/ttyUSB0"}, "advanced": {"channel": 15}}}
    coordinator = {"ieee_address": "0x00124b0024c1a2b3", "type": "Coordinator", "network_address": 0, "supported": True, "friendly_name": "Coordinator",
                   "disabled": False, "definition": None, "power_source": None, "interviewing": False, "interview_completed": True,
                   "endpoints": {"1": {"bindings": [], "clusters": {"input": [], "output": []}, "configured_reportings": [], "scenes": []}}}
    listed = [coordinator]
    for number, (ieee, kind, name, manufacturer, model_id, vendor, model, description, build, date, power) in enumerate(devices):
        entry = {"ieee_address": ieee, "type": kind, "network_address": 4096 + 17 * number, "supported": True, "friendly_name": name, "disabled": False,
                 "definition": {"model": model, "vendor": vendor, "description": description, "supports_ota": vendor in ("Philips", "IKEA"), "options": [],
                                "exposes": [{"type": "numeric", "name": "linkquality", "property": "linkquality", "access": 1, "unit": "lqi"}]},
                 "power_source": power, "model_id": model_id, "manufacturer": manufacturer, "date_code": date, "interviewing": False, "interview_completed": True,
                 "endpoints": {"1": {"bindings": [], "clusters": {"input": ["genBasic"], "output": ["genOta"]}, "configured_reportings": [], "scenes": []}}}
        if build:
            entry["software_build_id"] = build
        listed.append(entry)
    messages = [(f"{base}/bridge/state", text({"state": "online"}), True), (f"{base}/bridge/info", text(info), True),
                (f"{base}/bridge/devices", text(listed), True), (f"{base}/bridge/groups", "[]", True),
                (f"{base}/bridge/logging", text({"level": "info", "message": f"Zigbee2MQTT version {version}"}), False)]
    for number, device in enumerate(devices):
        messages.append((f"{base}/{device[2]}", text({"battery": 97 - number, "linkquality": 60 + 9 * number, "voltage": 2995}), False))
    return messages


def homie4(device, name):
    base = f"homie/{device}"
    return [(f"{base}/$state", "init", True), (f"{base}/$homie", "4.0.0", True), (f"{base}/$name", name, True), (f"{base}/$nodes", "climate", True),
            (f"{base}/$extensions", "org.homie.legacy-firmware:0.1.1:[4.x],org.homie.legacy-stats:0.1.1:[4.x]", True), (f"{base}/$implementation", "esp32", True),
            (f"{base}/$localip", "10.10.1.44", True), (f"{base}/$mac", "24:0A:C4:12:34:56", True), (f"{base}/$fw/name", "street-climate", True),
            (f"{base}/$fw/version", "2.4.1", True), (f"{base}/climate/$name", "Climate", True), (f"{base}/climate/$type", "BME280", True),
            (f"{base}/climate/$properties", "temperature,humidity", True), (f"{base}/climate/temperature/$name", "Temperature", True),
            (f"{base}/climate/temperature/$datatype", "float", True), (f"{base}/climate/temperature/$unit", "°C", True),
            (f"{base}/climate/humidity/$name", "Humidity", True), (f"{base}/climate/humidity/$datatype", "integer", True), (f"{base}/$state", "ready", True),
            (f"{base}/climate/temperature", "17.4", True), (f"{base}/climate/humidity", "61", True)]


def homie3(device, name):
    base = f"homie/{device}"
    return [(f"{base}/$homie", "3.0.1", True), (f"{base}/$name", name, True), (f"{base}/$localip", "10.10.1.45", True), (f"{base}/$mac", "5C:CF:7F:AA:BB:01", True),
            (f"{base}/$fw/name", "relay-board", True), (f"{base}/$fw/version", "1.0.7", True), (f"{base}/$fw/checksum", "f0d5e4c1b2a39876f0d5e4c1b2a39876", True),
            (f"{base}/$implementation", "esp8266", True), (f"{base}/$implementation/version", "3.0.0", True), (f"{base}/$implementation/ota/enabled", "true", True),
            (f"{base}/$nodes", "relay", True), (f"{base}/$stats", "uptime,signal", True), (f"{base}/$stats/interval", "60", True), (f"{base}/relay/$name", "Relay", True),
            (f"{base}/relay/$type", "switch", True), (f"{base}/relay/$properties", "on", True), (f"{base}/relay/on/$settable", "true", True),
            (f"{base}/$state", "ready", True), (f"{base}/$stats/uptime", "120", True), (f"{base}/relay/on", "true", True)]


def b64(hexadecimal):
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def the_things_stack(application, device, dev_eui, join_eui, dev_addr, gateway, gateway_eui, brand=None, model=None, hardware=None, firmware=None, count=2,
                     port=85, payload="0175640367110104686e", tenant="ttn"):
    """The Things Stack v3: the join, uplinks, a queued and sent downlink."""
    base = f"v3/{application}@{tenant}/devices/{device}"
    ids = {"device_id": device, "application_ids": {"application_id": application}, "dev_eui": dev_eui.upper(), "join_eui": join_eui.upper(), "dev_addr": dev_addr.upper()}
    correlation = ["as:up:01HX5ZC7E0M9X3T1K2J4R5S6T7", "gs:conn:01HX4Y8QK2P7N6M5L4K3J2H1G0"]
    session = "AY9kq0h2c3d4e5f6a7b8c9=="
    messages = [(f"{base}/join", text({"end_device_ids": ids, "correlation_ids": correlation, "received_at": "2026-05-04T06:00:01.100000Z",
                                       "join_accept": {"session_key_id": session, "received_at": "2026-05-04T06:00:00.900000Z"}}), False)]
    for number in range(count):
        up = {"session_key_id": session, "f_port": port, "f_cnt": number, "frm_payload": b64(payload), "decoded_payload": {"battery": 100, "temperature": 27.3 + number},
              "rx_metadata": [{"gateway_ids": {"gateway_id": gateway, "eui": gateway_eui.upper()}, "time": "2026-05-04T06:05:00Z", "timestamp": 2463457000 + number,
                               "rssi": -71, "channel_rssi": -71, "snr": 9.2, "location": {"latitude": 52.3731, "longitude": 4.8922, "source": "SOURCE_REGISTRY"},
                               "uplink_token": "ChsKGQoN", "channel_index": 3, "received_at": "2026-05-04T06:05:00.123Z"}],
              "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7, "coding_rate": "4/5"}}, "frequency": "868100000",
                           "timestamp": 2463457000 + number, "time": "2026-05-04T06:05:00Z"},
              "received_at": "2026-05-04T06:05:00.200Z", "confirmed": False, "consumed_airtime": "0.056576s",
              "network_ids": {"net_id": "000013", "ns_id": "EC656E0000000181", "tenant_id": tenant, "cluster_id": "eu1", "cluster_address": "eu1.example"}}
        if brand:
            up["version_ids"] = {"brand_id": brand, "model_id": model, "hardware_version": hardware, "firmware_version": firmware, "band_id": "EU_863_870"}
        messages.append((f"{base}/up", text({"end_device_ids": ids, "correlation_ids": correlation, "received_at": "2026-05-04T06:05:00.300Z", "uplink_message": up}), False))
    down = {"session_key_id": session, "f_port": 85, "f_cnt": 1, "frm_payload": b64("ff03b004"), "priority": "NORMAL"}
    messages += [(f"{base}/down/push", text({"downlinks": [{"f_port": 85, "frm_payload": b64("ff03b004"), "priority": "NORMAL"}]}), False),
                 (f"{base}/down/queued", text({"end_device_ids": ids, "correlation_ids": correlation, "downlink_queued": down}), False),
                 (f"{base}/down/sent", text({"end_device_ids": ids, "correlation_ids": correlation, "downlink_sent": down}), False)]
    return messages
