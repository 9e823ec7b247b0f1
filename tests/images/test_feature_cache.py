from __future__ import annotations

import io
import os
import pickle
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spacy_mner.errors import ImageError, ImageWarning
from spacy_mner.images.disk_cache import DiskCache
from spacy_mner.images.encoders.image_encoder import ImageEncoder
from spacy_mner.images.feature_cache import FeatureCache
from spacy_mner.images.reference import BytesImage, LazyImage, open_image
from spacy_mner.images.safety.limits import Limits

from ..forks import in_forked_child
from .samples import content, noise


class MeanColor(ImageEncoder):
    """An image encoder without a network: one region of three values. Counts encoded images."""

    n_regions = 1
    dim = 3
    fingerprint = "mean-color"
    preprocessing = None

    def __init__(self, fingerprint: str = "mean-color", scale: float = 1.0) -> None:
        super().__init__()
        self.fingerprint = fingerprint
        self.scale = scale
        self.encoded = 0

    def batch_size(self, device):
        return 4

    def encode(self, images, device=None, is_train=False):
        self.encoded += len(images)
        means = [image.mean((0, 1)) * self.scale for image in images]
        return np.array(means, dtype=np.float32).reshape(-1, 1, 3)

    def load(self):
        raise NotImplementedError

    def run(self, network, inputs):
        raise NotImplementedError


def image_list(n: int) -> list[LazyImage]:
    return [open_image(noise(4, 4, seed=i), None) for i in range(n)]


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def cache_of(encoder, folder: Path | None = None, memory_mb: int = 8) -> FeatureCache:
    cache = FeatureCache(encoder, memory_mb=memory_mb)
    cache.disk = None if folder is None else DiskCache(folder)
    return cache


def test_results_are_in_the_order_of_the_images_and_duplicates_are_computed_once():
    encoder = MeanColor()
    a, b = image_list(2)
    features = cache_of(encoder).results([b, a, b, b])
    assert encoder.encoded == 2
    for image, values in zip([b, a, b, b], features, strict=True):
        assert values.dtype == np.float16
        assert np.allclose(values, image.pixels().mean((0, 1)), rtol=1e-3)


def test_results_are_cached_in_memory():
    encoder = MeanColor()
    cache = cache_of(encoder)
    for _ in range(3):
        cache.results(image_list(100))
    assert encoder.encoded == 100


def test_results_are_cached_on_disk_exactly_and_without_temporary_files(tmp_path):
    encoder, again = MeanColor(), MeanColor()
    results = [
        cache.results(image_list(3))
        for cache in (cache_of(MeanColor(), memory_mb=0), cache_of(encoder, tmp_path))
    ]
    results.append(cache_of(again, tmp_path).results(image_list(3)))
    assert (encoder.encoded, again.encoded) == (3, 0)
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[1], results[2])
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {image.digest for image in image_list(3)}


def test_encoders_sharing_a_folder_have_separate_entries(tmp_path):
    cache_of(MeanColor("one"), tmp_path).results(image_list(1))
    other = MeanColor("two", scale=2.0)
    cache_of(other, tmp_path).results(image_list(1))
    assert other.encoded == 1
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-2],
        lambda whole: b"",
        lambda whole: whole[::-1],
        lambda whole: npy(np.zeros((2, 3), np.float16)),
        lambda whole: npy(np.zeros((1, 3), np.float32)),
        lambda whole: pickle.dumps(np.zeros((1, 3), np.float16)),
    ],
    ids=["cut", "empty", "noise", "other shape", "other type", "pickle"],
)
def test_a_corrupt_file_in_the_cache_is_recomputed(tmp_path, damage):
    expected = cache_of(MeanColor(), tmp_path).results(image_list(1))
    [path] = [one for one in tmp_path.rglob("*") if one.is_file()]
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    encoder = MeanColor()
    assert np.array_equal(cache_of(encoder, tmp_path).results(image_list(1)), expected)
    assert encoder.encoded == 1
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_to_is_one_warning_for_all_caches_and_threads(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    caches = [cache_of(MeanColor(name)) for name in ("one", "two")]
    caches[0].disk = caches[1].disk = DiskCache(tmp_path / "file")
    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("always")
        parts = [image_list(8)[i : i + 2] for i in range(0, 8, 2)]
        results = [list(pool.map(cache.results, parts)) for cache in caches]
    assert all(isinstance(values, np.ndarray) for part in results[0] for values in part)
    assert [one.category for one in caught] == [ImageWarning]


def test_a_result_under_looser_limits_is_not_returned_to_a_caller_with_limits(tmp_path):
    data = content(Image.fromarray(noise(40, 60)), "PNG")
    strict = Limits(bytes=10_000_000, pixels=1_000)
    cache = cache_of(MeanColor(), tmp_path)
    trusted, limited = BytesImage(data), BytesImage(data, strict)
    assert isinstance(cache.results([trusted])[0], np.ndarray)
    for current in (cache, cache_of(MeanColor(), tmp_path)):
        [result] = current.results([limited])
        assert isinstance(result, ImageError) and str(result).startswith("too large: ")
    assert isinstance(cache.results([limited, trusted])[1], np.ndarray)


def test_results_are_computed_on_the_device_of_the_request():
    devices = []

    class Recording(MeanColor):
        def compute(self, images, device=None, is_train=False):
            devices.append(device)
            return super().compute(images, device, is_train)

    cache_of(Recording()).results(image_list(1), torch.device("meta"))
    assert devices == [torch.device("meta")]


def test_memory_is_bounded_and_evicts_the_least_recently_used():
    encoder = MeanColor()
    # 4 MiB hold the features of two images.
    encoder.dim = 1 << 20
    encoder.encode = lambda images, *_: MeanColor.encode(encoder, images)[:, :, :1].repeat(
        1 << 20, 2
    )
    a, b, c = image_list(3)
    cache = cache_of(encoder, memory_mb=4)
    cache.results([a, b])
    cache.results([a])
    cache.results([c])
    assert encoder.encoded == 3
    cache.results([a, c])
    assert encoder.encoded == 3
    cache.results([b])
    assert encoder.encoded == 4


def test_an_unreadable_image_does_not_affect_others(tmp_path):
    path = tmp_path / "gone.png"
    path.write_bytes(b"x")
    gone, broken = open_image(path, None), open_image(b"no image" * 1000, None)
    path.unlink()
    good, *errors = cache_of(MeanColor()).results([image_list(1)[0], broken, gone, broken])
    assert isinstance(good, np.ndarray)
    assert [str(error).partition(":")[0] for error in errors] == [
        "not an image",
        "cannot be read",
        "not an image",
    ]
    # They would keep the content of the file in memory.
    assert not any(e.__traceback__ or e.__cause__ or e.__context__ for e in errors)


@pytest.mark.parametrize("value", [1e9, float("nan")])
def test_features_are_read_only_and_finite_or_an_image_error(value):
    [features] = cache_of(MeanColor(scale=value)).results(image_list(1))
    if np.isnan(value):
        assert isinstance(features, ImageError)
    else:
        assert (features == np.finfo(np.float16).max).all() and not features.flags.writeable


def test_no_images_have_no_results():
    assert cache_of(MeanColor()).results([]) == []


@pytest.mark.parametrize("memory_mb", [0, 8])
def test_concurrent_overlapping_requests_compute_each_image_once(memory_mb):
    encoder = MeanColor()
    cache = cache_of(encoder, memory_mb=memory_mb)
    shifts = range(0, 40, 5)
    with ThreadPoolExecutor(8) as pool:
        results = list(
            pool.map(lambda i: cache.results(image_list(40)[i:] + image_list(i)), shifts)
        )
    assert encoder.encoded == 40 or not memory_mb
    for i, result in zip(shifts, results, strict=True):
        assert np.array_equal(result[40 - i :] + result[: 40 - i], results[0])


def test_a_pickle_contains_no_results(tmp_path):
    cache = cache_of(MeanColor(), tmp_path)
    expected = cache.results(image_list(50))
    small = pickle.dumps(cache)
    assert len(small) < 1000
    assert np.array_equal(pickle.loads(small).results(image_list(50)), expected)


class Waiting(MeanColor):
    """Blocks in `encode`, which sets `entered`, until `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def encode(self, images, device=None, is_train=False):
        self.entered.set()
        assert self.go_on.wait(10)
        return super().encode(images)


@pytest.mark.parametrize("memory_mb", [0, 8])
def test_results_that_another_thread_computes_are_awaited_and_others_are_returned(memory_mb):
    encoder = Waiting()
    cache = cache_of(encoder, memory_mb=memory_mb)
    known, new = image_list(2)
    encoder.go_on.set()
    cache.results([known])
    encoder.go_on.clear()
    encoder.entered.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.results, [new])
        assert encoder.entered.wait(10)
        if memory_mb:
            assert isinstance(cache.results([known])[0], np.ndarray)
        assert not first.done()
        second = pool.submit(cache.results, [new])
        encoder.go_on.set()
        assert np.array_equal(first.result(10), second.result(10))
    assert encoder.encoded == 2 or not memory_mb


def test_a_thread_computes_images_that_another_failed_to_compute():
    class FailsOnce(Waiting):
        def encode(self, images, device=None, is_train=False):
            first = not self.entered.is_set()
            features = super().encode(images)
            if first:
                raise RuntimeError("out of memory")
            return features

    encoder = FailsOnce()
    cache = cache_of(encoder)
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(cache.results, image_list(3))
        assert encoder.entered.wait(10)
        waiting = pool.submit(cache.results, image_list(3))
        encoder.go_on.set()
        with pytest.raises(RuntimeError, match="out of memory"):
            failing.result(10)
        assert all(isinstance(values, np.ndarray) for values in waiting.result(10))
    assert len(cache.results(image_list(3))) == 3


class Counted(LazyImage):
    """An image of 3 MB that records when it is decoded, and optionally raises an error."""

    def __init__(self, number: int, decoded: list[int], error: Exception | None = None) -> None:
        self.number, self.decoded, self.error = number, decoded, error

    @property
    def digest(self) -> str:
        return f"{self.number:064}"

    def pixels(self) -> np.ndarray:
        self.decoded.append(self.number)
        if self.error:
            raise self.error
        return np.full((1000, 1000, 3), self.number, np.uint8)


def test_prefetching_is_bounded_by_bytes(monkeypatch):
    monkeypatch.setattr("spacy_mner.images.prefetch.PREFETCH_BYTES", 12_000_000)
    monkeypatch.setattr("spacy_mner.images.prefetch.N_THREADS", 2)
    decoded: list[int] = []
    lead: list[int] = []

    class Watching(MeanColor):
        def encode(self, images, device=None, is_train=False):
            # Leaves time for prefetching.
            threading.Event().wait(0.05)
            lead.append(len(decoded) - self.encoded)
            return super().encode(images)

    encoder = Watching()
    features = cache_of(encoder).results([Counted(i, decoded) for i in range(30)])
    assert [int(values[0, 0]) for values in features] == list(range(30))
    # 12 MB are four images; two more may be in decoding.
    assert 2 < max(lead) <= 6
    assert sorted(decoded) == list(range(30))


def test_an_image_over_the_prefetching_bound_is_computed(monkeypatch):
    monkeypatch.setattr("spacy_mner.images.prefetch.PREFETCH_BYTES", 1)
    features = cache_of(MeanColor()).results([Counted(i, []) for i in range(9)])
    assert [int(values[0, 0]) for values in features] == list(range(9))


def test_batches_are_in_order_and_deterministic():
    groups: list[list[int]] = []

    class Recording(MeanColor):
        def encode(self, images, device=None, is_train=False):
            groups.append([int(image[0, 0, 0]) for image in images])
            return super().encode(images)

    cache_of(Recording()).results([Counted(i, []) for i in range(10)])
    assert groups == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_unexpected_errors_propagate_and_end_the_threads():
    before = threading.active_count()
    cache = cache_of(MeanColor())
    images = [Counted(i, [], RuntimeError("disk on fire") if i == 3 else None) for i in range(9)]
    with pytest.raises(RuntimeError, match="disk on fire"):
        cache.results(images)
    assert threading.active_count() == before
    assert len(cache.results([Counted(i, []) for i in range(9)])) == 9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_computes_what_a_thread_of_its_parent_was_computing():
    begun, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    class Slow(MeanColor):
        def encode(self, images, device=None, is_train=False):
            if os.getpid() == parent:
                begun.set()
                go_on.wait()
            return super().encode(images, device, is_train)

    cache = cache_of(Slow())
    thread = threading.Thread(target=cache.results, args=[image_list(1)])
    thread.start()
    begun.wait()
    try:
        assert in_forked_child(lambda: cache.results(image_list(1)))
    finally:
        go_on.set()
        thread.join()
