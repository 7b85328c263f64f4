"""Modbus servers and clients for the cases: pymodbus does the encoding; what it leaves empty (files, FIFO, identities per unit) is filled in here."""

import asyncio
import logging
import socket
import time

from pymodbus import bit_read_message as bits
from pymodbus import diag_message as diag
from pymodbus import file_message as files
from pymodbus import mei_message as mei
from pymodbus import other_message as other
from pymodbus import register_read_message as registers
from pymodbus.bit_write_message import WriteMultipleCoilsRequest, WriteSingleCoilRequest
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.device import ModbusDeviceIdentification
from pymodbus.factory import ClientDecoder
from pymodbus.framer import socket_framer
from pymodbus.framer.rtu_framer import ModbusRtuFramer
from pymodbus.framer.socket_framer import ModbusSocketFramer
from pymodbus.message.socket import MessageSocket
from pymodbus.pdu import ModbusExceptions, ModbusRequest, ModbusResponse
from pymodbus.register_write_message import MaskWriteRegisterRequest, WriteMultipleRegistersRequest, WriteSingleRegisterRequest
from pymodbus.server import ModbusTcpServer, ModbusUdpServer

IDENTITIES = {}  # unit -> {object id: text}; filled by `serve` before the server starts


class MbapFraming(MessageSocket):
    """Takes an ADU of 8 bytes (a function without a body), for which pymodbus 3.6.9 waits forever."""

    def decode(self, data):
        length = int.from_bytes(data[4:6], "big") + 6
        if len(data) < 8 or len(data) < length:
            return 0, 0, 0, b""
        return length, int.from_bytes(data[0:2], "big"), data[6], data[7:length]


socket_framer.MessageSocket = MbapFraming


class ReadFileRecord(files.ReadFileRecordRequest):
    """A file store whose records count up. (pymodbus writes the length in registers; the specification wants bytes, with the reference type.)"""

    async def execute(self, _context):
        answer = []
        for record in self.records:
            if record.file_number > 10:
                return self.doException(ModbusExceptions.IllegalAddress)
            data = b"".join((record.record_number + i).to_bytes(2, "big") for i in range(record.record_length))
            answer.append(files.FileRecord(record_data=data, record_length=len(data) + 1, response_length=len(data) + 1))
        return files.ReadFileRecordResponse(answer)


class WriteFileRecord(files.WriteFileRecordRequest):
    async def execute(self, _context):
        return files.WriteFileRecordResponse(self.records)


class ReadFifoQueue(files.ReadFifoQueueRequest):
    async def execute(self, _context):
        return files.ReadFifoQueueResponse([self.address + i for i in range(5)])


class ReadDeviceInformation(mei.ReadDeviceInformationRequest):
    """Each unit has its own identity, as behind a serial gateway. Only MEI type 14 is known."""

    def decode(self, data):
        self.sub_function_code = data[0]
        if self.sub_function_code == 0x0E:
            super().decode(data)

    async def execute(self, _context):
        if self.sub_function_code != 0x0E or self.slave_id not in IDENTITIES:
            return self.doException(ModbusExceptions.IllegalFunction)
        objects = IDENTITIES[self.slave_id]
        if self.read_code == 4:
            if self.object_id not in objects:
                return self.doException(ModbusExceptions.IllegalAddress)
            chosen = {self.object_id: objects[self.object_id]}
        else:
            last = {1: 0x02, 2: 0x06, 3: 0xFF}[self.read_code]
            chosen = {key: value for key, value in sorted(objects.items()) if self.object_id <= key <= last}
        answer = mei.ReadDeviceInformationResponse(self.read_code, chosen)
        answer.conformity = 0x83 if max(objects) >= 0x80 else 0x82 if max(objects) > 2 else 0x81
        return answer


class VendorResponse(ModbusResponse):
    """A vendor function's answer: bytes as given."""

    def __init__(self, function_code, body=b"", **kwargs):
        super().__init__(**kwargs)
        self.function_code = function_code
        self.body = body

    def encode(self):
        return self.body


class VendorRequest(ModbusRequest):
    """A function code that pymodbus does not know: bytes as given."""

    function_code = 0

    def __init__(self, function_code=None, body=b"", **kwargs):
        super().__init__(**kwargs)
        if function_code is not None:
            self.function_code = function_code
        self.body = body

    def encode(self):
        return self.body

    def decode(self, data):
        self.body = data


class Umas(VendorRequest):
    """Schneider's function 90 as a PLC answers it: session byte, then FE for success and the answer of the sub-function."""

    function_code = 90

    async def execute(self, _context):
        answers = {0x02: b"\x07\x0b\x02\x01\x00\x00\x00\x00\x0aTM221CE24R", 0x04: bytes(16), 0x10: b"\x17", 0x20: bytes(32), 0x40: b"", 0x41: b""}
        code = self.body[1]
        if code not in answers:
            return VendorResponse(90, self.body[:1] + b"\xfd\x80")
        return VendorResponse(90, self.body[:1] + b"\xfe" + answers[code])


class FirmwareReplacement(VendorRequest):
    """Function 125 as some drives answer it: an echo of the first byte and a status."""

    function_code = 125

    async def execute(self, _context):
        return VendorResponse(125, self.body[:1] + b"\x00")


class LongWrite(WriteMultipleRegistersRequest):
    """A controller that takes in a program: the write is accepted with exception 5, and the next reads are refused with exception 6."""

    left = 0

    async def execute(self, context):
        if self.address < 150:
            return await super().execute(context)
        LongWrite.left = 7
        return self.doException(ModbusExceptions.Acknowledge)


class ReadWhileBusy(registers.ReadHoldingRegistersRequest):
    async def execute(self, context):
        if LongWrite.left == 0:
            return await super().execute(context)
        LongWrite.left -= 1
        return self.doException(ModbusExceptions.SlaveBusy)


class Concept(VendorRequest):
    """Function 40 as a controller that is programmed by it answers: an echo."""

    function_code = 40

    async def execute(self, _context):
        return VendorResponse(40, self.body)


BUSY = [LongWrite, ReadWhileBusy]
PROGRAMMING = [Concept]
CUSTOM = [ReadFileRecord, WriteFileRecord, ReadFifoQueue, ReadDeviceInformation, Umas, FirmwareReplacement]


def store(seed, size=200):
    """Registers and bits that differ from unit to unit."""
    block = lambda step: ModbusSequentialDataBlock(0, [(seed * 100 + i * step) % 65536 for i in range(size)])
    flags = ModbusSequentialDataBlock(0, [(i * 7 + seed) % 3 == 0 for i in range(size)])
    return ModbusSlaveContext(di=flags, co=ModbusSequentialDataBlock(0, list(flags.values)), hr=block(3), ir=block(5), zero_mode=True)


class GatewayContext(ModbusServerContext):
    """Takes requests for any unit, so that one for an absent unit is answered with exception 11, as gateways do."""

    def slaves(self):
        return [0, *super().slaves()]


def serve(units, address="0.0.0.0", port=502, framer="socket", udp=False, broadcast=False, any_unit=False, functions=()):
    """A Modbus server. `units`: unit -> identity objects (may be empty: no identity). `any_unit`: the first of them answers under all. `functions`: carried out otherwise
    than pymodbus does."""
    if any_unit:
        units = dict.fromkeys(range(248), next(iter(units.values())))
    IDENTITIES.clear()
    IDENTITIES.update({unit: objects for unit, objects in units.items() if objects})

    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

    async def main():
        stores = store(1) if any_unit else {unit: store(unit) for unit in units}
        context = (ModbusServerContext if broadcast or any_unit else GatewayContext)(slaves=stores, single=any_unit)
        kind = ModbusUdpServer if udp else ModbusTcpServer
        identity = ModbusDeviceIdentification(info_name={"VendorName": next(iter(units.values()), {}).get(0, "")})
        server = kind(context, framer=framer, identity=identity, address=(address, port), broadcast_enable=broadcast)
        for function in [*CUSTOM, *functions]:
            server.decoder.register(function)
        await server.serve_forever()

    asyncio.run(main())


class Client:
    """A Modbus client whose ADUs pymodbus encodes and whose socket is ours: it decides what goes into a segment."""

    def __init__(self, address, port=502, rtu=False, udp=False, timeout=3.0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect((address, port))
        if not udp:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.framer = (ModbusRtuFramer if rtu else ModbusSocketFramer)(ClientDecoder())
        self.rtu = rtu
        self.transaction = 0

    def adu(self, request, unit=1):
        self.transaction = self.transaction % 0xFFFF + 1
        request.transaction_id, request.slave_id = self.transaction, unit
        return self.framer.buildPacket(request)

    def send(self, request, unit=1):
        self.socket.sendall(self.adu(request, unit))

    def receive(self):
        return self.socket.recv(4096)

    def ask(self, request, unit=1):
        self.send(request, unit)
        try:
            return self.receive()
        except TimeoutError:
            raise TimeoutError(f"no answer to {type(request).__name__}") from None

    def pause(self, seconds):
        time.sleep(seconds)

    def close(self):
        self.socket.close()


def read_coils(address, count):
    return bits.ReadCoilsRequest(address, count)


def read_discrete(address, count):
    return bits.ReadDiscreteInputsRequest(address, count)


def read_holding(address, count):
    return registers.ReadHoldingRegistersRequest(address, count)


def read_input(address, count):
    return registers.ReadInputRegistersRequest(address, count)


def write_coil(address, value):
    return WriteSingleCoilRequest(address, value)


def write_register(address, value):
    return WriteSingleRegisterRequest(address, value)


def write_coils(address, values):
    return WriteMultipleCoilsRequest(address, values)


def write_registers(address, values):
    return WriteMultipleRegistersRequest(address, values)


def mask_write(address, and_mask, or_mask):
    return MaskWriteRegisterRequest(address, and_mask, or_mask)


def read_write(read, count, write, values):
    return registers.ReadWriteMultipleRegistersRequest(read_address=read, read_count=count, write_address=write, write_registers=values)


def identify(read_code=1, object_id=0):
    return mei.ReadDeviceInformationRequest(read_code, object_id)


def report_server_id():
    return other.ReportSlaveIdRequest()


DIAGNOSTICS = [
    diag.ReturnQueryDataRequest, diag.RestartCommunicationsOptionRequest, diag.ReturnDiagnosticRegisterRequest, diag.ChangeAsciiInputDelimiterRequest,
    diag.ClearCountersRequest, diag.ReturnBusMessageCountRequest, diag.ReturnBusCommunicationErrorCountRequest, diag.ReturnBusExceptionErrorCountRequest,
    diag.ReturnSlaveMessageCountRequest, diag.ReturnSlaveNoResponseCountRequest, diag.ReturnSlaveNAKCountRequest, diag.ReturnSlaveBusyCountRequest,
    diag.ReturnSlaveBusCharacterOverrunCountRequest, diag.ReturnIopOverrunCountRequest, diag.ClearOverrunCountRequest, diag.GetClearModbusPlusRequest,
]
