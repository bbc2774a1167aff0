"""Two servers on one prediction log."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.interop.web_target import WebTarget
from tests.serving.test_exchange import metric, wait_until

pytestmark = pytest.mark.slow


def test_both_see_everything_and_each_result_is_sent_once(start_server, new_record, lesion_image):
    with WebTarget() as target:
        options = ("--webhook", f"{target.url}/hook")
        first = start_server(*options, record=new_record())
        second = start_server(*options, record=first.record)
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit((first, second)[seed % 2].predict, lesion_image(seed)) for seed in range(12)]
            ids = {job.result().json()["id"] for job in jobs}
        wait_until(lambda: metric(first, "lesionlens_deliveries_waiting") == metric(second, "lesionlens_deliveries_waiting") == 0)
        told = [request.json["prediction"]["id"] for request in target.requests]
    assert sorted(told) == sorted(ids)
    for server in (first, second):
        items = server.client.get("/v1/predictions?limit=500").json()["items"]
        assert {item["id"] for item in items} == ids
        assert server.stop() == 0
