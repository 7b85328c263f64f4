//! The grammar of Modbus: MBAP header, RTU framing, and the PDUs of all public function codes as borrowed views.
//!
//! Clauses are those of the MODBUS Application Protocol Specification V1.1b3 unless another document is named.

use crate::flow::Direction;
use crate::observation::{FieldType, FieldValue, Value, ValueList};
use crate::reader::Reader;
use serde::{Serialize, Serializer};

/// Length of the MBAP header with the unit identifier, bytes (Messaging Guide §3.1.3).
pub const MBAP_LENGTH: usize = 7;

/// Largest ADU on TCP, bytes (§4.1).
pub const ADU_MAX: usize = 260;

/// Largest RTU frame, bytes (Serial Line §2.5.1).
pub const RTU_MAX: usize = 256;

/// The MBAP header (Messaging Guide §3.1.3): transaction, protocol and length, most significant byte first, then the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MbapHeader {
    /// Chosen by the client, echoed by the server.
    pub transaction_id: u16,
    /// 0 for Modbus.
    pub protocol_id: u16,
    /// Bytes that follow, unit identifier included.
    pub length: u16,
    /// The device behind the server; 0 or 255 is the server itself.
    pub unit_id: u8,
}

impl MbapHeader {
    /// Reads the header.
    pub fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { transaction_id: reader.u16()?, protocol_id: reader.u16()?, length: reader.u16()?, unit_id: reader.u8()? })
    }

    /// Whether the length allows a unit, a function code and at most the largest PDU.
    pub fn is_plausible(&self) -> bool {
        (2..=(ADU_MAX - MBAP_LENGTH + 1) as u16).contains(&self.length)
    }

    /// Length of the whole ADU in bytes.
    pub fn adu_length(&self) -> usize {
        usize::from(self.length) + MBAP_LENGTH - 1
    }

    /// Length of the PDU in bytes.
    pub fn pdu_length(&self) -> usize {
        usize::from(self.length).saturating_sub(1)
    }
}

macro_rules! names {
    ($(#[doc = $doc:literal])+ $function:ident: $type:ty { $($code:literal => $name:literal,)* }) => {
        $(#[doc = $doc])+
        pub fn $function(code: $type) -> Option<&'static str> {
            Some(match code { $($code => $name,)* _ => return None })
        }
    };
}

names! {
    /// Name of a function code (§5.1 and, for 90 and 125, their makers' use).
    function_name: u8 {
        1 => "read_coils", 2 => "read_discrete_inputs", 3 => "read_holding_registers", 4 => "read_input_registers",
        5 => "write_single_coil", 6 => "write_single_register", 7 => "read_exception_status", 8 => "diagnostics",
        11 => "get_comm_event_counter", 12 => "get_comm_event_log", 15 => "write_multiple_coils",
        16 => "write_multiple_registers", 17 => "report_server_id", 20 => "read_file_record", 21 => "write_file_record",
        22 => "mask_write_register", 23 => "read_write_multiple_registers", 24 => "read_fifo_queue",
        40 => "program_concept", 43 => "encapsulated_interface_transport", 90 => "umas", 125 => "firmware_replacement",
    }
}

names! {
    /// Name of a diagnostics subfunction (§6.8).
    diagnostics_name: u16 {
        0 => "return_query_data", 1 => "restart_communications", 2 => "return_diagnostic_register",
        3 => "change_ascii_input_delimiter", 4 => "force_listen_only_mode", 10 => "clear_counters",
        11 => "return_bus_message_count", 12 => "return_bus_communication_error_count",
        13 => "return_bus_exception_error_count", 14 => "return_server_message_count",
        15 => "return_server_no_response_count", 16 => "return_server_nak_count", 17 => "return_server_busy_count",
        18 => "return_bus_character_overrun_count", 20 => "clear_overrun_counter",
    }
}

names! {
    /// Name of an exception code (§7).
    exception_name: u8 {
        1 => "illegal_function", 2 => "illegal_data_address", 3 => "illegal_data_value", 4 => "server_device_failure",
        5 => "acknowledge", 6 => "server_device_busy", 7 => "negative_acknowledge", 8 => "memory_parity_error",
        10 => "gateway_path_unavailable", 11 => "gateway_target_failed_to_respond",
    }
}

names! {
    /// Name of a UMAS function: the byte after the session byte in function code 90, as seen in published analyses of the protocol.
    umas_name: u8 {
        0x01 => "init_comm", 0x02 => "read_id", 0x03 => "read_project_info", 0x04 => "read_plc_info", 0x06 => "read_card_info",
        0x0a => "repeat", 0x10 => "take_plc_reservation", 0x11 => "release_plc_reservation", 0x12 => "keep_alive",
        0x20 => "read_memory_block", 0x22 => "read_variables", 0x23 => "write_variables", 0x24 => "read_coils_registers",
        0x25 => "write_coils_registers", 0x30 => "initialize_upload", 0x31 => "upload_block", 0x32 => "end_strategy_upload",
        0x33 => "initialize_download", 0x34 => "download_block", 0x35 => "end_strategy_download", 0x39 => "read_ethernet_master_data",
        0x40 => "start_plc", 0x41 => "stop_plc", 0x50 => "monitor_plc", 0x58 => "check_plc", 0x70 => "read_io_object",
        0x71 => "write_io_object", 0x73 => "get_status_module",
    }
}

/// Bits of a coil or input response, least significant bit of the first byte first (§6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bits<'a> {
    /// The packed bits.
    pub bytes: &'a [u8],
    /// How many of them count.
    pub count: usize,
}

impl ValueList for Bits<'_> {
    fn len(&self) -> usize {
        self.count.min(self.bytes.len() * 8)
    }
    fn get(&self, index: usize, _part: Option<u8>) -> Value<'_> {
        match self.bytes.get(index / 8) {
            Some(byte) if index < self.count => Value::Unsigned(u64::from(byte >> (index % 8) & 1)),
            _ => Value::Absent,
        }
    }
}

/// Registers, two bytes each, most significant first (§4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers<'a>(pub &'a [u8]);

impl ValueList for Registers<'_> {
    fn len(&self) -> usize {
        self.0.len() / 2
    }
    fn get(&self, index: usize, _part: Option<u8>) -> Value<'_> {
        match self.0.get(index * 2..).and_then(|rest| rest.first_chunk()) {
            Some(pair) => Value::Unsigned(u64::from(u16::from_be_bytes(*pair))),
            None => Value::Absent,
        }
    }
}

/// Values that were read or written: coils as 0 and 1, registers as numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Values<'a> {
    /// Coils or discrete inputs.
    Bits(Bits<'a>),
    /// Registers.
    Registers(Registers<'a>),
    /// The one value of a single write.
    One(u16),
}

impl ValueList for Values<'_> {
    fn len(&self) -> usize {
        match self {
            Values::Bits(bits) => bits.len(),
            Values::Registers(registers) => registers.len(),
            Values::One(_) => 1,
        }
    }
    fn get(&self, index: usize, part: Option<u8>) -> Value<'_> {
        match self {
            Values::Bits(bits) => bits.get(index, part),
            Values::Registers(registers) => registers.get(index, part),
            Values::One(value) if index == 0 => Value::Unsigned(u64::from(*value)),
            Values::One(_) => Value::Absent,
        }
    }
}

impl FieldValue for Values<'_> {
    const TYPE: FieldType = FieldType::Integers;
    fn value(&self) -> Value<'_> {
        Value::List(self)
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.len()).filter_map(|index| match self.get(index, None) {
            Value::Unsigned(value) => Some(value),
            _ => None,
        }))
    }
}

/// What of a PDU departs from its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It ends before its last field.
    Short,
    /// Bytes follow its last field.
    Trailing,
    /// Its byte count and its quantity disagree.
    ByteCount,
    /// The quantity is out of the range that its function allows.
    Quantity,
    /// The range reaches beyond address 65,535.
    AddressRange,
    /// A coil is set to neither 0x0000 nor 0xff00 (§6.5).
    CoilValue,
}

/// A request's fields; those that its function does not have are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestPdu<'a> {
    /// Function code.
    pub function_code: u8,
    /// First address read or written.
    pub address: Option<u16>,
    /// Coils, inputs or registers from there on.
    pub quantity: Option<u16>,
    /// First address written by function 23.
    pub write_address: Option<u16>,
    /// Registers written by function 23.
    pub write_quantity: Option<u16>,
    /// Values written.
    pub values: Option<Values<'a>>,
    /// Diagnostics subfunction, MEI type or UMAS function.
    pub sub_function: Option<u16>,
    /// And-mask of function 22.
    pub and_mask: Option<u16>,
    /// Or-mask of function 22.
    pub or_mask: Option<u16>,
    /// Access of function 43/14: 1 basic, 2 regular, 3 extended, 4 one object.
    pub read_device_id_code: Option<u8>,
    /// First object of function 43/14.
    pub object_id: Option<u8>,
    /// File records of functions 20 and 21, as they stand.
    pub file_records: &'a [u8],
    /// Bytes that have no field of their own.
    pub data: &'a [u8],
    /// What departs from the grammar.
    pub flaw: Option<Flaw>,
}

/// Reads a request PDU: what is there is read, the first departure is told.
pub fn parse_request(pdu: &[u8]) -> Option<RequestPdu<'_>> {
    let mut reader = Reader::new(pdu);
    let mut request = RequestPdu { function_code: reader.u8()?, ..Default::default() };
    if request_fields(&mut request, &mut reader).is_none() {
        request.flaw = Some(Flaw::Short);
    } else if !reader.is_empty() {
        request.data = reader.take_rest();
        request.flaw = request.flaw.or(Some(Flaw::Trailing));
    }
    Some(request)
}

fn request_fields<'a>(request: &mut RequestPdu<'a>, reader: &mut Reader<'a>) -> Option<()> {
    match request.function_code {
        1..=4 => {
            request.address = Some(reader.u16()?);
            request.quantity = Some(reader.u16()?);
            let most = if request.function_code <= 2 { 2000 } else { 125 };
            check_range(request, most);
        }
        5 | 6 => {
            request.address = Some(reader.u16()?);
            let value = reader.u16()?;
            request.quantity = Some(1);
            request.values = Some(Values::One(value));
            if request.function_code == 5 {
                request.values = Some(Values::One(u16::from(value != 0)));
                request.flaw = (value != 0 && value != 0xff00).then_some(Flaw::CoilValue);
            }
        }
        7 | 11 | 12 | 17 => {}
        8 => {
            request.sub_function = Some(reader.u16()?);
            request.data = reader.take_rest();
        }
        15 | 16 => {
            let coils = request.function_code == 15;
            request.address = Some(reader.u16()?);
            let quantity = reader.u16()?;
            request.quantity = Some(quantity);
            let byte_count = usize::from(reader.u8()?);
            check_range(request, if coils { 1968 } else { 123 });
            let (bytes, complete) = take_counted(reader, byte_count);
            let expected = if coils { usize::from(quantity).div_ceil(8) } else { usize::from(quantity) * 2 };
            if byte_count != expected {
                request.flaw = request.flaw.or(Some(Flaw::ByteCount));
            }
            request.values = Some(if coils {
                Values::Bits(Bits { bytes, count: usize::from(quantity) })
            } else {
                Values::Registers(Registers(bytes))
            });
            complete?;
        }
        20 | 21 => {
            let byte_count = usize::from(reader.u8()?);
            let (bytes, complete) = take_counted(reader, byte_count);
            request.file_records = bytes;
            complete?;
        }
        22 => {
            request.address = Some(reader.u16()?);
            request.quantity = Some(1);
            request.and_mask = Some(reader.u16()?);
            request.or_mask = Some(reader.u16()?);
        }
        23 => {
            request.address = Some(reader.u16()?);
            request.quantity = Some(reader.u16()?);
            request.write_address = Some(reader.u16()?);
            let write_quantity = reader.u16()?;
            request.write_quantity = Some(write_quantity);
            let byte_count = usize::from(reader.u8()?);
            check_range(request, 125);
            let (bytes, complete) = take_counted(reader, byte_count);
            if byte_count != usize::from(write_quantity) * 2 {
                request.flaw = request.flaw.or(Some(Flaw::ByteCount));
            }
            request.values = Some(Values::Registers(Registers(bytes)));
            complete?;
        }
        24 => request.address = Some(reader.u16()?),
        43 => {
            let mei_type = reader.u8()?;
            request.sub_function = Some(u16::from(mei_type));
            if mei_type == MEI_DEVICE_IDENTIFICATION {
                request.read_device_id_code = Some(reader.u8()?);
                request.object_id = Some(reader.u8()?);
            } else {
                request.data = reader.take_rest();
            }
        }
        90 => {
            reader.skip(1)?;
            request.sub_function = Some(u16::from(reader.u8()?));
            request.data = reader.take_rest();
        }
        _ => request.data = reader.take_rest(),
    }
    Some(())
}

/// MEI type of device identification (§6.21); 13 is the CANopen general reference.
pub const MEI_DEVICE_IDENTIFICATION: u8 = 14;

fn check_range(request: &mut RequestPdu<'_>, most: u16) {
    let (address, quantity) = (request.address.unwrap_or_default(), request.quantity.unwrap_or_default());
    if quantity == 0 || quantity > most {
        request.flaw = Some(Flaw::Quantity);
    } else if address.checked_add(quantity - 1).is_none() {
        request.flaw = Some(Flaw::AddressRange);
    }
}

/// The bytes that a count announces, as far as they are there.
fn take_counted<'a>(reader: &mut Reader<'a>, count: usize) -> (&'a [u8], Option<()>) {
    let bytes = reader.take_up_to(count);
    (bytes, (bytes.len() == count).then_some(()))
}

/// A response's fields; those that its function does not have are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponsePdu<'a> {
    /// Function code without the exception bit.
    pub function_code: u8,
    /// Exception code, where the request was refused (§7).
    pub exception_code: Option<u8>,
    /// Address echoed by writes.
    pub address: Option<u16>,
    /// Quantity echoed by multiple writes.
    pub quantity: Option<u16>,
    /// Value echoed by single writes.
    pub value: Option<u16>,
    /// Bytes that hold coils, inputs or registers.
    pub read: Option<&'a [u8]>,
    /// Diagnostics subfunction, MEI type or UMAS function.
    pub sub_function: Option<u16>,
    /// Exception status of function 7, or the status word of 11 and 12.
    pub status: Option<u16>,
    /// Event count of functions 11 and 12.
    pub event_count: Option<u16>,
    /// Server id and additional text of function 17.
    pub server_id: Option<&'a [u8]>,
    /// Conformity level of function 43/14.
    pub conformity_level: Option<u8>,
    /// Whether more identification objects follow.
    pub more_follows: Option<bool>,
    /// Objects of function 43/14: id, length, value each.
    pub objects: &'a [u8],
    /// Bytes that have no field of their own.
    pub data: &'a [u8],
    /// What departs from the grammar.
    pub flaw: Option<Flaw>,
}

/// Reads a response PDU: what is there is read, the first departure is told.
pub fn parse_response(pdu: &[u8]) -> Option<ResponsePdu<'_>> {
    let mut reader = Reader::new(pdu);
    let code = reader.u8()?;
    let mut response = ResponsePdu { function_code: code & 0x7f, ..Default::default() };
    let complete = if code & 0x80 != 0 {
        response.exception_code = reader.u8();
        response.exception_code.map(drop)
    } else {
        response_fields(&mut response, &mut reader)
    };
    if complete.is_none() {
        response.flaw = Some(Flaw::Short);
    } else if !reader.is_empty() {
        response.data = reader.take_rest();
        response.flaw = response.flaw.or(Some(Flaw::Trailing));
    }
    Some(response)
}

fn response_fields<'a>(response: &mut ResponsePdu<'a>, reader: &mut Reader<'a>) -> Option<()> {
    match response.function_code {
        1..=4 | 23 => {
            let byte_count = usize::from(reader.u8()?);
            let (bytes, complete) = take_counted(reader, byte_count);
            response.read = Some(bytes);
            if response.function_code > 2 && byte_count % 2 != 0 {
                response.flaw = Some(Flaw::ByteCount);
            }
            complete?;
        }
        5 | 6 => {
            response.address = Some(reader.u16()?);
            response.value = Some(reader.u16()?);
        }
        7 => response.status = Some(u16::from(reader.u8()?)),
        8 => {
            response.sub_function = Some(reader.u16()?);
            response.data = reader.take_rest();
        }
        11 => {
            response.status = Some(reader.u16()?);
            response.event_count = Some(reader.u16()?);
        }
        12 => {
            let byte_count = usize::from(reader.u8()?);
            let (bytes, complete) = take_counted(reader, byte_count);
            let mut inner = Reader::new(bytes);
            response.status = Some(inner.u16()?);
            response.event_count = Some(inner.u16()?);
            response.data = inner.take_rest();
            complete?;
        }
        15 | 16 => {
            response.address = Some(reader.u16()?);
            response.quantity = Some(reader.u16()?);
        }
        17 => {
            let byte_count = usize::from(reader.u8()?);
            let (bytes, complete) = take_counted(reader, byte_count);
            response.server_id = Some(bytes);
            complete?;
        }
        20 | 21 => {
            let byte_count = usize::from(reader.u8()?);
            let (bytes, complete) = take_counted(reader, byte_count);
            response.data = bytes;
            complete?;
        }
        22 => {
            response.address = Some(reader.u16()?);
            response.data = reader.take(4)?;
        }
        24 => {
            let byte_count = usize::from(reader.u16()?);
            response.quantity = Some(reader.u16()?);
            let (bytes, complete) = take_counted(reader, byte_count.saturating_sub(2));
            response.read = Some(bytes);
            complete?;
        }
        43 => {
            let mei_type = reader.u8()?;
            response.sub_function = Some(u16::from(mei_type));
            if mei_type == MEI_DEVICE_IDENTIFICATION {
                identification(response, reader)?;
            } else {
                response.data = reader.take_rest();
            }
        }
        90 => {
            reader.skip(1)?;
            response.sub_function = Some(u16::from(reader.u8()?));
            response.data = reader.take_rest();
        }
        _ => response.data = reader.take_rest(),
    }
    Some(())
}

/// Device identification (§6.21): code, conformity, more follows, next object, number of objects, then the objects.
fn identification<'a>(response: &mut ResponsePdu<'a>, reader: &mut Reader<'a>) -> Option<()> {
    reader.skip(1)?;
    response.conformity_level = Some(reader.u8()?);
    response.more_follows = Some(reader.u8()? == 0xff);
    reader.skip(1)?;
    let count = reader.u8()?;
    response.objects = reader.peek_rest();
    for _ in 0..count {
        reader.skip(1)?;
        let length = usize::from(reader.u8()?);
        reader.skip(length)?;
    }
    Some(())
}

/// The identification objects of a response, id and value each; those cut off are left out.
pub fn objects(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        let id = reader.u8()?;
        let length = usize::from(reader.u8()?);
        Some((id, reader.take(length)?))
    })
}

/// One reference of function 20 or 21.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileReference {
    /// File number, 1 to 65,535.
    pub file: u16,
    /// First record in the file.
    pub record: u16,
    /// Length in registers.
    pub length: u16,
}

/// The file references of a request (§6.14, §6.15); with function 21 the record data follow each.
pub fn file_references(function_code: u8, bytes: &[u8]) -> impl Iterator<Item = FileReference> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        reader.skip(1)?;
        let reference = FileReference { file: reader.u16()?, record: reader.u16()?, length: reader.u16()? };
        if function_code == 21 {
            reader.take_up_to(usize::from(reference.length) * 2);
        }
        Some(reference)
    })
}

/// Whether the bytes are a request of a public function and nothing else.
pub fn fits_request(pdu: &[u8]) -> bool {
    parse_request(pdu).is_some_and(|request| {
        request.flaw.is_none() && has_shape(request.function_code) && is_sub_function(request.function_code, request.sub_function)
    })
}

/// Whether the bytes are a response of a public function and nothing else.
pub fn fits_response(pdu: &[u8]) -> bool {
    parse_response(pdu).is_some_and(|response| {
        let known_exception = response.exception_code.is_some_and(|code| exception_name(code).is_some());
        let known_function =
            || has_shape(response.function_code) && is_sub_function(response.function_code, response.sub_function);
        response.flaw.is_none() && (known_exception || response.exception_code.is_none() && known_function())
    })
}

/// Functions whose PDU has a shape that chance hardly makes.
fn has_shape(function_code: u8) -> bool {
    matches!(function_code, 1..=8 | 11 | 12 | 15..=17 | 20..=24 | 43)
}

/// Whether a subfunction is one that its function has: diagnostics and encapsulated transport take any bytes after it.
fn is_sub_function(function_code: u8, sub_function: Option<u16>) -> bool {
    match (function_code, sub_function) {
        (8, Some(sub_function)) => diagnostics_name(sub_function).is_some(),
        (43, Some(mei_type)) => matches!(mei_type, 13 | 14),
        _ => true,
    }
}

/// What stands at the beginning of RTU bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtuFrame<'a> {
    /// Length of the frame in bytes, as far as it is known.
    pub length: usize,
    /// The PDU, where the whole frame is there and its CRC is right.
    pub pdu: Option<&'a [u8]>,
}

/// Finds the RTU frame at the beginning of `bytes` (Serial Line §2.5.1). `None`: more bytes are needed to know its length.
pub fn rtu_frame(bytes: &[u8], direction: Direction) -> Option<RtuFrame<'_>> {
    let length = match direction {
        Direction::ToServer => rtu_request_length(bytes),
        Direction::ToClient => rtu_response_length(bytes),
    };
    match length {
        RtuLength::Known(length) => {
            let frame = bytes.get(..length);
            Some(RtuFrame { length, pdu: frame.and_then(checked_pdu) })
        }
        RtuLength::NeedMore => None,
        RtuLength::Unknown => unknown_frame(bytes),
    }
}

/// The length of an unknown function shows where the CRC first fits: over the bytes of a right CRC it becomes 0.
fn unknown_frame(bytes: &[u8]) -> Option<RtuFrame<'_>> {
    let mut crc = CRC_START;
    let fitting = bytes.iter().take(RTU_MAX).position(|&byte| {
        crc = crc_step(crc, byte);
        crc == 0
    });
    let length = fitting.map(|last| last + 1).filter(|&length| length >= 4)?;
    Some(RtuFrame { length, pdu: bytes.get(..length).and_then(checked_pdu) })
}

/// The length of the RTU frame that `bytes` begin with, where it is whole, of a known function, and its CRC is right.
pub fn begins_with_rtu_frame(bytes: &[u8], direction: Direction) -> Option<usize> {
    bytes.get(1).filter(|&code| has_shape(code & 0x7f))?;
    rtu_frame(bytes, direction).filter(|frame| frame.pdu.is_some()).map(|frame| frame.length)
}

/// Whether `bytes` are exactly one RTU frame of a public function: what a probe can trust.
pub fn is_rtu_frame(bytes: &[u8], direction: Direction) -> bool {
    let known = bytes.get(1).is_some_and(|code| has_shape(code & 0x7f));
    let length = match direction {
        Direction::ToServer => rtu_request_length(bytes),
        Direction::ToClient => rtu_response_length(bytes),
    };
    let fits = match length {
        RtuLength::Known(length) => length == bytes.len(),
        // Device identification tells its length in its objects.
        RtuLength::Unknown => bytes.get(1) == Some(&43),
        RtuLength::NeedMore => false,
    };
    known
        && fits
        && checked_pdu(bytes).is_some_and(|pdu| match direction {
            Direction::ToServer => fits_request(pdu),
            Direction::ToClient => fits_response(pdu),
        })
}

enum RtuLength {
    Known(usize),
    NeedMore,
    Unknown,
}

impl From<Option<usize>> for RtuLength {
    fn from(length: Option<usize>) -> Self {
        length.map_or(RtuLength::NeedMore, RtuLength::Known)
    }
}

fn rtu_request_length(bytes: &[u8]) -> RtuLength {
    let Some(&code) = bytes.get(1) else { return RtuLength::NeedMore };
    let counted = |at: usize| bytes.get(at).map(|&count| at + 1 + usize::from(count) + 2).into();
    match code {
        1..=6 | 8 => RtuLength::Known(8),
        7 | 11 | 12 | 17 => RtuLength::Known(4),
        15 | 16 => counted(6),
        20 | 21 => counted(2),
        22 => RtuLength::Known(10),
        23 => counted(10),
        24 => RtuLength::Known(6),
        43 if bytes.get(2) == Some(&MEI_DEVICE_IDENTIFICATION) => RtuLength::Known(7),
        _ => RtuLength::Unknown,
    }
}

fn rtu_response_length(bytes: &[u8]) -> RtuLength {
    let Some(&code) = bytes.get(1) else { return RtuLength::NeedMore };
    let counted = |at: usize| bytes.get(at).map(|&count| at + 1 + usize::from(count) + 2).into();
    match code {
        0x80.. => RtuLength::Known(5),
        1..=4 | 12 | 17 | 20 | 21 | 23 => counted(2),
        5 | 6 | 8 | 11 | 15 | 16 => RtuLength::Known(8),
        7 => RtuLength::Known(5),
        22 => RtuLength::Known(10),
        24 => bytes.get(2..).and_then(|rest| rest.first_chunk()).map(|count| 6 + usize::from(u16::from_be_bytes(*count))).into(),
        _ => RtuLength::Unknown,
    }
}

/// The PDU of a whole RTU frame with a right CRC.
fn checked_pdu(frame: &[u8]) -> Option<&[u8]> {
    let (body, crc) = frame.split_last_chunk::<2>()?;
    (crc16(body) == u16::from_le_bytes(*crc)).then(|| body.get(1..)).flatten().filter(|pdu| !pdu.is_empty())
}

const CRC_START: u16 = 0xffff;

/// CRC-16 of RTU frames: polynomial 0xa001 reflected, starting at 0xffff (Serial Line §6.2.2).
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(CRC_START, |crc, &byte| crc_step(crc, byte))
}

#[inline]
fn crc_step(crc: u16, byte: u8) -> u16 {
    crc >> 8 ^ CRC_TABLE.get(usize::from(crc as u8 ^ byte)).copied().unwrap_or_default()
}

/// The remainder of each byte.
static CRC_TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u16, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};
