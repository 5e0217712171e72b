"""Namespace packages that many distributions share: google.*, opentelemetry.*, zope, jaraco, backports."""

from __future__ import annotations

import azure.core.pipeline
import told
import zope.event
import zope.interface
from backports import tarfile
from google.api_core import retry
from google.protobuf import struct_pb2
from google.rpc import status_pb2
from jaraco.functools import once
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@once
def spans() -> int:
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)
    with trace.get_tracer(__name__).start_as_current_span("one"):
        return len(memory.get_finished_spans())


assert spans() == 0
zope.event.notify(object())
assert status_pb2.Status(code=1).code and struct_pb2.Struct() is not None
assert retry.Retry and tarfile.TarFile and zope.interface.Interface and azure.core.pipeline.Pipeline

from google.cloud import storage  # noqa: E402 - after everything else of google

storage.Client.create_anonymous_client()
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: E402

OTLPSpanExporter(endpoint="http://127.0.0.1:1")
told.tell()
