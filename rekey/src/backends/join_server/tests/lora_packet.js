// Makes lora_packet.json with lora-packet (npm), another implementation: node lora_packet.js > lora_packet.json, where `npm install lora-packet@0.9.3` was run.
// Rejoin-requests, which lora-packet reads but cannot make, are laid out here (LoRaWAN 1.1 §6.2.4) with its AES-CMAC. Fields come of a fixed sequence.
const lora = require("lora-packet");
const { AesCmac } = require("aes-cmac");

let state = 4n;
const word = () => { state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn; return Number(state >> 32n); };
const bytes = (n) => Buffer.from(Array.from({ length: n }, () => word() & 0xff));
const big = (value, n) => { const b = Buffer.alloc(n); b.writeUIntBE(value, 0, n); return b; };
const hex = (keys) => Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, key.toString("hex")]));
const reversed = (b) => Buffer.from(b).reverse();
const LISTS = ["", "184f84e85684b85e8488668458ce8400", "ff000000000000000000000000000001"];
const NONCES = [1, 2, 77, 65536, 0xfffff0];

function accept(f, joinNonce, nonce, kind, key, intKey) {
  const packet = lora.fromFields({
    MType: "Join Accept", AppNonce: big(joinNonce, 3), NetID: f.net_id, DevAddr: f.dev_addr, DLSettings: big(f.dl_settings, 1), RxDelay: big(f.rx_delay, 1),
    CFList: Buffer.from(f.cf_list, "hex"), JoinReqType: big(kind, 1), AppEUI: f.join_eui, DevNonce: big(nonce, 2),
  }, undefined, intKey, key);
  return Buffer.concat([packet.MHDR, packet.MACPayloadWithMIC]).toString("hex");
}

function rejoin(f, kind, count, key) {
  const counter = Buffer.alloc(2);
  counter.writeUInt16LE(count);
  const body = Buffer.concat([Buffer.from([0xc0, kind]), reversed(kind === 1 ? f.join_eui : f.net_id), reversed(f.dev_eui), counter]);
  return Buffer.concat([body, Buffer.from(new AesCmac(key).calculate(body)).subarray(0, 4)]).toString("hex");
}

const cases = [];
for (let n = 0; n < 24; n++) {
  const v11 = n % 2 === 1;
  const f = { dev_eui: bytes(8), join_eui: bytes(8), nwk_key: bytes(16), app_key: bytes(16), net_id: bytes(3), dev_addr: bytes(4), dev_nonce: word() & 0xffff,
    rx_delay: word() & 15, dl_settings: (v11 ? 0x80 : 0) | (word() & 0x7f), cf_list: LISTS[n % 3], join_nonce: NONCES[n % 5] };
  const request = lora.fromFields({ MType: "Join Request", AppEUI: f.join_eui, DevEUI: f.dev_eui, DevNonce: big(f.dev_nonce, 2) }, undefined, undefined, f.nwk_key);
  const out = { ...f, mac_version: v11 ? "1.1.0" : ["1.0.2", "1.0.4"][(n >> 1) % 2], join_request: request.PHYPayload.toString("hex"), rejoins: [] };
  if (v11) {
    const js = lora.generateJSKeys(f.nwk_key, f.dev_eui);
    const keys = (joinNonce, nonce) => lora.generateSessionKeys11(f.app_key, f.nwk_key, f.join_eui, big(joinNonce, 3), big(nonce, 2));
    let session = keys(f.join_nonce, f.dev_nonce);
    out.keys = hex(session);
    out.join_accept = accept(f, f.join_nonce, f.dev_nonce, 0xff, f.nwk_key, js.JSIntKey);
    for (const kind of [0, 1, 2]) {
      const [joinNonce, count] = [f.join_nonce + kind + 1, 1 + (word() % 60000)];
      const made = rejoin(f, kind, count, kind === 1 ? js.JSIntKey : session.SNwkSIntKey);
      session = keys(joinNonce, count);
      out.rejoins.push({ kind, request: made, accept: accept(f, joinNonce, count, kind, js.JSEncKey, js.JSIntKey), keys: hex(session) });
    }
  } else {
    out.keys = hex(lora.generateSessionKeys10(f.nwk_key, f.net_id, big(f.join_nonce, 3), big(f.dev_nonce, 2)));
    out.join_accept = accept(f, f.join_nonce, f.dev_nonce, 0xff, f.nwk_key);
  }
  cases.push(JSON.stringify(out, (_, value) => (value && value.type === "Buffer" ? Buffer.from(value.data).toString("hex") : value)));
}
process.stdout.write(`{"origin": "lora-packet 0.9.3 by lora_packet.js", "cases": [\n${cases.join(",\n")}\n]}\n`);
