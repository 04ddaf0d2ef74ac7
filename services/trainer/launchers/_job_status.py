"""What the status of a Job and of its pods says."""

from __future__ import annotations

from typing import Any

from services.trainer.launchers import End

INDEX = "batch.kubernetes.io/job-completion-index"
KILLED = 137
"""Exit code of a container that SIGKILL ended."""
Object = dict[str, Any]


def end_of_job(job: Object) -> End | None:
    """How a Job ended; None when it has not."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["status"] == "True":
            if condition["type"] == "Complete":
                return End.FINISHED
            if condition["type"] == "Failed":
                return End.GAVE_UP if condition.get("reason") == "PodFailurePolicy" else End.DIED
    return None


def waits_for(pods: list[Object], nodes: int) -> str:
    """Why not all pods run, in words; empty when they do."""
    begun = {index(pod) for pod in pods if pod["status"]["phase"] in ("Running", "Succeeded")}
    if len(begun) == nodes:
        return ""
    reasons = [reason for pod in pods if pod["status"]["phase"] == "Pending" for reason in _pending(pod)]
    return f"Waiting for {nodes - len(begun)} of {nodes} pods" + "".join(f": {r}" for r in reasons[:1])


def _pending(pod: Object) -> list[str]:
    status = pod["status"]
    states = [container["state"] for container in status.get("containerStatuses", [])]
    reasons = [c.get("message", "") for c in status.get("conditions", []) if c["status"] == "False"]
    reasons += [state["waiting"].get("reason", "") for state in states if "waiting" in state]
    return [reason for reason in reasons if reason]


def eviction(pod: Object) -> str:
    """Why a node put the pod out, as when it took more room than it may; empty when none did."""
    status = pod["status"]
    return status.get("message", "for no stated reason") if status.get("reason") == "Evicted" else ""


def index(pod: Object) -> int:
    """Which of the Job's pods it is; -1 for none."""
    return int(pod["metadata"].get("annotations", {}).get(INDEX, -1))


def exit_code(pod: Object) -> int | None:
    """How its container ended; None when it has not."""
    for container in pod["status"].get("containerStatuses", []):
        if "terminated" in container["state"]:
            return container["state"]["terminated"]["exitCode"]
    return None
