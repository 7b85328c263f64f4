#!/usr/bin/env python3
"""Build credentials/mqtt.tsv.

    python3 signatures/build/credentials.py DATA_DIR

DATA_DIR holds default_credentials.tsv and mirai_credentials.tsv. The output has one row per
unique (username, password); a pair that stands in several sources keeps its most specific list
first, so that a finding can name the list that says most about the product.
"""
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
BLANK = "<blank>"
PRODUCTS_KEPT = 3

# Curated pairs: (list, product, username, password, source). Each was read in the source named.
CURATED = [
    # Broker defaults: accounts that exist after installation, or that the vendor's own guides use.
    ("broker-default", "RabbitMQ MQTT plugin", "guest", "guest", "rabbitmq.conf example: mqtt.default_user"),
    ("broker-default", "HiveMQ Control Center", "admin", "hivemq", "HiveMQ 4 documentation: control center configuration"),
    ("broker-default", "EMQX Dashboard", "admin", "public", "EMQX dashboard README"),
    ("broker-default", "EMQX client examples", "emqx", "public", "EMQX client tutorials"),
    ("broker-default", "Apache ActiveMQ Artemis container", "artemis", "artemis", "ActiveMQ Artemis container file"),
    ("broker-default", "Apache ActiveMQ", "admin", "admin", "default_credentials"),
    ("broker-default", "Chariot MQTT Server", "admin", "changeme", "Cirrus Link Chariot documentation"),
    ("broker-default", "Chariot MQTT Server", "admin", "password", "Cirrus Link Chariot documentation: ADMIN_PASSWORD default"),
    # Platform defaults: accounts of an IoT platform; seen in CONNECT when an integrator reuses them.
    ("platform-default", "ThingsBoard tenant", "tenant@thingsboard.org", "tenant", "ThingsBoard installation guide"),
    ("platform-default", "ThingsBoard system administrator", "sysadmin@thingsboard.org", "sysadmin", "ThingsBoard installation guide"),
    ("platform-default", "ThingsBoard customer", "customer@thingsboard.org", "customer", "ThingsBoard installation guide"),
    ("platform-default", "ChirpStack", "admin", "admin", "product knowledge"),
    # ThingsBoard carries the device access token in the user name and leaves the password empty.
    *[("platform-default", "ThingsBoard demo device token", t, "", "ThingsBoard demo data loader")
      for t in ("A1_TEST_TOKEN", "A2_TEST_TOKEN", "A3_TEST_TOKEN", "B1_TEST_TOKEN", "C1_TEST_TOKEN",
                "DHT11_DEMO_TOKEN", "RASPBERRY_PI_DEMO_TOKEN")],
    ("platform-default", "ThingsBoard thermostat demo token", "T1_TEST_TOKEN", "", "ThingsBoard demo scripts"),
    ("platform-default", "ThingsBoard thermostat demo token", "T2_TEST_TOKEN", "", "ThingsBoard demo scripts"),
    # Device defaults: firmware that ships with MQTT credentials filled in.
    ("device-default", "Tasmota", "DVES_USER", "DVES_PASS", "Tasmota my_user_config.h"),
    ("device-default", "Dragino gateway", "root", "dragino", "product knowledge"),
    ("device-default", "Milesight gateway", "admin", "password", "product knowledge"),
    ("device-default", "Kerlink gateway, firmware 2", "root", "root", "Kerlink wiki FAQ"),
    ("device-default", "Moxa", "admin", "moxa", "default_credentials"),
    ("device-default", "Moxa (CVE-2016-8717)", "94jo3dkru4", "moxaiwroot", "default_credentials"),
    ("device-default", "Schneider Electric M340, Premium", "sysdiag", "factorycast@schneider", "default_credentials"),
    ("device-default", "Schneider Electric M340, Premium", "USER", "USER", "default_credentials"),
    # Placeholders that people copy from guides and never change.
    *[("guide-placeholder", "copied from a guide", u, p, "common placeholder")
      for u, p in (("user", "password"), ("username", "password"), ("mqtt", "mqtt"), ("mqttuser", "mqttpassword"),
                   ("mqtt_user", "mqtt_password"), ("mqtt-user", "mqtt-password"), ("mqtt", "password"),
                   ("mosquitto", "mosquitto"), ("homeassistant", "homeassistant"), ("homeassistant", "password"),
                   ("my_user", "my_password"), ("your_username", "your_password"), ("iot", "iot"),
                   ("sensor", "sensor"), ("device", "device"), ("gateway", "gateway"), ("lora", "lora"),
                   ("lorawan", "lorawan"), ("chirpstack", "chirpstack"), ("loraserver", "loraserver"),
                   ("admin", "1234"), ("admin", "123456"), ("admin", "password"), ("test", "test"),
                   ("pi", "raspberry"), ("public", "public"), ("client", "client"), ("emqx", "emqx"))],
]

# Values of the cheat sheet that describe a secret instead of being one.
DESCRIPTION = re.compile(
    r"^\(.*\)$|^<.*>$|BEGIN |serial|see note|see comment|calculated|caclulated|unknown|random|last .* of|"
    r"number of|same (all|as)|^any@?$|^blank$|often blank|or blank|(?<=\s)or(?=\s)|^Type User|^Any$|%s|dont need|"
    r"MAC address|without special|digits|create by|'Enter'|\(any|^\(created\)|access$|substitute|cloud key|^last ",
    re.IGNORECASE,
)

HEADER = """\
# Default user names and passwords that can be tried over MQTT (CONNECT), one row per unique pair.
# source; licence: see the source column. default_credentials = github ihebski/DefaultCreds-cheat-sheet 2e48382 2026-07-09; MIT (LICENSES/MIT-DefaultCreds.txt)
# mirai = the pairs tried by the Mirai bot of 2016; facts, re-typed from its decoded table, no licence needed. All other rows: citytap; facts from the document named.
# <blank> means empty or absent. list: most specific first, joined with ';'. applies_to: protocols joined with ';'. Made by build/credentials.py; do not edit by hand.
"""


def read(path):
    rows = [l.rstrip("\n").split("\t") for l in open(path, encoding="utf-8") if not l.startswith("#")]
    return rows[1:]


def shown(value):
    return value if value else BLANK


def main(data):
    pairs = {}

    def add(name, product, user, password, source):
        if not user and not password:
            return
        entry = pairs.setdefault((user, password), {"lists": [], "products": [], "sources": []})
        for key, value in (("lists", name), ("products", product), ("sources", source)):
            if value and value.lower() not in [v.lower() for v in entry[key]]:
                entry[key].append(value)

    for row in CURATED:
        add(*row)
    for user, password in read(data / "mirai_credentials.tsv"):
        add("mirai", "", user, password, "mirai")
    for product, user, password in read(data / "default_credentials.tsv"):
        user, password = ("" if v == BLANK else v for v in (user, password))
        if any(DESCRIPTION.search(v) or len(v) > 64 or v != v.strip() for v in (user, password)):
            continue
        # The cheat sheet marks a service in brackets; the service is not MQTT, the product is what matters.
        product = re.sub(r"\s*\((ssh|web|telnet|ftp|http|general|snmp|iot|IPMI)\)", "", product, flags=re.IGNORECASE)
        add("default-credentials", product, user, password, "default_credentials")

    with open(HERE / "credentials" / "mqtt.tsv", "w", encoding="utf-8", newline="\n") as out:
        out.write(HEADER)
        out.write("list\tvendor_product\tusername\tpassword\tapplies_to\tsource\n")
        order = ["broker-default", "platform-default", "device-default", "guide-placeholder", "mirai", "default-credentials"]
        for (user, password), e in sorted(pairs.items(), key=lambda i: (order.index(i[1]["lists"][0]), i[0])):
            products = e["products"][:PRODUCTS_KEPT] or ["many"]
            more = len(e["products"]) - PRODUCTS_KEPT
            text = "; ".join(products) + (f"; and {more} more" if more > 0 else "")
            out.write("\t".join([";".join(e["lists"]), text, shown(user), shown(password), "mqtt;mqtt-websocket", "; ".join(e["sources"])]) + "\n")
    print(len(pairs), "pairs")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
