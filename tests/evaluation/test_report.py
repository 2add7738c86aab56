"""The report and the tables: complete, self-contained, and every number from results.json."""

import base64
import importlib.util
import io
import json
import re
import subprocess
from pathlib import Path

import pytest
import torch
from evaluation_fakes import FakeSource, make_clip
from PIL import Image

from video_ae.evaluation.baselines import blend, nearest_context, standing_still
from video_ae.evaluation.output import finish
from video_ae.evaluation.protocols.base import PoseEstimate, Prediction
from video_ae.evaluation.protocols.pose_protocol import run_pose_protocol
from video_ae.evaluation.protocols.view_protocol import ViewsSettings, run_view_protocol
from video_ae.evaluation.report.html_report import to_html
from video_ae.evaluation.report.records import PoseRecord, Strip, ViewRecord
from video_ae.evaluation.report.report_figures import strip_image
from video_ae.evaluation.results import environment

SCRIPT = Path(__file__).parents[2] / "tools" / "make_tables.py"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("make_tables", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def similar_to_truth(source):
    """Right up to a scale and a shift, with confidences and covariances."""
    known = {clip.name: clip.cameras for clip in source.clips}

    def estimate(clip):
        cameras = known[clip.name].to(torch.float64)
        poses = cameras.world_from_camera.clone()
        poses[:, :3, 3] = 3 * poses[:, :3, 3] + 7
        found = cameras.__class__(poses, cameras.intrinsics)
        count = len(clip)
        return PoseEstimate(found, torch.linspace(1, 0.5, count), covariance=1e-4 * torch.eye(6).repeat(count, 1, 1))

    return estimate


def measured_poses(out):
    source, record = FakeSource(), PoseRecord("ours")
    result = run_pose_protocol(source, {"ours": similar_to_truth(source)}, observers=[record])
    finish(result, out, 0, record)
    return record


def test_paths_are_aligned_and_the_page_needs_nothing_else(tmp_path):
    record = measured_poses(tmp_path)
    for paths in record.paths.values():
        torch.testing.assert_close(paths["ours"], paths["truth"], atol=1e-5, rtol=0)
        assert {"truth", "ours", "straight line", "standing still", "index regression"} == set(paths)
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 3  # trajectories, gaps, confidence
    assert not re.search(r"(src|href)=[\"']?(https?:|/|\.)", re.sub(r"xlink:href|xmlns:\w+=\"[^\"]*\"", "", page))
    for words in ("Trajectories from above", "seed 0", "commit", "Signs of collapse", "none found", "clip1"):
        assert words in page
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["mean"]["coverage_90_percent"] == 100
    assert not any(finding["triggered"] for finding in content["diagnostics"]["clip0"])


def test_a_model_that_stands_still_is_named(tmp_path):
    record = PoseRecord("still", back=standing_still)
    result = run_pose_protocol(FakeSource(), {"still": standing_still}, observers=[record])
    finish(result, tmp_path, 0, record)
    assert "**poses all alike**" in (tmp_path / "results.md").read_text()
    assert "<strong>poses all alike</strong>" in (tmp_path / "report.html").read_text()


def test_views_show_contexts_target_prediction_and_error(tmp_path):
    record = ViewRecord("copy")
    result = run_view_protocol(FakeSource(), {"copy": nearest_context}, ViewsSettings((2,)), observers=[record])
    finish(result, tmp_path, 0, record)
    frames = FakeSource().clips[0].frames
    kept = record.strips["clip0", 2]
    assert torch.equal(kept.target, frames[6])
    assert torch.equal(kept.contexts, frames[[4, 8]])
    assert torch.equal(kept.predictions["blend of contexts"].image, frames[[4, 8]].mean(0))
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64") == 1
    assert "prediction is the nearest context" in page
    assert ViewRecord("blend").diagnostics == {}
    sound = ViewRecord("blend")
    run_view_protocol(FakeSource(), {"blend": blend}, ViewsSettings((2,)), observers=[sound])
    assert [finding["triggered"] for finding in sound.diagnostics["clip0"]] == [False]


def test_a_strip_is_an_image():
    frames = make_clip("a", 3).frames
    bare, deep = Prediction(frames[0]), Prediction(frames[0], frames[0, 0])
    images = [strip_image(Strip(frames[:2], frames[2], {"m": found}), "m") for found in (bare, deep)]
    assert all(image.startswith("data:image/png;base64,") for image in images)
    widths = [Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).width for text in images]
    assert widths == [5 * 24, 6 * 24]  # contexts, target, prediction, error, and the disparity where there is one


def test_markdown_becomes_html():
    table = re.sub(r"\s", "", to_html("| a | b |\n|---|---|\n| 1 | <2> |"))
    assert table.startswith("<table><thead><tr><th>a</th><th>b</th></tr></thead>")
    assert "<td>1</td><td>&lt;2&gt;</td>" in table
    assert to_html("* one\n* two") == "<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n"
    assert to_html("# A & B") == "<h1>A &amp; B</h1>\n"
    assert "<script>" not in to_html("<script>alert(1)</script>")


def test_tables_are_written_from_results(tables, tmp_path):
    measured_poses(tmp_path / "poses")
    page = tmp_path / "README.md"
    marker = "<!-- table poses/results.json posed_percent pairs.5.rotation_deg focal_ratio:median -->\n"
    page.write_text(f"before\n{marker}old\n<!-- /table -->\nafter\n")
    with pytest.raises(SystemExit, match="out of date"):
        tables.main(["--check", str(page)])
    tables.main([str(page)])
    text = page.read_text()
    assert "old" not in text
    assert text.startswith(f"before\n{marker}| method | posed_percent |")
    assert re.search(r"\| ours \| 100\.0 \| .* \| 1 \|", text)
    assert "| index regression † |" in text
    assert text.endswith("<!-- /table -->\nafter\n")
    tables.main(["--check", str(page)])
    page.write_text("<!-- clips poses/results.json posed_percent -->\n<!-- /clips -->\n")
    tables.main([str(page)])
    assert "| clip0 | 100.0 |\n| clip1 | 100.0 |\n<!-- /clips -->" in page.read_text()
    content = json.loads((tmp_path / "poses" / "results.json").read_text())
    still = {"still": content["baselines"]["standing still"]}
    for one in (content, *still.values()):
        one["groups"] = {"zoom": one["clips"]["clip1"]}
    (tmp_path / "groups.json").write_text(json.dumps(content | {"baselines": still}))
    page.write_text("<!-- groups groups.json ate_rmse_over_extent posed_percent -->\n<!-- /groups -->\n")
    tables.main([str(page)])
    header, _, own, other = page.read_text().splitlines()[1:-1]
    assert header == "| clips | method | ate_rmse_over_extent | posed_percent |"
    assert re.fullmatch(r"\| zoom \| ours \| .* \| 100\.0 \|", own)
    assert other == "|  | still | 1 | 100.0 |"
    page.write_text("<!-- table poses/results.json nonsense -->\n<!-- /table -->")
    with pytest.raises(SystemExit, match="possible names"):
        tables.main([str(page)])


def test_git_that_takes_long_costs_the_commit_and_not_the_results(monkeypatch):
    def slow(command, **options):
        raise subprocess.TimeoutExpired(command, 10)

    monkeypatch.setattr(subprocess, "run", slow)
    assert environment(["video-ae"])["commit"] is None
