"""Describe a data set as Croissant 1.0 (JSON-LD, ML Commons 2024), so that catalogues and loaders know it."""

from __future__ import annotations

import json
from typing import Any

from exchangeai.dataset.manifest import PARTS, DatasetManifest
from exchangeai.dataset.shards import WINDOW_VALUES
from exchangeai.facts import Task

CROISSANT = "http://mlcommons.org/croissant/1.0"
ARROW_FILE = "application/vnd.apache.arrow.file"
"""The registered media type of Arrow IPC files."""
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant_key(dataset_id: str) -> str:
    """Object key of the description."""
    return f"datasets/{dataset_id}/croissant.json"


def encode_croissant(manifest: DatasetManifest) -> bytes:
    """JSON-LD, UTF-8; equal manifests give equal bytes. Paths are relative to the description."""
    return json.dumps(_described(manifest), indent=1, ensure_ascii=False, sort_keys=True).encode()


def _described(manifest: DatasetManifest) -> dict[str, Any]:
    recordings = sum(x.recordings for x in manifest.parts.values())
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CROISSANT,
        "name": manifest.name,
        "identifier": manifest.dataset_id,
        "version": "1.0.0",
        "description": (
            f"{recordings} twelve-lead electrocardiograms as windows of 10 s at 500 Hz, split by patient; "
            f"preprocessing {manifest.preprocessing_version}, split seed {manifest.seed}. De-identified, not "
            "anonymous. For research; not a medical device."
        ),
        "keywords": ["electrocardiogram", *manifest.classes],
        "isLiveDataset": False,
        "distribution": [*_files(manifest), *[_file_set(part) for part in PARTS]],
        "recordSet": [_split_names(), *[_records(manifest, part) for part in PARTS]],
    }


def _files(manifest: DatasetManifest) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": shard.key.rpartition("/")[2],
            "name": shard.key.rpartition("/")[2],
            "contentUrl": shard.key.rpartition("/")[2],
            "encodingFormat": ARROW_FILE,
            "sha256": shard.sha256,
        }
        for part in PARTS
        for shard in manifest.parts[part].shards
    ]


def _file_set(part: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{part}-shards",
        "name": f"{part}-shards",
        "encodingFormat": ARROW_FILE,
        "includes": f"{part}-*.arrow",
    }


def _split_names() -> dict[str, Any]:
    """The parts as Croissant knows splits."""
    words = {"train": "TrainingSplit", "validation": "ValidationSplit", "test": "TestSplit"}
    return {
        "@type": "cr:RecordSet",
        "@id": "split",
        "name": "split",
        "dataType": "cr:Split",
        "key": {"@id": "split/name"},
        "field": [
            {"@type": "cr:Field", "@id": "split/name", "name": "name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "split/url", "name": "url", "dataType": ["sc:URL", "cr:Split"]},
        ],
        "data": [
            {"split/name": part, "split/url": f"http://mlcommons.org/croissant/{words[part]}"}
            for part in PARTS
        ],
    }


def _records(manifest: DatasetManifest, part: str) -> dict[str, Any]:
    stored = manifest.parts[part]
    label = "sc:Float" if manifest.task is Task.REGRESSION else "sc:Integer"
    what = {
        Task.MULTI_LABEL: "1 where the class holds",
        Task.SINGLE_LABEL: "1 for the one class that holds",
        Task.REGRESSION: "the value of each target, NaN where there is none",
    }[manifest.task]
    fields = (
        ("recording_id", "sc:Text", "SHA-256 of the source file", False),
        ("patient_key", "sc:Text", "pseudonym of the patient", False),
        ("window", "sc:Integer", f"int16 [{WINDOW_VALUES}]: 12 leads x 5000 samples, lead after lead", True),
        ("uv_per_lsb", "sc:Float", "microvolts per step of the window", False),
        ("valid_samples", "sc:Integer", "samples that are signal; the rest is zero padding", False),
        ("label", label, f"{what}, in the order: {', '.join(manifest.classes)}", True),
        ("sex", "sc:Text", "F, M or null", False),
        ("age_years", "sc:Integer", "whole years, 90 for 90 and over, or null", False),
        ("device_model", "sc:Text", "model of the electrocardiograph, or null", False),
    )
    return {
        "@type": "cr:RecordSet",
        "@id": part,
        "name": part,
        "description": f"{stored.rows} windows of {stored.recordings} recordings.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{part}/{name}",
                "name": name,
                "description": told,
                "dataType": kind,
                "repeated": repeated,
                "source": {"fileSet": {"@id": f"{part}-shards"}, "extract": {"column": name}},
            }
            for name, kind, told, repeated in fields
        ],
    }
