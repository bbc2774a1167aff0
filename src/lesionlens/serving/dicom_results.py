"""DICOM results of predictions in the log, made while the server has their image."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lesionlens.core.errors import ImageError, RecipeError
from lesionlens.interop.result import Result
from lesionlens.interop.secondary_capture import secondary_capture
from lesionlens.interop.source_image import SourceImage, read_source
from lesionlens.interop.structured_report import structured_report
from lesionlens.serving.problems import Problem

if TYPE_CHECKING:
    from lesionlens.serving.service import Service


def result_of(prediction: dict[str, Any]) -> Result:
    """A prediction of the log as other systems are told of it."""
    return Result(prediction["id"], datetime.fromisoformat(prediction["created"]), prediction)


def source_of(data: bytes, result: Result) -> SourceImage:
    """The identity of the DICOM image of a prediction.

    Raises:
        Problem: `dicom_result_not_found`, if the upload was no DICOM image or lacks UIDs; `extra_missing`.
    """
    image = result.body["image"]
    try:
        return read_source(data, "the image", image["frame"], image["frames"])
    except ImageError as error:
        raise Problem("dicom_result_not_found", str(error)) from error
    except RecipeError as error:
        raise Problem("extra_missing", str(error)) from error


async def report_of(result: Result, data: bytes) -> bytes:
    """The Structured Report of a prediction.

    Raises:
        Problem: see `source_of`.
    """
    source = await asyncio.to_thread(source_of, data, result)
    return await asyncio.to_thread(structured_report, result, source)


async def capture_of(service: Service, result: Result, data: bytes) -> bytes:
    """The Secondary Capture with the heat map of the most probable diagnosis.

    Raises:
        Problem: see `source_of`; `map_not_found`, if the image was not usable, or the bundle gives no maps.
    """
    if not result.usable:
        raise Problem("map_not_found", "the image was not usable, so there is no diagnosis to show a heat map of")
    source = await asyncio.to_thread(source_of, data, result)
    maps = await asyncio.to_thread(service.history.maps, result.id)
    picture, _ = await service.drawings.map(maps, result.ranked[0]["code"], "overlay", data)
    return await asyncio.to_thread(secondary_capture, result, source, bytes(picture))


async def dicom_results(service: Service, id_: str, data: bytes) -> dict[str, bytes | None]:
    """Every DICOM result that a prediction has, by kind; one without maps has a report only.

    Raises:
        Problem: see `source_of`.
    """
    result = result_of(await asyncio.to_thread(service.history.prediction, id_))
    results: dict[str, bytes | None] = {"sr": await report_of(result, data)}
    if result.usable and result.body["maps"]["available"]:
        results["sc"] = await capture_of(service, result, data)
    return results
