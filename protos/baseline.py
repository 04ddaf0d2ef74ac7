"""Accept today's contracts as the baseline that `buf breaking` compares with; run it at a release.

Comments are left out: they may change.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from generate import generate
from google.protobuf.descriptor_pb2 import FileDescriptorSet

BASELINE = Path(__file__).with_name("baseline.binpb")


def main() -> None:
    """Write baseline.binpb."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        generate(Path(folder), image)
        files = FileDescriptorSet.FromString(image.read_bytes())
    for file in files.file:
        file.ClearField("source_code_info")
    BASELINE.write_bytes(files.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
