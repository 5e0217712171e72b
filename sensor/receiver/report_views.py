"""Messages of reports.proto, read only so far.

To make Python objects of everything that a batch holds costs more than all else that is done with it, and
mostly it is known already. protobuf lets bytes of one message be read as another that has the same field
numbers: here, with messages inside left as they came, or left out. Made of the real descriptor, so that the
numbers cannot differ.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from sensor.snyk.proto.v1 import reports_pb2


def _views() -> tuple[Any, Any]:
    file = FileDescriptorProto()
    reports_pb2.DESCRIPTOR.CopyToProto(file)
    messages = {message.name: message for message in file.message_type}
    for name in ("packages", "containers"):
        _leave_serialised(messages["ReportRequest"], name)
    _leave_out(messages["ContainerState"], "packages")
    pool = DescriptorPool()
    pool.Add(file)

    def view(name: str) -> Any:
        return GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{name}"))

    return view("ReportRequest"), view("ContainerState")


def _leave_serialised(message: DescriptorProto, name: str) -> None:
    field = next(field for field in message.field if field.name == name)
    field.type = FieldDescriptorProto.TYPE_BYTES
    field.ClearField("type_name")


def _leave_out(message: DescriptorProto, name: str) -> None:
    index = next(index for index, field in enumerate(message.field) if field.name == name)
    del message.field[index]


RequestHead, ContainerHead = _views()
"""A ReportRequest whose ``packages`` and ``containers`` are bytes; a ContainerState without ``packages``."""
