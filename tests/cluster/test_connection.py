"""The connection to a cluster: what it offers, and one line when it is not there."""

import doctest
import socket
import sys

import pytest

from lesionlens.cluster import connection
from lesionlens.cluster.connection import Cluster, connected, require_ray
from lesionlens.core.errors import ClusterError


class Ray:
    def nodes(self):
        return [
            {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
            {"Alive": True, "Resources": {"CPU": 3.0}},
            {"Alive": False, "Resources": {"CPU": 64.0}},
            {"Alive": True, "Resources": {"node": 1.0}},
        ]

    def cluster_resources(self):
        return {"CPU": 11.0, "GPU": 2.0}


def test_what_a_cluster_offers():
    cluster = Cluster(Ray(), "10.0.0.1", 6379)
    assert cluster.text() == "Ray cluster at 10.0.0.1:6379: 2 nodes, 11 CPUs, 2 GPUs"
    assert cluster.room(2) == 5, "4 and 1: a process does not span nodes"
    assert cluster.room(1, 1) == 2


def test_a_head_node_that_is_gone_is_an_error(monkeypatch):
    monkeypatch.setattr(connection, "HEAD_PAUSE_S", 0.0)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        cluster = Cluster(None, "127.0.0.1", server.getsockname()[1])
        cluster.check()
        assert not cluster.lost.is_set()
    with pytest.raises(ClusterError, match=r"the head node 127\.0\.0\.1:\d+ .* does not answer .* it resumes"):
        cluster.check()
    assert cluster.lost.is_set()
    cluster.kill("a process")  # would call None


def test_rays_client_is_refused():
    with pytest.raises(ClusterError, match="on a machine of the cluster"), connected("ray://10.0.0.1:10001"):
        pass


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"pip install 'lesionlens\[ray\]'"):
        require_ray()


def test_reports_of_usage_are_off(monkeypatch):
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    pytest.importorskip("ray")
    require_ray()
    import os

    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_examples():
    assert not doctest.testmod(connection).failed
