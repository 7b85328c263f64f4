"""What ChirpStack publishes on MQTT, version 4 through its own API package (JSON and protobuf) and version 3 as its JSON marshalers wrote it."""

import base64
import json

from chirpstack_api.common import common_pb2
from chirpstack_api.gw import gw_pb2 as gw
from chirpstack_api.integration import integration_pb2 as integration
from google.protobuf.json_format import MessageToJson

TENANT, APPLICATION = "52f14cd4-c6f1-4fbd-8f87-4025e1d49242", "17c82e96-be03-4f38-aef3-f83d48582d97"
PROFILE = "14855bf7-d10d-4aee-b618-ebfcb64dc7ad"


def encoded(message, as_json):
    return MessageToJson(message, indent=None) if as_json else message.SerializeToString()


def lora(spreading=7):
    return gw.Modulation(lora=gw.LoraModulationInfo(bandwidth=125000, spreading_factor=spreading, code_rate=gw.CR_4_5))


def rx(gateway, uplink_id, rssi=-61, snr=8.5):
    info = gw.UplinkRxInfo(gateway_id=gateway, uplink_id=uplink_id, rssi=rssi, snr=snr, channel=2, rf_chain=1, context=b"\x00\x12\x34\x56", crc_status=gw.CRC_OK)
    info.gw_time.FromSeconds(1777874700)
    info.location.latitude, info.location.longitude, info.location.altitude = 52.3702, 4.8952, 12.0
    info.metadata["region_config_id"], info.metadata["region_common_name"] = "eu868", "EU868"
    return info


def device_info(dev_eui, name, profile):
    return integration.DeviceInfo(tenant_id=TENANT, tenant_name="City", application_id=APPLICATION, application_name="sensors", device_profile_id=PROFILE,
                                  device_profile_name=profile, device_name=name, dev_eui=dev_eui, device_class_enabled=common_pb2.CLASS_A, tags={"district": "north"})


def v4_application(dev_eui, name, profile, dev_addr, gateway, as_json=True, uplinks=2):
    """Join, uplinks, status, acknowledged downlink: (topic, payload, retained)."""
    base, info = f"application/{APPLICATION}/device/{dev_eui}", device_info(dev_eui, name, profile)
    join = integration.JoinEvent(deduplication_id="c9dbe358-2578-4fb7-b295-66b44edc45a6", device_info=info, dev_addr=dev_addr)
    join.time.FromSeconds(1777874400)
    messages = [(f"{base}/event/join", encoded(join, as_json), False)]
    for number in range(uplinks):
        up = integration.UplinkEvent(deduplication_id=f"3ac7e3c4-4401-4b8d-9386-a5c902f9202{number}", device_info=info, dev_addr=dev_addr, adr=True, dr=5, f_cnt=number,
                                     f_port=85, confirmed=False, data=bytes.fromhex("01755c03673401046865"), rx_info=[rx(gateway, 4217106255 + number)],
                                     tx_info=gw.UplinkTxInfo(frequency=868100000, modulation=lora()))
        up.time.FromSeconds(1777874700 + number * 600)
        up.object.update({"temperature": 30.8, "humidity": 50.5, "battery": 92})
        messages.append((f"{base}/event/up", encoded(up, as_json), False))
    status = integration.StatusEvent(deduplication_id="b1a7b5c0-6f8e-4b76-8d1a-111111111111", device_info=info, margin=20, battery_level=92.0)
    ack = integration.AckEvent(deduplication_id="b1a7b5c0-6f8e-4b76-8d1a-222222222222", device_info=info, queue_item_id="0f6f6d2e-5d05-4a5a-8d1e-333333333333",
                               acknowledged=True, f_cnt_down=1)
    down = integration.DownlinkCommand(id="0f6f6d2e-5d05-4a5a-8d1e-333333333333", dev_eui=dev_eui, confirmed=True, f_port=85, data=b"\xff\x03\xb0\x04")
    return messages + [(f"{base}/event/status", encoded(status, as_json), False), (f"{base}/command/down", encoded(down, as_json), False),
                       (f"{base}/event/ack", encoded(ack, as_json), False)]


def v4_gateway(gateway, uplinks, downlinks=(), region="eu868", as_json=False, model="rak_2287", concentratord="4.3.2", hal="2.1.0"):
    """Gateway bridge messages around PHYPayloads (hex): event/up, command/down and event/ack, event/stats, state/conn."""
    base, messages = f"{region}/gateway/{gateway}", []
    state = gw.ConnState(gateway_id=gateway, state=gw.ConnState.ONLINE)
    messages.append((f"{base}/state/conn", encoded(state, as_json), True))
    for number, frame in enumerate(uplinks):
        up = gw.UplinkFrame(phy_payload=bytes.fromhex(frame), tx_info=gw.UplinkTxInfo(frequency=868300000, modulation=lora()), rx_info=rx(gateway, 70000 + number))
        messages.append((f"{base}/event/up", encoded(up, as_json), False))
    for number, frame in enumerate(downlinks):
        item = gw.DownlinkFrameItem(phy_payload=bytes.fromhex(frame), tx_info=gw.DownlinkTxInfo(frequency=868300000, power=14, modulation=lora(), context=b"\x00\x12\x34\x56"))
        item.tx_info.timing.delay.delay.FromSeconds(5)
        messages.append((f"{base}/command/down", encoded(gw.DownlinkFrame(downlink_id=900 + number, gateway_id=gateway, items=[item]), as_json), False))
        messages.append((f"{base}/event/ack", encoded(gw.DownlinkTxAck(gateway_id=gateway, downlink_id=900 + number, items=[gw.DownlinkTxAckItem(status=gw.OK)]), as_json), False))
    stats = gw.GatewayStats(gateway_id=gateway, rx_packets_received=41, rx_packets_received_ok=39, tx_packets_received=3, tx_packets_emitted=3, config_version="2024-03",
                            metadata={"concentratord_version": concentratord, "hal_version": hal, "model": model, "region_config_id": region, "region_common_name": region.upper()})
    stats.time.FromSeconds(1777874730)
    stats.location.latitude, stats.location.longitude = 52.3702, 4.8952
    return messages + [(f"{base}/event/stats", encoded(stats, as_json), False)]


def b64(hexadecimal):
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def v3_gateway_protobuf(gateway, uplinks):
    """Version 3's protobuf: the fields that version 4 keeps as legacy (same numbers)."""
    messages = []
    for frame in uplinks:
        up = gw.UplinkFrame(phy_payload=bytes.fromhex(frame))
        up.tx_info_legacy.frequency = 868500000
        up.tx_info_legacy.modulation = common_pb2.LORA
        up.tx_info_legacy.lora_modulation_info.bandwidth = 125
        up.tx_info_legacy.lora_modulation_info.spreading_factor = 9
        up.tx_info_legacy.lora_modulation_info.code_rate_legacy = "4/5"
        up.rx_info_legacy.gateway_id = bytes.fromhex(gateway)
        up.rx_info_legacy.rssi, up.rx_info_legacy.lora_snr = -88, 4.5
        up.rx_info_legacy.context, up.rx_info_legacy.uplink_id = b"\x00\x00\x00\x01", bytes(range(16))
        up.rx_info_legacy.crc_status = gw.CRC_OK
        messages.append((f"gateway/{gateway}/event/up", up.SerializeToString(), False))
    return messages


def v3_gateway_json(gateway, uplinks, downlinks=()):
    messages = [(f"gateway/{gateway}/state/conn", json.dumps({"gatewayID": b64(gateway), "state": "ONLINE"}), True)]
    for number, frame in enumerate(uplinks):
        messages.append((f"gateway/{gateway}/event/up", json.dumps({
            "phyPayload": b64(frame),
            "txInfo": {"frequency": 868100000, "modulation": "LORA",
                       "loRaModulationInfo": {"bandwidth": 125, "spreadingFactor": 7, "codeRate": "4/5", "polarizationInversion": False}},
            "rxInfo": {"gatewayID": b64(gateway), "time": "2026-05-04T06:05:00Z", "timeSinceGPSEpoch": None, "rssi": -54, "loRaSNR": 9, "channel": 0, "rfChain": 1,
                       "board": 0, "antenna": 0, "location": None, "fineTimestampType": "NONE", "context": b64(f"{number:08x}"), "uplinkID": b64("00" * 15 + f"{number:02x}"),
                       "crcStatus": "CRC_OK"}}), False))
    for number, frame in enumerate(downlinks):
        messages.append((f"gateway/{gateway}/command/down", json.dumps({
            "phyPayload": "", "token": 300 + number, "downlinkID": b64("00" * 15 + f"{number:02x}"), "gatewayID": b64(gateway),
            "items": [{"phyPayload": b64(frame), "txInfo": {"gatewayID": None, "frequency": 868100000, "power": 14, "modulation": "LORA", "board": 0, "antenna": 0,
                                                            "loRaModulationInfo": {"bandwidth": 125, "spreadingFactor": 7, "codeRate": "4/5", "polarizationInversion": True},
                                                            "timing": "DELAY", "delayTimingInfo": {"delay": "5s"}, "context": b64("00000000")}}]}), False))
        messages.append((f"gateway/{gateway}/event/ack", json.dumps({"gatewayID": b64(gateway), "token": 300 + number, "error": "",
                                                                     "downlinkID": b64("00" * 15 + f"{number:02x}"), "items": [{"status": "OK"}]}), False))
    messages.append((f"gateway/{gateway}/event/stats", json.dumps({
        "gatewayID": b64(gateway), "ip": "10.20.3.7", "time": "2026-05-04T06:05:30Z", "location": {"latitude": 52.36, "longitude": 4.9, "altitude": 3, "source": "GPS"},
        "configVersion": "1.2.3", "rxPacketsReceived": 12, "rxPacketsReceivedOK": 12, "txPacketsReceived": 1, "txPacketsEmitted": 1, "metaData": {}, "statsID": b64("11" * 16)}), False))
    return messages


def v3_application(dev_eui, name, profile, dev_addr, gateway, hexadecimal=True, older_topics=False):
    """The integration's JSON: `json_v3` marshaler (hexadecimal EUIs) or `json` (base64); topics event/up or, before 3.11, rx."""
    form = (lambda value: value) if hexadecimal else b64
    base = f"application/2/device/{dev_eui}"
    topic = lambda event: f"{base}/{ {'up': 'rx'}.get(event, event) }" if older_topics else f"{base}/event/{event}"
    common = {"applicationID": "2", "applicationName": "water", "deviceName": name, "deviceProfileName": profile, "deviceProfileID": PROFILE, "devEUI": form(dev_eui),
              "tags": {"street": "Quay"}}
    reception = [{"gatewayID": form(gateway), "uplinkID": "f7bd3f47-28a4-4e17-8e2f-64d3a8a20f10", "name": "roof", "time": "2026-05-04T06:05:00Z", "rssi": -57, "loRaSNR": 10,
                  "location": {"latitude": 52.3740364, "longitude": 4.9144401, "altitude": 10.5}}]
    return [
        (topic("join"), json.dumps({**common, "devAddr": form(dev_addr), "rxInfo": reception, "txInfo": {"frequency": 868100000, "dr": 5}}), False),
        (topic("up"), json.dumps({**common, "rxInfo": reception, "txInfo": {"frequency": 868100000, "dr": 5}, "adr": True, "dr": 5, "fCnt": 10, "fPort": 5,
                                  "data": b64("0b1c0d"), "objectJSON": json.dumps({"flow": 12.5}), "devAddr": form(dev_addr), "confirmedUplink": False}), False),
        (topic("status"), json.dumps({**common, "margin": 12, "externalPowerSource": False, "batteryLevelUnavailable": False, "batteryLevel": 75.5}), False),
        (topic("error"), json.dumps({**common, "type": "UPLINK_CODEC", "error": "no payload", "fCnt": 11}), False),
        (topic("ack"), json.dumps({**common, "acknowledged": True, "fCnt": 12}), False),
    ]
