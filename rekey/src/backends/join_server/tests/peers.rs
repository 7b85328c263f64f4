//! The other sides: a network server that speaks JSON over HTTP, and an end device. Both are written from the documents with the ciphers alone.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

fn aes(key: &[u8; 16], block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    Aes128::new(&(*key).into()).encrypt_block(&mut block);
    block.into()
}

fn mic(key: &[u8; 16], message: &[u8]) -> [u8; 4] {
    let mut mac = <Cmac<Aes128> as KeyInit>::new(&(*key).into());
    mac.update(message);
    <[u8; 16]>::from(mac.finalize().into_bytes())[..4].try_into().unwrap()
}

/// An end device: 1.0.x with one root key, 1.1 with two.
#[derive(Clone)]
pub(super) struct Device {
    pub(super) dev_eui: u64,
    pub(super) join_eui: u64,
    pub(super) nwk_key: [u8; 16],
    pub(super) app_key: Option<[u8; 16]>,
    pub(super) dev_nonce: u16,
    /// What the network server gives it next.
    pub(super) dev_addr: u32,
    /// What a device of 1.0.4 and later checks.
    pub(super) last_join_nonce: Option<u32>,
    pub(super) app_s_key: [u8; 16],
    pub(super) network_keys: Vec<[u8; 16]>,
}

impl Device {
    pub(super) fn new(dev_eui: u64, key: u8) -> Self {
        let nwk_key = [key; 16];
        Self {
            dev_eui,
            join_eui: 0x70b3d57ed0000001,
            nwk_key,
            app_key: None,
            dev_nonce: 0,
            dev_addr: 0x26013fff,
            last_join_nonce: None,
            app_s_key: [0; 16],
            network_keys: Vec::new(),
        }
    }

    pub(super) fn v1_1(dev_eui: u64, key: u8) -> Self {
        Self { app_key: Some([key ^ 0xff; 16]), ..Self::new(dev_eui, key) }
    }

    pub(super) fn secret(&self) -> Vec<u8> {
        self.nwk_key.into_iter().chain(self.app_key.into_iter().flatten()).collect()
    }

    /// The next join-request.
    pub(super) fn join_request(&mut self) -> Vec<u8> {
        self.dev_nonce += 1;
        let mut frame = vec![0x00];
        frame.extend(self.join_eui.to_le_bytes());
        frame.extend(self.dev_eui.to_le_bytes());
        frame.extend(self.dev_nonce.to_le_bytes());
        frame.extend(mic(&self.nwk_key, &frame));
        frame
    }

    fn js_key(&self, which: u8) -> [u8; 16] {
        let mut block = [0; 16];
        block[0] = which;
        block[1..9].copy_from_slice(&self.dev_eui.to_le_bytes());
        aes(&self.nwk_key, block)
    }

    /// A rejoin-request; types 0 and 2 are made in the session that it is in.
    pub(super) fn rejoin_request(&self, kind: u8, count: u16) -> Vec<u8> {
        let mut frame = vec![0xc0, kind];
        if kind == 1 {
            frame.extend(self.join_eui.to_le_bytes());
        } else {
            frame.extend([0x13, 0, 0]);
        }
        frame.extend(self.dev_eui.to_le_bytes());
        frame.extend(count.to_le_bytes());
        let key = if kind == 1 { self.js_key(6) } else { self.network_keys[1] };
        frame.extend(mic(&key, &frame));
        frame
    }

    /// Takes a join-accept for its last request (`kind` 0xff) or a rejoin-request; says whether it is in.
    pub(super) fn take(&mut self, accept: &[u8], kind: u8, nonce: u16) -> bool {
        let cipher = if kind == 0xff { self.nwk_key } else { self.js_key(5) };
        let plain: Vec<u8> = accept[1..].chunks(16).flat_map(|block| aes(&cipher, block.try_into().unwrap())).collect();
        let (message, code) = plain.split_at(plain.len() - 4);
        let v1_1 = message[10] & 0x80 != 0;
        let mut covered = Vec::new();
        if v1_1 {
            covered.push(kind);
            covered.extend(self.join_eui.to_le_bytes());
            covered.extend(nonce.to_le_bytes());
        }
        covered.push(accept[0]);
        covered.extend(message);
        let key = if v1_1 { self.js_key(6) } else { self.nwk_key };
        let join_nonce = u32::from_le_bytes([message[0], message[1], message[2], 0]);
        if mic(&key, &covered) != code || self.last_join_nonce.is_some_and(|last| join_nonce <= last) {
            return false;
        }
        self.last_join_nonce = Some(join_nonce);
        let derive = |root: &[u8; 16], which: u8| {
            let mut block = [0; 16];
            block[0] = which;
            block[1..4].copy_from_slice(&message[..3]);
            if v1_1 {
                block[4..12].copy_from_slice(&self.join_eui.to_le_bytes());
                block[12..14].copy_from_slice(&nonce.to_le_bytes());
            } else {
                block[4..7].copy_from_slice(&message[3..6]);
                block[7..9].copy_from_slice(&nonce.to_le_bytes());
            }
            aes(root, block)
        };
        self.app_s_key = derive(self.app_key.as_ref().filter(|_| v1_1).unwrap_or(&self.nwk_key), 2);
        self.network_keys =
            if v1_1 { [1, 3, 4].map(|which| derive(&self.nwk_key, which)).to_vec() } else { vec![derive(&self.nwk_key, 1)] };
        true
    }

    /// Joins by way of a network server. `Err` is the result code.
    pub(super) fn join(&mut self, client: &mut Client) -> Result<Value, String> {
        let frame = self.join_request();
        let answer = client.ask(&self.join_req(&frame));
        self.finish(answer, 0xff, self.dev_nonce)
    }

    pub(super) fn rejoin(&mut self, client: &mut Client, kind: u8, count: u16) -> Result<Value, String> {
        let mut request = self.join_req(&self.rejoin_request(kind, count));
        request["MessageType"] = json!("RejoinReq");
        let answer = client.ask(&request);
        self.finish(answer, kind, count)
    }

    fn finish(&mut self, answer: Value, kind: u8, nonce: u16) -> Result<Value, String> {
        if answer["Result"]["ResultCode"] != "Success" {
            return Err(answer["Result"]["ResultCode"].as_str().unwrap().to_owned());
        }
        assert!(
            self.take(&unhex(answer["PHYPayload"].as_str().unwrap()), kind, nonce),
            "the device does not take the join-accept"
        );
        assert_eq!(answer["AppSKey"]["AESKey"], hex(&self.app_s_key), "device and network server have the same key");
        let names: &[&str] =
            if self.network_keys.len() == 1 { &["NwkSKey"] } else { &["FNwkSIntKey", "SNwkSIntKey", "NwkSEncKey"] };
        for (name, key) in names.iter().zip(&self.network_keys) {
            assert_eq!(answer[name]["AESKey"], hex(key), "{name}");
        }
        Ok(answer)
    }

    /// JoinReq with this frame, as ChirpStack sends it.
    pub(super) fn join_req(&self, frame: &[u8]) -> Value {
        let v1_1 = self.app_key.is_some();
        json!({
            "ProtocolVersion": "1.0", "SenderID": "000013", "ReceiverID": format!("{:016x}", self.join_eui), "TransactionID": 77, "MessageType": "JoinReq",
            "MACVersion": if v1_1 { "1.1.0" } else { "1.0.4" }, "PHYPayload": hex(frame), "DevEUI": format!("{:016x}", self.dev_eui), "DevAddr": format!("{:08x}", self.dev_addr),
            "DLSettings": if v1_1 { "80" } else { "00" }, "RxDelay": 1, "CFList": "184f84e85684b85e8488668458ce8400",
        })
    }
}

/// Anything that bytes go through.
pub(super) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A network server's connection.
pub(super) struct Client {
    stream: BufReader<Box<dyn Stream>>,
    pub(super) authorization: Option<String>,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Self {
        Self::over(Box::new(TcpStream::connect(address).unwrap()))
    }

    pub(super) fn over(stream: Box<dyn Stream>) -> Self {
        Self { stream: BufReader::new(stream), authorization: None }
    }

    pub(super) fn ask(&mut self, request: &Value) -> Value {
        let (status, body) = self.post(request.to_string().as_bytes()).expect("an answer");
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }

    /// POSTs a body; status and body of the answer, or `None` where the connection ended.
    pub(super) fn post(&mut self, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let authorization = self.authorization.as_ref().map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: js\r\nContent-Type: application/json\r\n{authorization}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat()).ok()?;
        self.read()
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    pub(super) fn read(&mut self) -> Option<(u16, Vec<u8>)> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).ok()?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some((status, body))
    }
}
