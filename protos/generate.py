"""Generate the Python stubs, and the image that buf lints and compares; run by `make protos`.

The rules in our contracts are protovalidate's. Its `validate.proto` comes as a descriptor out of the
installed `protovalidate` package, so that nothing is fetched and its version is the locked one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
)

ROOT = Path(__file__).resolve().parent.parent
OURS = ROOT / "protos"
INFERENCE = "exchangeai/inference"
"""Where the Open Inference Protocol is imported from, so that no top-level package is called inference."""


def write_dependencies(path: Path) -> None:
    """Write validate.proto and the well-known types it imports as one FileDescriptorSet."""
    from protovalidate._gen.buf.validate import validate_pb  # pyright: ignore[reportMissingTypeStubs]

    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, timestamp_pb2, field_mask_pb2, any_pb2):
        module.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.add().ParseFromString(validate_pb._DESC.proto.to_binary())  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
    path.write_bytes(files.SerializeToString())


def protoc(*arguments: str) -> None:
    """Run the locked protoc; its errors go to the terminal."""
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True)


def generate(out: Path, image: Path | None = None) -> None:
    """Write all stubs below `out`, and the image of our own contracts to `image`."""
    ours = sorted(str(p.relative_to(OURS)) for p in (OURS / "exchangeai").rglob("*.proto"))
    services = [p for p in ours if p.endswith("_service.proto")]
    with tempfile.TemporaryDirectory() as folder:
        dependencies = Path(folder) / "dependencies.binpb"
        write_dependencies(dependencies)
        deps = f"--descriptor_set_in={dependencies}"
        paths = [f"-I{OURS}"]
        stubs = [f"--python_out={out}", f"--pyi_out={out}"]
        protoc(deps, *paths, *stubs, *ours, "buf/validate/validate.proto")
        protoc(deps, *paths, f"--grpc_python_out={out}", *services)
        protoc(
            f"-I{INFERENCE}={OURS / 'inference'}",
            *stubs,
            f"--grpc_python_out={out}",
            f"{INFERENCE}/grpc_service.proto",
        )
        if image:
            protoc(
                deps,
                *paths,
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={image}",
                *ours,
                "inference/grpc_service.proto",
            )
    for package in sorted({p.parent for p in out.rglob("*_pb2.py")}):
        marker = package / "__init__.py"
        if not marker.exists():
            marker.write_text('"""Generated from protos/; never edited."""\n')
    (out / "buf" / "__init__.py").write_text('"""Generated from protos/; never edited."""\n')


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    generate(target, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
