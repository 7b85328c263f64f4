"""ChirpStack 3 application events in protobuf: prints `topic base64` lines. Runs in an environment of its own, since the old package needs an old protobuf.

usage: chirpstack3_events.py DEV_EUI NAME DEV_ADDR GATEWAY
"""

import base64
import sys

from chirpstack_api.as_pb import integration
from chirpstack_api.common import common_pb2
from chirpstack_api.gw import gw_pb2

dev_eui, name, dev_addr, gateway = sys.argv[1:]
common = dict(application_id=2, application_name="water", device_name=name, dev_eui=bytes.fromhex(dev_eui), tags={"street": "Quay"})
rx = gw_pb2.UplinkRXInfo(gateway_id=bytes.fromhex(gateway), rssi=-57, lora_snr=10, crc_status=gw_pb2.CRC_OK, uplink_id=bytes(range(16)))
tx = gw_pb2.UplinkTXInfo(frequency=868100000, modulation=common_pb2.LORA,
                         lora_modulation_info=gw_pb2.LoRaModulationInfo(bandwidth=125, spreading_factor=7, code_rate="4/5"))
events = {
    "join": integration.JoinEvent(**common, dev_addr=bytes.fromhex(dev_addr), rx_info=[rx], tx_info=tx, dr=5),
    "up": integration.UplinkEvent(**common, rx_info=[rx], tx_info=tx, adr=True, dr=5, f_cnt=10, f_port=5, data=b"\x0b\x1c\x0d", object_json='{"flow":12.5}',
                                  dev_addr=bytes.fromhex(dev_addr)),
    "status": integration.StatusEvent(**common, margin=12, battery_level=75.5),
    "ack": integration.AckEvent(**common, acknowledged=True, f_cnt=12),
}
for event, message in events.items():
    print(f"application/2/device/{dev_eui}/event/{event}", base64.b64encode(message.SerializeToString()).decode())
