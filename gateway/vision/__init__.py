"""Vision, apart: the daemon's side is `client`; everything else runs in a process of its own."""

import os

# onnxruntime 1.32's wheels keep a device's id and send reports to their maker's server, unless this is set before the
# first import. Nobody has asked the residents.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
