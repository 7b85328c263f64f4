// LoRaWAN frames by the lora-packet library: one JSON request a line on standard input, one JSON answer a line on standard output.
// Rejoin requests, which lora-packet reads but cannot make, are laid out here (LoRaWAN 1.1, clause 6.2.4) with its AES-CMAC.
const lora = require("lora-packet");
const { AesCmac } = require("aes-cmac");
const readline = require("readline");

const hex = (text) => (text === undefined || text === null ? undefined : Buffer.from(text, "hex"));
const reversed = (text) => Buffer.from(text, "hex").reverse();
const number = (value, bytes) => { const b = Buffer.alloc(bytes); b.writeUIntBE(value, 0, bytes); return b; };
const keys = (object) => Object.fromEntries(Object.entries(object).map(([name, key]) => [name, key.toString("hex")]));

const operations = {
  joinRequest: (r) => lora.fromFields(
    { MType: "Join Request", AppEUI: hex(r.joinEui), DevEUI: hex(r.devEui), DevNonce: number(r.devNonce, 2) }, undefined, undefined, hex(r.key),
  ).PHYPayload.toString("hex"),

  joinAccept: (r) => {
    const packet = lora.fromFields({
      MType: "Join Accept", AppNonce: number(r.joinNonce, 3), NetID: hex(r.netId), DevAddr: hex(r.devAddr), DLSettings: number(r.dlSettings || 0, 1),
      RxDelay: number(r.rxDelay || 1, 1), CFList: hex(r.cfList || ""), JoinReqType: number(r.joinReqType || 255, 1),
      AppEUI: hex(r.joinEui), DevNonce: r.devNonce === undefined ? undefined : number(r.devNonce, 2),
    }, undefined, hex(r.jsIntKey), hex(r.key));
    return Buffer.concat([packet.MHDR, packet.MACPayloadWithMIC]).toString("hex");
  },

  data: (r) => {
    const upper = Buffer.alloc(2);
    upper.writeUInt16LE(r.fCnt >>> 16);
    const confirmed = r.confFCnt === undefined ? undefined : hex(r.confFCnt);
    const packet = lora.fromFields({
      MType: (r.confirmed ? "Confirmed" : "Unconfirmed") + " Data " + (r.down ? "Down" : "Up"), DevAddr: hex(r.devAddr), FCtrl: r.fCtrl || {},
      FCnt: number(r.fCnt & 0xffff, 2), FPort: r.fPort, FOpts: hex(r.fOpts || ""), payload: hex(r.payload || ""),
    }, hex(r.appSKey), hex(r.nwkSKey), hex(r.sNwkSIntKey), upper, confirmed);
    lora.recalculateMIC(packet, hex(r.nwkSKey), hex(r.sNwkSIntKey), upper, confirmed);
    packet._mergeGroupFields();
    return packet.PHYPayload.toString("hex");
  },

  rejoin: (r) => {
    const counter = Buffer.alloc(2);
    counter.writeUInt16LE(r.rjCount);
    const body = Buffer.concat([Buffer.from([0xc0, r.type]), reversed(r.type === 1 ? r.joinEui : r.netId), reversed(r.devEui), counter]);
    return Buffer.concat([body, Buffer.from(new AesCmac(hex(r.key)).calculate(body)).subarray(0, 4)]).toString("hex");
  },

  sessionKeys10: (r) => keys(lora.generateSessionKeys10(hex(r.key), hex(r.netId), number(r.joinNonce, 3), number(r.devNonce, 2))),
  sessionKeys11: (r) => keys(lora.generateSessionKeys11(hex(r.appKey), hex(r.nwkKey), hex(r.joinEui), number(r.joinNonce, 3), number(r.devNonce, 2))),
  jsKeys: (r) => keys(lora.generateJSKeys(hex(r.nwkKey), hex(r.devEui))),
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line);
  process.stdout.write(JSON.stringify(operations[request.op](request)) + "\n");
});
