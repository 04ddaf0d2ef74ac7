"""`make model-ptbxl`: make the PTB-XL models again from the data, by their recipes.

The folder EXCHANGEAI_PTBXL (`../shared/data/ptbxl-100hz` if unset) holds the records; the work lies in WORK
and goes on where it was when the command is given again. Equal data, versions and threads give equal files.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from exchangeai.dataset import MANIFEST_FILE
from exchangeai.model_file import CARD_FILE
from models.ptbxl import build
from services.trainer import recipe as recipes
from services.trainer.job import FIGURE_SUFFIX, MODEL_FILE, RESULT_FILE

HERE = Path(__file__).resolve().parent
BESIDE = HERE.parents[1] / "shared" / "data" / "ptbxl-100hz"
NAMES = ("ptbxl_all71", "ptbxl_superdiagnostic")


def main() -> int:
    """Build the data sets, train, and put the models with their cards into this folder."""
    parser = argparse.ArgumentParser(prog="models", description=__doc__)
    parser.add_argument("--source", type=Path, default=Path(os.environ.get("EXCHANGEAI_PTBXL", BESIDE)))
    parser.add_argument("--work", type=Path, required=True, help="folder for data sets and checkpoints")
    parser.add_argument("recipe", nargs="*", default=NAMES, help=f"of {', '.join(NAMES)}; default: both")
    options = parser.parse_args()
    if not (options.source / "records.csv").is_file():
        print(
            f"PTB-XL at 100 Hz (records.csv and foldNN.npy.xz) is not in {options.source}; "
            "set EXCHANGEAI_PTBXL to the folder that has it",
            file=sys.stderr,
        )
        return 2
    for name in options.recipe:
        status = _make(name, options.source, options.work)
        if status:
            return status
    return 0


def _make(name: str, source: Path, work: Path) -> int:
    recipe = recipes.load(name)
    dataset = work / f"{name}-data"
    if not (dataset / MANIFEST_FILE).exists():
        print(f"{name}: making the windows", flush=True)
        labels = recipe.labels
        drop = labels.unlabelled == "drop"
        build(source, dataset, name=name, label=labels.label, classes=labels.classes, drop=drop)
    runs = [work / f"{name}-{seed}" for seed in recipe.seeds]
    for seed, run in zip(recipe.seeds, runs, strict=True):
        if (run / RESULT_FILE).exists():
            continue
        command = ["torch.distributed.run", "--standalone", "--nproc-per-node", "1", "-m"]
        command += ["services.trainer.train", "--recipe", name, "--seed", str(seed)]
        command += ["--dataset", str(dataset), "--run-dir", str(run)]
        if recipe.base:
            command += ["--base", str(work / f"{recipe.base}-{seed}" / MODEL_FILE)]
        if status := _python(command):
            return status
    out = work / name
    if status := _python(["services.trainer.ensemble", *map(str, runs), "--out", str(out)]):
        return status
    made = HERE / name
    made.mkdir(exist_ok=True)
    for file in (out / MODEL_FILE, out / CARD_FILE, *sorted(out.glob(f"*{FIGURE_SUFFIX}"))):
        shutil.copyfile(file, made / file.name)
    print(f"{name}: {HERE.name}/{name}/ has the model and its card", flush=True)
    return 0


def _python(module: list[str]) -> int:
    threads = str(len(os.sched_getaffinity(0)))
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run([sys.executable, "-m", *module], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
