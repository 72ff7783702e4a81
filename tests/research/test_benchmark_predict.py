import mmap

import numpy as np
import pytest

from unsct_mmpose.research import benchmark_predict
from unsct_mmpose.research.benchmark_predict import (
    PredictCost,
    memory_growth_mb,
    predict_cost,
    resident_mb,
)


def test_the_ratio_is_the_median_of_the_pairs():
    assert PredictCost(1.0, 1.0, (9.0, 2.1, 2.2), 0.0, 10, 1.0).ratio == 2.2


def test_memory_that_is_kept_is_seen_and_the_warm_up_is_not(monkeypatch):
    kept = []
    monkeypatch.setattr(benchmark_predict, 'resident_mb', lambda: 100.0 + len(kept))

    def read(number):
        if number < 10 or number % 2:
            kept.append(number)

    assert memory_growth_mb(read, range(50), 10) == 20


def test_resident_memory_sees_what_is_allocated():
    before = resident_mb()
    held = np.frombuffer(mmap.mmap(-1, 2**27), np.uint8)  # past an allocator that keeps pages
    held[:] = 1
    assert resident_mb() - before > 0.9 * held.nbytes / 2**20


def test_both_ways_read_the_same_files_in_turn(monkeypatch, tmp_path):
    seen = []

    class Fast:
        def __init__(self, path, threads):
            pass

        def infer(self, images):
            seen.append('onnx')

    monkeypatch.setattr(benchmark_predict, 'OnnxModel', Fast)
    monkeypatch.setattr(
        benchmark_predict, 'torch_reader', lambda *_: lambda path: seen.append(path.name)
    )
    monkeypatch.setattr(benchmark_predict, 'read_radiograph', lambda path: path_with_pixels())
    files = [tmp_path / 'a.dcm', tmp_path / 'b.dcm']
    cost = predict_cost('c.py', 'w.pth', 'm.onnx', files, rounds=3, images=10, threads=1)
    assert seen[:10] == ['onnx', 'a.dcm', 'onnx', 'b.dcm'] * 2 + ['onnx', 'a.dcm']
    assert seen[10:] == ['onnx'] * 10
    assert len(cost.ratios) == 3
    with pytest.raises(ValueError, match='0 files'):
        predict_cost('c.py', 'w.pth', 'm.onnx', [], rounds=3)


def path_with_pixels():
    return type('Pixels', (), dict(pixels=np.zeros((4, 4), np.float32)))()
