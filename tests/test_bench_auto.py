"""The bench of what "auto" takes: every engine it may take is timed, and the ratio is to the fastest."""

import json

from benchmarks.auto import bench_auto, markdown
from qtha_lab.simulators.engines import automatic


def test_every_engine_is_timed_in_every_case_and_the_ratio_is_to_the_fastest():
    labels = []
    result = bench_auto((2, 3), (1,), (1, 5), rounds=2, on_case=labels.append)
    assert len(labels) == len(result["cases"]) == 4
    for case in json.loads(json.dumps(result))["cases"]:
        assert set(case["seconds"]) == set(automatic()) - {"triton"}  # that is for CUDA
        fastest = min(case["seconds"].values())
        assert case["ratio"] == case["seconds"][case["chosen"]] / fastest
    assert markdown(result).count("\n| n=") == 4


def test_a_batch_of_too_many_amplitudes_is_passed_over():
    assert not bench_auto((12,), (1,), (2**12,), rounds=1)["cases"]
