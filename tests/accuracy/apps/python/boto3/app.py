"""boto3 loads its services on demand; requests and cryptography beside it."""

from __future__ import annotations

import boto3
import requests
import told
from botocore.stub import Stubber
from cryptography.fernet import Fernet
from OpenSSL import crypto

client = boto3.client("s3", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
with Stubber(client) as stub:
    stub.add_response("list_buckets", {"Buckets": []})
    assert client.list_buckets()["Buckets"] == []
box = Fernet(Fernet.generate_key())
assert box.decrypt(box.encrypt(b"x")) == b"x"
assert crypto.X509().get_version() == 0
try:
    requests.get("http://127.0.0.1:1", timeout=1)
except requests.ConnectionError:
    told.tell()
