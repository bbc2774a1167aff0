"""Croissant metadata of the index: what its file is, its columns, and its diagnoses (MLCommons Croissant 1.0, JSON-LD)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lesionlens.core.artifact import hash_file
from lesionlens.reporting.documents.answers_study import published
from lesionlens.reporting.documents.facts import RunFacts

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
FILE_ID, IMAGES, DIAGNOSES = "index.csv", "images", "diagnoses"
TERMS = (
    *(
        "citeAs",
        "column",
        "equivalentProperty",
        "extract",
        "field",
        "fileProperty",
        "fileObject",
        "fileSet",
        "format",
        "includes",
    ),
    *(
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
    ),
    *("samplingRate", "separator", "source", "subField", "transform"),
)  # of the vocabulary `cr`
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in TERMS},
}
COLUMNS = {
    "image_id": ("sc:Text", "Unique name of the image."),
    "path": ("sc:Text", "Path of the image, relative to the folder that was indexed."),
    "dx": ("sc:Text", "Code of the diagnosis."),
    "lesion_id": ("sc:Text", "The lesion shown; the image's own id where the source names none."),
    "age": ("sc:Float", "Age of the patient, years."),
    "sex": ("sc:Text", "Sex of the patient, lower case."),
    "site": ("sc:Text", "Place on the body, lower case."),
    "mask": ("sc:Text", "Path of the lesion mask."),
    "split": ("sc:Text", "Split that the source itself names."),
    "patient_id": ("sc:Text", "The patient."),
    "dx_type": ("sc:Text", "How the diagnosis was made."),
    "dataset": ("sc:Text", "Clinic or collection that the image came from."),
}


def croissant(facts: RunFacts, folder: Path) -> dict[str, Any]:
    """The metadata, JSON-ready.

    Args:
        facts: of the run.
        folder: that the metadata is written into; within the run folder, the file of the index is named relative to it.
    """
    known, index = published(facts), facts.run.index
    name = known.name if known else facts.card["origin"]["source"]
    content: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": f"Index of {name}",
        "description": f"{len(index)} dermoscopic images of {len(index.labels)} diagnoses with lesion, age, sex and site, "
        f"as LesionLens "
        f"reads them ({name}). SHA-256 over the records: {index.hash}. The images themselves are not part of it.",
        "conformsTo": CONFORMS_TO,
        "license": _licence(facts),
        "version": "1.0.0",
        "isLiveDataset": False,
    }
    if known:
        content |= {"url": known.url, "citeAs": known.bibtex}
    content["distribution"] = [_file(facts, folder)]
    content["recordSet"] = [_diagnoses(facts), _images(facts)]
    return content


def _licence(facts: RunFacts) -> str:
    known = published(facts)
    if known and not facts.stated.text("data_licence"):
        return known.licence_url
    return APACHE if facts.synthetic and not facts.stated.text("data_licence") else str(facts.card["licences"]["data"])


def _file(facts: RunFacts, folder: Path) -> dict[str, Any]:
    path, run = facts.run.paths.index, facts.run.paths.folder
    inside = folder.resolve().is_relative_to(run.resolve()) and path.resolve().is_relative_to(run.resolve())
    place = (
        Path(os.path.relpath(path, folder)).as_posix() if inside else path.name
    )  # a path elsewhere would name a user's folders
    return {
        "@type": "cr:FileObject",
        "@id": FILE_ID,
        "name": FILE_ID,
        "contentUrl": place,
        "encodingFormat": "text/csv",
        "contentSize": f"{path.stat().st_size} B",
        "sha256": hash_file(path),
    }


def _diagnoses(facts: RunFacts) -> dict[str, Any]:
    rows = [
        {f"{DIAGNOSES}/code": d.code, f"{DIAGNOSES}/name": d.name, f"{DIAGNOSES}/malignant": d.malignant}
        for d in facts.run.index.labels.diagnoses
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": DIAGNOSES,
        "name": DIAGNOSES,
        "description": "The diagnoses, in the order of a network's outputs.",
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{DIAGNOSES}/code"},
        "field": [
            _field(DIAGNOSES, "code", "sc:Text", "Code, as in the column dx."),
            _field(DIAGNOSES, "name", "sc:Text", "Name."),
            _field(DIAGNOSES, "malignant", "sc:Boolean", "Whether it is malignant."),
        ],
        "data": rows,
    }


def _images(facts: RunFacts) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": IMAGES,
        "name": IMAGES,
        "description": "One record for each image.",
        "key": {"@id": f"{IMAGES}/image_id"},
        "field": [_column(name) for name in facts.run.index.columns],
    }


def _column(name: str) -> dict[str, Any]:
    kind, text = COLUMNS[name]
    field = _field(IMAGES, name, kind, text)
    if name == "dx":
        field["references"] = {"field": {"@id": f"{DIAGNOSES}/code"}}
    return field | {"source": {"fileObject": {"@id": FILE_ID}, "extract": {"column": name}}}


def _field(record_set: str, name: str, kind: str, text: str) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"{record_set}/{name}", "name": name, "description": text, "dataType": kind}
