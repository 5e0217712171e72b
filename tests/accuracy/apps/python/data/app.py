"""The data stack: native extensions that bring shared libraries of their own; pyarrow on first use."""

from __future__ import annotations

import io

import numpy
import pandas
import told
from sklearn.linear_model import LinearRegression

frame = pandas.DataFrame({"x": numpy.arange(10.0), "y": numpy.arange(10.0) * 2 + 1})
model = LinearRegression().fit(frame[["x"]], frame["y"])
assert abs(model.coef_[0] - 2) < 1e-6
buffer = io.BytesIO()
frame.to_parquet(buffer)
buffer.seek(0)
assert len(pandas.read_parquet(buffer)) == 10
told.tell()
