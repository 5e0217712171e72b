"""What libraries import and we do not use stays away, and is there for who uses it after all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sensor.deferred_imports import UNUSED


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "imports",
    [
        "from sensor.snyk.grpc_channel import load_grpc; load_grpc(); from sensor.snyk import grpc_form",
        "from sensor.snyk import grpc_form; from sensor.snyk.grpc_channel import load_grpc; load_grpc()",
        "from sensor.node.identify.cri import channel; channel._load_grpc()",
    ],
)
def test_grpc_and_protobuf_come_without(imports: str) -> None:
    found = run(
        f"import sys; {imports}\n"
        f"print(*(name for name in {UNUSED} if name in sys.modules), 'grpc' in sys.modules)"
    )
    assert found.split() == ["True"]


def test_who_uses_it_after_all_gets_it() -> None:
    run(
        "import sys\n"
        "from sensor.snyk.grpc_channel import load_grpc\n"
        "grpc = load_grpc()\n"
        "from sensor.snyk.proto.v1 import reports_pb2\n"
        "async def call():\n"
        "    async with grpc.aio.insecure_channel('unix:/nowhere') as channel:\n"
        "        try:\n"
        "            await channel.unary_unary('/a/b')(b'', timeout=5)\n"
        "        except grpc.aio.AioRpcError as error:\n"
        "            return error.code()\n"
        "import asyncio\n"
        "assert asyncio.run(call()) is grpc.StatusCode.UNAVAILABLE\n"
        "import grpc.aio, google.protobuf.internal.python_message as python_message\n"
        "assert grpc.aio is sys.modules['grpc.aio'] and python_message.GeneratedProtocolMessageType\n"
        "from google.protobuf import text_format\n"
        "print(text_format.MessageToString(reports_pb2.ReportRequest()))"
    )


def test_what_is_there_stays() -> None:
    run(
        "import asyncio, sys\n"
        "from sensor.deferred_imports import deferred\n"
        "with deferred('asyncio', 'colorsys'):\n"
        "    import asyncio as same, colorsys\n"
        "    assert same is asyncio and same.sleep\n"
        "    standing_in = colorsys\n"
        "assert 'colorsys' not in sys.modules and sys.modules['asyncio'] is asyncio\n"
        "assert standing_in.rgb_to_hsv and sys.modules['colorsys'] is not standing_in"
    )
