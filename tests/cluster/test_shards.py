"""Shards: nothing is lost or twice, whatever the mix of images and tars."""

import doctest
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lesionlens.cluster import shards
from lesionlens.cluster.shards import Shard, cut_shards

NAMES = st.lists(st.sampled_from(["a.jpg", "b.png", "c.tar", "d.tgz", "L\u00e4sion 1.jpg", "\udcff.jpg"]), max_size=30)


@given(NAMES, st.integers(1, 7))
def test_every_source_is_in_one_shard_in_its_order(sources, size):
    cut = list(cut_shards(sources, size))
    assert [source for shard in cut for source in shard.sources] == sources
    assert [shard.number for shard in cut] == list(range(len(cut)))
    for shard in cut:
        assert 1 <= len(shard.sources) <= size
        assert shard.tar == any(source.endswith((".tar", ".tgz")) for source in shard.sources)
        assert shard.images == (0 if shard.tar else len(shard.sources))
    assert all(len(shard.sources) == size or after.tar for shard, after in pairwise(cut) if not shard.tar)


@given(NAMES.filter(bool))
def test_a_shard_is_read_as_it_was_written(sources):
    shard = Shard(12, tuple(sources))
    line = shard.line()
    assert "\n" not in line
    assert Shard.read(line.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")) == shard


def test_other_sources_have_another_hash_and_the_same_name():
    one, other = Shard(3, ("a.jpg", "b.jpg")), Shard(3, ("b.jpg", "a.jpg"))
    assert one.file == other.file == "part-000003.parquet"
    assert one.hash != other.hash


def test_examples():
    assert not doctest.testmod(shards).failed
