"""The files of docs/many-machines.md have the form that their programs ask for."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

PAGE = (Path(__file__).parents[2] / "docs" / "many-machines.md").read_text()


def block(title: str) -> str:
    found = re.search(rf'```\w+ title="{re.escape(title)}"\n(.*?)```', PAGE, re.DOTALL)
    assert found, title
    return found[1]


def test_the_cluster_file_fits_the_schema_of_ray() -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(yaml.safe_load(block("cluster.yaml")))] == []
    assert not validator.is_valid({"max_workers": "many"})


def test_the_job_asks_for_what_its_containers_have() -> None:
    job = yaml.safe_load(block("annotate-job.yaml"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"] == container["resources"]["requests"]
    assert all(group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] for group in groups[1:])


def test_the_script_of_slurm_is_one_of_bash(tmp_path: Path) -> None:
    script = tmp_path / "annotate.sbatch"
    script.write_text(block("annotate.sbatch"))
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert all(line.startswith("#") for line in script.read_text().splitlines()[:6])
