"""SIGHUP: another bundle takes over while requests run, and a damaged one does not."""

import shutil
import signal
import threading
import time

import pytest

pytestmark = pytest.mark.slow


def wait_for_line(server, text, seconds=60):
    until = time.monotonic() + seconds
    while text not in server.log.read_text():
        assert time.monotonic() < until, server.log.read_text()
        time.sleep(0.05)


@pytest.fixture
def link(tmp_path, small_bundle, metadata_bundle):
    """A link to a bundle, and what points it at another."""
    path = tmp_path / "bundle"

    def point(target):
        fresh = tmp_path / "fresh"
        fresh.symlink_to(target)
        fresh.replace(path)

    point(small_bundle)
    return path, point


def test_no_request_is_lost_while_another_bundle_takes_over(start_server, link, lesion_image, metadata_bundle):
    path, point = link
    server = start_server(bundle=path)
    image, statuses, bundles, stop = lesion_image(1), [], [], threading.Event()

    def send():
        while not stop.is_set():
            done = server.predict(image)
            statuses.append(done.status_code)
            bundles.append(done.json()["bundle"]["id"])

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    point(metadata_bundle)
    server.process.send_signal(signal.SIGHUP)
    wait_for_line(server, '"reload": "done"')
    time.sleep(7)  # beyond the moment at which the former bundle is closed
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {201}
    first, last = bundles[0], bundles[-1]
    assert first != last
    assert set(bundles) == {first, last}
    assert server.client.get("/v1/model").json()["bundle"]["id"] == last
    assert f'bundle="{last}"' in server.client.get("/metrics").text
    assert f'bundle="{first}"' not in server.client.get("/metrics").text
    assert server.stop() == 0


def test_a_damaged_bundle_does_not_take_over(start_server, link, small_bundle, lesion_image, tmp_path):
    path, point = link
    server = start_server(bundle=path)
    before = server.predict(lesion_image(2)).json()["bundle"]["id"]
    damaged = tmp_path / "damaged"
    shutil.copytree(small_bundle, damaged)
    for model in damaged.glob("*.onnx"):
        model.write_bytes(b"")
    point(damaged)
    server.process.send_signal(signal.SIGHUP)
    wait_for_line(server, '"reload": "refused"')
    after = server.predict(lesion_image(3))
    assert (after.status_code, after.json()["bundle"]["id"]) == (201, before)
