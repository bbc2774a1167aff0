"""JPEG-LS in a process of its own with a time limit: CharLS (pyjpegls 1.5) needs 6 s for 2 kB of damaged data.

Run as `python -m lesionlens.data.dicom.jpeg_ls SECONDS` it decodes standard input to standard output.
"""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys

from lesionlens.core.errors import ImageError

LEAST_SECONDS = 0.5
VALUES_PER_SECOND = 10_000_000
WALL_FACTOR = 8


def decode_jpeg_ls(codestream: bytes, n_values: int, name: str) -> tuple[bytes, bool]:
    """Decode one picture.

    Args:
        codestream: JPEG-LS, whose header was checked.
        n_values: pixels x samples in it.
        name: what to call the file in errors.

    Returns:
        The values, little-endian, and whether they are in planes, one for each sample.

    Raises:
        ImageError: if it is damaged, takes too long, or pyjpegls is not installed.
    """
    if importlib.util.find_spec("jpeg_ls") is None:
        raise ImageError(
            f"{name} is compressed with JPEG-LS, which needs pyjpegls; install it with: pip install 'lesionlens[dicom]'"
        )
    seconds = LEAST_SECONDS + n_values / VALUES_PER_SECOND
    command = [sys.executable, "-P", "-m", "lesionlens.data.dicom.jpeg_ls", str(seconds)]
    try:
        done = subprocess.run(command, input=codestream, capture_output=True, timeout=WALL_FACTOR * seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise _damaged(name) from error
    if done.returncode or not done.stdout:
        raise _damaged(name)
    return done.stdout[1:], done.stdout[:1] == b"\x01"


def _damaged(name: str) -> ImageError:
    return ImageError(f"{name} holds damaged JPEG-LS data; copy or export it again")


def main() -> None:
    """Decode standard input within so many seconds of processor time, or end with an exit code above 0."""
    from jpeg_ls import decode_pixel_data

    codestream = sys.stdin.buffer.read()
    if hasattr(signal, "setitimer"):  # not on Windows; there the caller's patience is the only limit
        signal.setitimer(signal.ITIMER_PROF, float(sys.argv[1]))
    try:
        values, info = decode_pixel_data(codestream)
    except (RuntimeError, ValueError):
        sys.exit(1)
    planes = info["components"] > 1 and info["interleave_mode"] == 0
    sys.stdout.buffer.write(bytes([planes]))
    sys.stdout.buffer.write(values)


if __name__ == "__main__":
    main()
