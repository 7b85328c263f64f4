//! What a Modbus message becomes: the records, and the facts that responses imply.

use super::UNIT;
use super::wire::{self, FileReference, Flaw, RequestPdu, ResponsePdu, Values};
use crate::observation::{Attribute, Confidence, Fact, Hex, Identity, IdentityValue, Server, Text};
use std::net::IpAddr;

/// The ways in which Modbus traffic departs from its specification.
pub mod anomaly {
    crate::anomalies! {
        /// The MBAP header's protocol identifier is not 0 (Messaging Guide §3.1.3).
        PROTOCOL_ID = "modbus.protocol_id",
        /// The MBAP header's length allows no Modbus PDU (Messaging Guide §3.1.3; §4.1).
        LENGTH = "modbus.length",
        /// The PDU ends before its last field.
        TRUNCATED = "modbus.truncated",
        /// Bytes follow the last field of the PDU.
        TRAILING_BYTES = "modbus.trailing_bytes",
        /// The byte count and the quantity disagree.
        BYTE_COUNT = "modbus.byte_count",
        /// The quantity is out of the range that the function allows (§6).
        QUANTITY = "modbus.quantity",
        /// The range reaches beyond address 65,535.
        ADDRESS_RANGE = "modbus.address_range",
        /// A coil is set to neither 0x0000 nor 0xff00 (§6.5).
        COIL_VALUE = "modbus.coil_value",
        /// The function code is not a public one (§5.1).
        UNKNOWN_FUNCTION = "modbus.unknown_function",
        /// The exception code is not defined (§7).
        UNKNOWN_EXCEPTION = "modbus.unknown_exception",
        /// A response answers no request that was seen, in a flow whose requests are seen.
        RESPONSE_WITHOUT_REQUEST = "modbus.response_without_request",
        /// A transaction was answered twice.
        DUPLICATE_RESPONSE = "modbus.duplicate_response",
        /// A response does not fit its request: another function, or another address or quantity echoed.
        RESPONSE_MISMATCH = "modbus.response_mismatch",
        /// A transaction identifier was used again before its answer came (Messaging Guide §4.3.2).
        TRANSACTION_REUSED = "modbus.transaction_reused",
        /// The CRC of an RTU frame is wrong (Serial Line §6.2.2).
        CRC = "modbus.crc",
    }
}

pub(super) fn code_of(flaw: Flaw) -> &'static crate::observation::AnomalyCode {
    match flaw {
        Flaw::Short => &anomaly::TRUNCATED,
        Flaw::Trailing => &anomaly::TRAILING_BYTES,
        Flaw::ByteCount => &anomaly::BYTE_COUNT,
        Flaw::Quantity => &anomaly::QUANTITY,
        Flaw::AddressRange => &anomaly::ADDRESS_RANGE,
        Flaw::CoilValue => &anomaly::COIL_VALUE,
    }
}

crate::part! {
    /// A reference to records of a file.
    pub struct FileRecord {
        /// File number (§6.14).
        pub file: u16,
        /// First record in the file.
        pub record: u16,
        /// Length in registers.
        pub length: u16,
    }
}

impl From<FileReference> for FileRecord {
    fn from(reference: FileReference) -> Self {
        Self { file: reference.file, record: reference.record, length: reference.length }
    }
}

crate::record! {
    /// A Modbus request.
    pub struct Request<'a> = "modbus.request" {
        /// How the PDU is framed: `tcp` (MBAP header) or `rtu`.
        pub framing: &'static str,
        /// Transaction identifier, chosen by the client (Messaging Guide §3.1.3); none in RTU frames.
        pub transaction_id: Option<u16>,
        /// Unit identifier: the device behind the server; 0 and 255 are the server itself, and 0 is broadcast on serial lines.
        pub unit_id: u8,
        /// Function code (§5.1).
        pub function_code: u8,
        /// Name of the function.
        pub function: Option<&'static str>,
        /// Diagnostics subfunction (§6.8), MEI type of function 43 (§6.19), or UMAS function of function 90.
        pub sub_function: Option<u16>,
        /// Name of the subfunction.
        pub sub_function_name: Option<&'static str>,
        /// First address read or written, from 0 as on the wire.
        pub address: Option<u16>,
        /// Coils, inputs or registers from the address on.
        pub quantity: Option<u16>,
        /// First address written by function 23.
        pub write_address: Option<u16>,
        /// Registers written by function 23.
        pub write_quantity: Option<u16>,
        /// Values written: coils as 0 and 1, registers as numbers.
        pub values: Option<Values<'a>>,
        /// And-mask of function 22 (§6.16).
        pub and_mask: Option<u16>,
        /// Or-mask of function 22.
        pub or_mask: Option<u16>,
        /// Access of function 43/14: 1 basic, 2 regular, 3 extended, 4 one object (§6.21).
        pub read_device_id_code: Option<u8>,
        /// First object that function 43/14 asks for.
        pub object_id: Option<u8>,
        /// Files and records that functions 20 and 21 name.
        pub file_records: Vec<FileRecord>,
        /// Whether the request writes to the process image or a file.
        pub write: bool,
        /// Whether it goes to all devices of a serial line (unit 0 behind a gateway, §4.1 of Serial Line).
        pub broadcast: bool,
        /// Length of the data that have no field of their own, bytes.
        pub data_length: Option<u16>,
        /// Coils, registers and file registers that the request writes.
        pub points_written: Option<u32>,
    }
}

crate::record! {
    /// A Modbus response, with what its request asked for.
    pub struct Response<'a> = "modbus.response" {
        /// How the PDU is framed: `tcp` (MBAP header) or `rtu`.
        pub framing: &'static str,
        /// Transaction identifier of the request; none in RTU frames.
        pub transaction_id: Option<u16>,
        /// Unit identifier: the device that answers.
        pub unit_id: u8,
        /// Function code, without the exception bit.
        pub function_code: u8,
        /// Name of the function.
        pub function: Option<&'static str>,
        /// Exception code, where the request was refused (§7).
        pub exception_code: Option<u8>,
        /// Name of the exception.
        pub exception: Option<&'static str>,
        /// Diagnostics subfunction (§6.8), MEI type of function 43 (§6.19), or UMAS function of function 90.
        pub sub_function: Option<u16>,
        /// Name of the subfunction.
        pub sub_function_name: Option<&'static str>,
        /// First address read or written, echoed or taken from the request.
        pub address: Option<u16>,
        /// Coils, inputs or registers from the address on, echoed or taken from the request.
        pub quantity: Option<u16>,
        /// Values read or echoed: coils as 0 and 1, registers as numbers.
        pub values: Option<Values<'a>>,
        /// Exception status of function 7 (§6.7), or the status word of functions 11 and 12.
        pub status: Option<u16>,
        /// Event count of functions 11 and 12 (§6.9).
        pub event_count: Option<u16>,
        /// Server id, run indicator and text of function 17 (§6.13).
        pub server_id: Option<Hex<'a>>,
        /// Conformity level of function 43/14 (§6.21).
        pub conformity_level: Option<u8>,
        /// Identification object 0.
        pub vendor_name: Option<&'a str>,
        /// Identification object 1.
        pub product_code: Option<&'a str>,
        /// Identification object 2.
        pub revision: Option<&'a str>,
        /// Identification object 3.
        pub vendor_url: Option<&'a str>,
        /// Identification object 4.
        pub product_name: Option<&'a str>,
        /// Identification object 5.
        pub model_name: Option<&'a str>,
        /// Identification object 6.
        pub user_application_name: Option<&'a str>,
        /// Whether more identification objects follow in another transaction.
        pub more_follows: Option<bool>,
        /// Length of the data that have no field of their own, bytes.
        pub data_length: Option<u16>,
        /// Packet that completed the request.
        pub request_frame: Option<u64>,
        /// Time from the request to this response, microseconds.
        pub latency_us: Option<u64>,
    }
}

/// Whether a function writes.
pub(super) fn writes(function_code: u8) -> bool {
    matches!(function_code, 5 | 6 | 15 | 16 | 21 | 22 | 23)
}

fn sub_function_name(function_code: u8, sub_function: Option<u16>) -> Option<&'static str> {
    let sub_function = sub_function?;
    match function_code {
        8 => wire::diagnostics_name(sub_function),
        43 if sub_function == 13 => Some("canopen_general_reference"),
        43 if sub_function == 14 => Some("read_device_identification"),
        90 => wire::umas_name(sub_function as u8),
        _ => None,
    }
}

fn data_length(data: &[u8]) -> Option<u16> {
    u16::try_from(data.len()).ok().filter(|&length| length > 0)
}

impl<'a> Request<'a> {
    pub(super) fn new(framing: &'static str, transaction_id: Option<u16>, unit_id: u8, pdu: &RequestPdu<'a>) -> Self {
        let code = pdu.function_code;
        Self {
            framing,
            transaction_id,
            unit_id,
            function_code: code,
            function: wire::function_name(code),
            sub_function: pdu.sub_function,
            sub_function_name: sub_function_name(code, pdu.sub_function),
            address: pdu.address,
            quantity: pdu.quantity,
            write_address: pdu.write_address,
            write_quantity: pdu.write_quantity,
            values: pdu.values,
            and_mask: pdu.and_mask,
            or_mask: pdu.or_mask,
            read_device_id_code: pdu.read_device_id_code,
            object_id: pdu.object_id,
            file_records: wire::file_references(code, pdu.file_records).map(FileRecord::from).collect(),
            write: writes(code),
            broadcast: unit_id == 0 && writes(code),
            data_length: data_length(pdu.data),
            points_written: points_written(pdu),
        }
    }
}

fn points_written(pdu: &RequestPdu<'_>) -> Option<u32> {
    match pdu.function_code {
        5 | 6 | 22 => Some(1),
        15 | 16 => pdu.quantity.map(u32::from),
        21 => Some(wire::file_references(21, pdu.file_records).map(|file| u32::from(file.length)).sum()),
        23 => pdu.write_quantity.map(u32::from),
        _ => None,
    }
}

/// What a response needs to know of its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) frame: u64,
    pub(super) latency_us: u64,
    pub(super) address: Option<u16>,
    pub(super) quantity: Option<u16>,
}

impl<'a> Response<'a> {
    pub(super) fn new(
        framing: &'static str,
        transaction_id: Option<u16>,
        unit_id: u8,
        pdu: &ResponsePdu<'a>,
        asked: Option<Asked>,
    ) -> Self {
        let code = pdu.function_code;
        let quantity = pdu.quantity.or(asked.and_then(|asked| asked.quantity));
        let object = |wanted| {
            let found = wire::objects(pdu.objects).find(|(id, _)| *id == wanted);
            found.and_then(|(_, value)| std::str::from_utf8(value).ok()).map(str::trim).filter(|text| !text.is_empty())
        };
        let has_objects = !pdu.objects.is_empty();
        Self {
            framing,
            transaction_id,
            unit_id,
            function_code: code,
            function: wire::function_name(code),
            exception_code: pdu.exception_code,
            exception: pdu.exception_code.and_then(wire::exception_name),
            sub_function: pdu.sub_function,
            sub_function_name: sub_function_name(code, pdu.sub_function),
            address: pdu.address.or(asked.and_then(|asked| asked.address)),
            quantity,
            values: values(pdu, quantity),
            status: pdu.status,
            event_count: pdu.event_count,
            server_id: pdu.server_id.map(Hex),
            conformity_level: pdu.conformity_level,
            vendor_name: has_objects.then(|| object(0)).flatten(),
            product_code: has_objects.then(|| object(1)).flatten(),
            revision: has_objects.then(|| object(2)).flatten(),
            vendor_url: has_objects.then(|| object(3)).flatten(),
            product_name: has_objects.then(|| object(4)).flatten(),
            model_name: has_objects.then(|| object(5)).flatten(),
            user_application_name: has_objects.then(|| object(6)).flatten(),
            more_follows: pdu.more_follows,
            data_length: data_length(pdu.data),
            request_frame: asked.map(|asked| asked.frame),
            latency_us: asked.map(|asked| asked.latency_us),
        }
    }

    /// What the device says about itself.
    pub(super) fn attributes(&self, id: Identity<'a>) -> Vec<Fact<'a>> {
        let said = [
            (Attribute::Vendor, "modbus.vendor_name", self.vendor_name),
            (Attribute::Model, "modbus.product_code", self.product_code),
            (Attribute::Firmware, "modbus.revision", self.revision),
            (Attribute::Url, "modbus.vendor_url", self.vendor_url),
            (Attribute::Product, "modbus.product_name", self.product_name),
            (Attribute::Model, "modbus.model_name", self.model_name),
            (Attribute::Application, "modbus.user_application_name", self.user_application_name),
            (Attribute::Product, "modbus.server_id", self.server_id.and_then(|Hex(bytes)| printable(bytes))),
        ];
        let fact = |(name, field, text): (Attribute, &'static str, Option<&'a str>)| {
            let confidence = if field == "modbus.server_id" { Confidence::Likely } else { Confidence::Seen };
            Some(Fact::Attribute { id, name, value: Text::Str(text?), confidence, field })
        };
        said.into_iter().filter_map(fact).collect()
    }
}

/// The longest run of printable text in a server id, if it is long enough to be a name: where it stands depends on the maker (§6.13).
fn printable(bytes: &[u8]) -> Option<&str> {
    let runs = bytes.split(|byte| !matches!(byte, 0x20..=0x7e));
    let longest = runs.max_by_key(|run| run.len()).filter(|run| run.len() >= 4)?;
    std::str::from_utf8(longest).ok().map(str::trim).filter(|text| text.len() >= 4)
}

fn values<'a>(pdu: &ResponsePdu<'a>, quantity: Option<u16>) -> Option<Values<'a>> {
    if let Some(value) = pdu.value {
        let value = if pdu.function_code == 5 { u16::from(value != 0) } else { value };
        return Some(Values::One(value));
    }
    let bytes = pdu.read?;
    Some(if matches!(pdu.function_code, 1 | 2) {
        // Without the request, the padding bits of the last byte cannot be told from inputs.
        let count = quantity.map_or(bytes.len() * 8, usize::from);
        Values::Bits(wire::Bits { bytes, count: count.min(bytes.len() * 8) })
    } else {
        Values::Registers(wire::Registers(bytes))
    })
}

/// The device behind the server's address.
pub(super) fn unit<'a>(server: IpAddr, unit_id: u8) -> Identity<'a> {
    Identity::at(&UNIT, Server::Address(server), IdentityValue::Number(u64::from(unit_id)))
}
