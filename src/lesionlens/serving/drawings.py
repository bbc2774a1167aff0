"""Pictures of predictions: the image alone, heat maps alone and over it, and the values of a map."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from lesionlens.bundle.bundle import Bundle
from lesionlens.bundle.overlay import seen_part
from lesionlens.core.percent import percent
from lesionlens.serving.decoding import Decoders
from lesionlens.serving.history import Maps
from lesionlens.serving.messages import Buffer
from lesionlens.serving.problems import Problem
from lesionlens.serving.uploaded_images import UploadedImages

COMPARISON_FACTOR = 5  # of the time to decode one image
UNPLACED = (
    "the prediction is of another bundle, by an earlier version that did not log which part of the image its maps cover, "
    "so they cannot be laid on it; predict the image again"
)
MAP_DIGITS = 5  # decimals; the log keeps three digits


class Drawings:
    """Draws predictions, in the processes that decode images.

    Args:
        decoders: those processes.
        images: the uploads that the server still has.
        bundle: it says how images are prepared.
    """

    def __init__(self, decoders: Decoders, images: UploadedImages, bundle: Bundle) -> None:
        self._decoders = decoders
        self._images = images
        self._spec = bundle.spec
        self._bundle_id = bundle.id

    async def image(self, prediction: dict[str, Any], side: int) -> Buffer:
        """The image of a prediction as PNG: upright and in sRGB, as the network saw it.

        Args:
            prediction: as in the log.
            side: longest side of the picture, pixels; it is never larger than the image.

        Raises:
            Problem: `image_gone`.
        """
        head = {"operation": "image", "frame": prediction["image"]["frame"], "side": side}
        data = await self._images.get(prediction["id"], prediction["input_sha256"])
        _, picture = await asyncio.wrap_future(self._decoders.submit(head, data))
        return picture

    async def comparison(self, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
        """Two predictions' photographs compared; see `comparison.compare`.

        Raises:
            Problem: `image_gone`, or `decoding_too_slow`.
        """
        pair = (first, second)
        images = [await self._images.get(each["id"], each["input_sha256"]) for each in pair]
        head: dict[str, Any] = {"operation": "compare", "first_bytes": len(images[0]), "time_factor": COMPARISON_FACTOR}
        head["frames"] = [each["image"]["frame"] for each in pair]
        head["sizes"] = [[each["image"]["width"], each["image"]["height"]] for each in pair]
        head["spacings_mm"] = [each["image"].get("pixel_spacing_mm") for each in pair]
        reply, _ = await asyncio.wrap_future(self._decoders.submit(head, b"".join(images)))
        found: dict[str, Any] = reply["comparison"]
        return found

    async def map(self, maps: Maps, code: str, style: str, upload: bytes | None = None) -> tuple[Buffer, float]:
        """A heat map as PNG, and the raw value of its highest colour: one scale for all maps of a prediction.

        Args:
            maps: the maps and their prediction.
            code: the diagnosis.
            style: `map` or `overlay`.
            upload: the image, where the caller has it; None: one that the server still has.

        Raises:
            Problem: `map_not_found`, or `image_gone` for an overlay.
        """
        prediction, image = maps.prediction, maps.prediction["image"]
        map_, limit = _map_of(maps, code)
        data = map_.tobytes()
        part = self._part(prediction)
        head = {"operation": style, "shape": map_.shape, "map_bytes": len(data), "limit": limit, "part": part}
        if style == "overlay":
            data += upload or await self._images.get(prediction["id"], prediction["input_sha256"])
            head |= {"title": _title(prediction, code), "frame": image["frame"]}
        else:
            head["size"] = [image["width"], image["height"]]
        _, picture = await asyncio.wrap_future(self._decoders.submit(head, data))
        return picture, limit

    def map_values(self, maps: Maps, code: str) -> dict[str, Any]:
        """A heat map as `HeatMap` in `schemas`.

        Raises:
            Problem: `map_not_found`.
        """
        map_, limit = _map_of(maps, code)
        values = [[round(float(value), MAP_DIGITS) for value in row] for row in map_]
        return {"code": code, "values": values, "limit": round(limit, MAP_DIGITS), "part": self._part(maps.prediction)}

    def _part(self, prediction: dict[str, Any]) -> list[float]:
        """The part of the image that the maps cover: the bundle that predicted may prepare images otherwise than this one.

        Raises:
            Problem: `map_not_found`, for a prediction of another bundle that was logged before the part was.
        """
        if part := prediction["maps"].get("part"):
            return list(part)
        if prediction["bundle"]["id"] != self._bundle_id:
            raise Problem("map_not_found", UNPLACED)
        return list(seen_part(self._spec, (prediction["image"]["width"], prediction["image"]["height"])))


def _map_of(maps: Maps, code: str) -> tuple[np.ndarray, float]:
    """The map of one diagnosis, float32 (h, w), and the highest value of all of them: they share one scale."""
    codes = maps.prediction["maps"]["codes"]
    if code not in codes:
        raise Problem("map_not_found", f"heat maps are of {', '.join(codes)}")
    return maps.maps[codes.index(code)], float(maps.maps.max(initial=0.0))


def _title(prediction: dict[str, Any], code: str) -> str:
    row = next((row for row in prediction["probabilities"] if row["code"] == code), None)
    return code if row is None else f"{row['name']} ({code}), probability {percent(row['probability'])}"
