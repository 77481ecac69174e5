"""Keys: what was measured once is never measured again, whatever changes in the code."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from msbench.plan.suite import load_suite
from msbench.plan.trials import measurements, plan
from msbench.plugins.registry import Registry
from msbench.records.store import read
from msbench.spec import Measurement, Trial, digest, identity, job_from_json, job_to_json

REFERENCE = Path(__file__).parents[2] / "tests/kept"


def jobs(name: str) -> Iterator[tuple[str, Any]]:
    """Key and job of one reference record of each group."""
    groups = {record.group: record for record in read(REFERENCE / name).records}
    return ((record.key, record.job) for record in groups.values())


@pytest.mark.parametrize("name", ["quick", "optimizers"])
def test_reference_records_belong_to_the_trials_that_they_came_from(name: str) -> None:
    for key, job in jobs(name):
        revived = Measurement.of(job) if "strategies" in job else Trial.of(job)
        assert revived.key == key
        assert json.loads(job_to_json(revived)) == job


@pytest.mark.parametrize("name", ["all", "optimizers", "reinforcement"])
def test_a_key_is_the_digest_of_the_plain_trial(name: str, registry: Registry) -> None:
    suite = load_suite(name)
    trials = plan(suite, registry, (), lambda part: "data")
    for job in (*trials[::20], *measurements(suite, trials)):
        kind = "trial" if isinstance(job, Trial) else "measurement"
        assert job.key == digest({kind: identity(asdict(job))})
        assert job_from_json(job_to_json(job)).key == job.key
