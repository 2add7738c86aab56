"""Protocols end to end on a small data set in memory: what methods see, what is counted, what is written."""

import json
import math
from pathlib import Path

import pytest
import torch
from evaluation_fakes import FakeSource, make_clip
from PIL import Image

from video_ae.errors import UserError
from video_ae.evaluation.baselines import (
    POSE_BASELINES,
    POSE_BOUNDS,
    best_context,
    blend,
    index_regression,
    nearer_by_true_centre,
    nearest_context,
    standing_still,
    straight_line,
)
from video_ae.evaluation.metrics.images import psnr
from video_ae.evaluation.protocols.base import PoseEstimate, Prediction
from video_ae.evaluation.protocols.frozen_frames import (
    FrozenIndices,
    find_frozen,
    middle_views,
    onward_views,
    views_of_clip,
)
from video_ae.evaluation.protocols.pose_protocol import PosesSettings, fill_missing, run_pose_protocol, score_poses
from video_ae.evaluation.protocols.view_protocol import ViewsSettings, run_view_protocol
from video_ae.evaluation.results import collect_result, pose_writer, prediction_writer, replace_nonfinite, write_results
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.geometry.se3 import relative_to_first
from video_ae.types import Cameras


def oracle(source):
    """The true cameras, found by name: what a perfect method would answer."""
    cameras = {clip.name: clip.cameras for clip in source.clips}
    return lambda clip: PoseEstimate(cameras[clip.name], torch.ones(len(clip)))


def test_a_perfect_method_has_no_error_and_the_baselines_stand_beside_it():
    source = FakeSource()
    result = run_pose_protocol(source, {"oracle": oracle(source)})
    assert result.result.mean["ate_rmse_over_extent"] == pytest.approx(0, abs=1e-5)
    assert result.result.mean["rotation_deg"] == pytest.approx(0, abs=1e-2)
    assert result.result.mean["focal_ratio"] == pytest.approx(1)
    assert set(result.baselines) == set(POSE_BASELINES | POSE_BOUNDS)
    assert result.baselines["standing still"].mean["ate_rmse_over_extent"] == pytest.approx(1)
    assert result.baselines["index regression"].sees_truth


def test_methods_do_not_see_the_truth():
    seen = []

    def spy(clip):
        seen.append(clip.cameras)
        return standing_still(clip)

    run_pose_protocol(FakeSource(), {"spy": spy})
    assert seen == [None, None]
    run_pose_protocol(FakeSource(), {"spy": spy}, settings=PosesSettings(known_focal=True))
    assert seen[2].intrinsics[0, 0] == pytest.approx(0.7)
    assert torch.equal(seen[2].world_from_camera[5], torch.eye(4))


def test_a_frame_without_a_pose_takes_its_nearest_posed_neighbours():
    clip = make_clip("a", 6)
    posed = torch.tensor([False, True, False, False, True, True])
    poses = clip.cameras.world_from_camera.clone()
    poses[5, 0, 3] = math.nan
    filled, own = fill_missing(PoseEstimate(Cameras(poses, clip.cameras.intrinsics), posed=posed), clip)
    assert own.tolist() == [False, True, False, False, True, False]
    assert torch.equal(filled.world_from_camera, poses.double()[[1, 1, 1, 4, 4, 4]])


def test_a_clip_that_fails_is_counted_as_standing_still():
    def fails(clip):
        raise UserError("nothing to see")

    result = run_pose_protocol(FakeSource(), {"fails": fails})
    row = result.result.clips["clip0"]
    assert (row["posed"], row["failure"]) == (0, "nothing to see")
    assert row["ate_rmse_over_extent"] == pytest.approx(1)
    assert row["focal_ratio"] is None
    assert row["reasons"]["focal_ratio"] == "no frame has a pose"


def test_errors_of_the_program_are_not_swallowed():
    def broken(clip):
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        run_pose_protocol(FakeSource(), {"broken": broken})


def test_a_source_without_cameras_is_refused_in_one_sentence():
    source = FakeSource(with_cameras=False)
    with pytest.raises(UserError, match=r"clip0.*no true cameras"):
        run_pose_protocol(source, {"still": standing_still})
    with pytest.raises(UserError, match=r"clip0.*no true cameras"):
        run_view_protocol(source, {"blend": blend})


@pytest.mark.parametrize("frames", [1, 2, 3, 6])
def test_short_clips_have_rows_without_nan(frames):
    clip = make_clip("short", frames)
    for method in (straight_line, standing_still):
        row = score_poses(method(clip), clip, PosesSettings())
        replaced = {}
        replace_nonfinite(row, replaced)
        assert not replaced
        missing = [key for key in ("rotation_deg", "ate_rmse_over_extent") if row[key] is None]
        assert all(key in row["reasons"] for key in missing)


def test_views_are_the_issues():
    assert [(view.contexts, view.target) for view in middle_views(13, 2)] == [((0, 4), 2), ((4, 8), 6), ((8, 12), 10)]
    assert middle_views(4, 2) == []
    assert [(view.contexts, view.target) for view in onward_views(9, 3)] == [((0,), 3), ((4,), 7)]


def test_frozen_indices_equal_the_rule_and_hold_only_for_the_same_frames(tmp_path):
    content = {"clips": {"clip0": {"frames": 13, "middle": {"2": [[0, 4, 2]]}}}}
    (tmp_path / "a.json").write_text(json.dumps(content))
    frozen = find_frozen(["clip0"], tmp_path)
    assert len(views_of_clip("clip0", 13, 2, frozen)[0]) == 1
    assert views_of_clip("clip0", 13, 2, frozen)[1] == "a.json"
    assert views_of_clip("clip0", 14, 2, frozen) == (middle_views(14, 2), "rule")
    assert find_frozen(["clip0", "other"], tmp_path) is None


def test_the_files_in_the_repository_follow_the_rule():
    frozen = find_frozen(["box", "hololens_b"])
    for name, entry in frozen.clips.items():
        for gap in (2, 4, 8):
            views, source = views_of_clip(name, entry["frames"], gap, frozen)
            assert views == middle_views(entry["frames"], gap)
            assert source == "real_clips.json"


def test_view_scores_of_a_baseline_equal_the_metric_by_hand():
    source = FakeSource()
    result = run_view_protocol(source, {"blend": blend}, ViewsSettings(gaps=(2,)))
    frames = source.clips[0].frames
    by_hand = [psnr((frames[i] + frames[i + 4])[None] / 2, frames[i + 2][None]).item() for i in (0, 4, 8)]
    assert result.result.clips["clip0"]["2"]["psnr"] == pytest.approx(sum(by_hand) / 3, abs=1e-4)
    assert result.result.clips["clip0"]["2"]["views"] == 3
    assert result.result.clips["clip1"]["2"]["psnr"] is None
    assert "too short" in result.result.clips["clip1"]["2"]["reasons"]["psnr"]
    assert result.result.mean["2"]["psnr"] == pytest.approx(sum(by_hand) / 3, abs=1e-4)


def test_a_hidden_target_is_black_for_methods_alone():
    def peeks(contexts, target):
        return Prediction(target.frames[0])

    shown = run_view_protocol(FakeSource(), {"peeks": peeks}, settings=ViewsSettings(gaps=(2,)))
    hidden = run_view_protocol(FakeSource(), {"peeks": peeks}, settings=ViewsSettings(gaps=(2,), show_target=False))
    assert shown.result.mean["2"]["psnr"] == 100
    assert hidden.result.mean["2"]["psnr"] < 10
    best = [result.baselines["better context"].mean["2"]["psnr"] for result in (shown, hidden)]
    assert best[0] == best[1]


def test_failed_and_unfinished_views_are_counted():
    def fails(contexts, target):
        raise UserError("no overlap")

    def unfinished(contexts, target):
        return Prediction(torch.full_like(target.frames[0], math.nan))

    grey = run_view_protocol(FakeSource(), {"fails": fails}, settings=ViewsSettings(gaps=(2,)))
    nan = run_view_protocol(FakeSource(), {"unfinished": unfinished}, settings=ViewsSettings(gaps=(2,)))
    assert grey.result.clips["clip0"]["2"]["failed"] == 3
    assert grey.result.mean["2"]["psnr"] == nan.result.mean["2"]["psnr"]


def test_context_baselines_choose_what_they_say():
    clip = make_clip("a", 5)
    target = clip.select([2])
    near_second = clip.cameras.world_from_camera.clone()
    near_second[4] = near_second[2]
    clip = clip.__class__(**{**vars(clip), "cameras": Cameras(near_second, clip.cameras.intrinsics)})
    contexts = clip.select([0, 4])
    assert torch.equal(nearest_context(contexts, target).image, clip.frames[0])
    assert torch.equal(nearest_context(clip.select([0, 3]), target).image, clip.frames[3])
    assert torch.equal(nearer_by_true_centre(contexts, clip.select([2])).image, clip.frames[4])
    scores = psnr(contexts.frames, target.frames.repeat(2, 1, 1, 1))
    assert psnr(best_context(contexts, target).image[None], target.frames).item() == scores.max()


def test_index_regression_is_exact_for_constant_motion():
    clip = make_clip("a", 8)
    line = straight_line(clip).cameras.world_from_camera.float()
    moving = clip.__class__(**{**vars(clip), "cameras": Cameras(line, clip.cameras.intrinsics)})
    torch.testing.assert_close(index_regression(moving).cameras.world_from_camera.float(), line)


def test_files(tmp_path):
    source = FakeSource()
    poses = run_pose_protocol(source, {"oracle": oracle(source)}, observers=[pose_writer(tmp_path, "oracle")])
    write_results(poses, tmp_path, command=["video-ae", "evaluate", "poses"], seed=3)
    content = json.loads((tmp_path / "results.json").read_text())
    assert {"protocol", "settings", "clips", "mean", "median", "baselines"} <= set(content)
    assert content["settings"]["seed"] == 3
    assert content["clips"]["clip0"]["frames"] == 13
    text = (tmp_path / "results.md").read_text()
    assert "ATE RMSE / RMS extent of the true path, Sim(3)" in text
    assert "| straight line | standing still | index regression † |" in text
    written = {path.name: read_cameras_json(path) for path in (tmp_path / "poses").iterdir()}
    assert set(written) == {"clip0.json", "clip1.json"}
    torch.testing.assert_close(written["clip0.json"].cameras.world_from_camera[0], torch.eye(4).double())
    true = relative_to_first(source.clips[0].cameras.world_from_camera.double())
    torch.testing.assert_close(written["clip0.json"].cameras.world_from_camera, true)
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "results.md", "poses"}


def test_predictions_are_written_at_the_frames_own_size(tmp_path):
    source = FakeSource()
    observers = [prediction_writer(tmp_path, source, "blend")]
    result = run_view_protocol(source, {"blend": blend}, ViewsSettings((2,)), observers=observers)
    write_results(result, tmp_path)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))
    assert files == [f"predictions/gap2/clip0/{index}.png" for index in (10, 2, 6)]
    with Image.open(tmp_path / files[1]) as picture:
        assert (picture.size, picture.mode) == ((20, 16), "RGB")
    assert "| blend | nearest context |" in (tmp_path / "results.md").read_text()


def test_numbers_that_are_not_finite_become_null_with_a_reason():
    replaced = {}
    assert replace_nonfinite({"a": [math.nan, 1.0], "b": {2: math.inf}}, replaced) == {
        "a": [None, 1.0],
        "b": {"2": None},
    }
    assert replaced == {"/a/0": "nan", "/b/2": "inf"}


def test_a_failed_clip_is_written_without_confidence(tmp_path):
    def fails(clip):
        raise UserError("nothing to see")

    run_pose_protocol(FakeSource(), {"fails": fails}, observers=[pose_writer(tmp_path, "fails")])
    assert read_cameras_json(tmp_path / "poses" / "clip0.json").confidence.tolist() == [0.0] * 13


def test_one_context_and_a_later_target():
    result = run_view_protocol(
        FakeSource(), {"nearest_context": nearest_context}, settings=ViewsSettings((3,), kind="onward")
    )
    frames = FakeSource().clips[0].frames
    by_hand = [psnr(frames[None, i], frames[None, i + 3]).item() for i in (0, 4, 8)]
    assert result.result.clips["clip0"]["3"]["psnr"] == pytest.approx(sum(by_hand) / 3, abs=1e-4)


def test_the_frozen_frames_are_those_of_the_committed_test_clips():
    root = Path(__file__).parents[2] / "data"
    names = sorted(path.stem for path in (root / "walkthroughs" / "test" / "cameras").glob("*.txt"))
    frozen = find_frozen(names)
    assert frozen is not None, "run tools/make_evaluation_indices.py anew"
    assert frozen.name == "walkthroughs_test.json"
    assert sorted(frozen.clips) == names


def test_clips_that_stand_apart_are_in_no_mean_and_groups_have_their_own():
    frozen = FrozenIndices("x.json", {}, excluded={"c": "it was trained on"}, groups={"pair": ["a", "c"]})
    rows = {"m": {"a": {"x": 1.0}, "b": {"x": 3.0}, "c": {"x": 100.0}}}
    result = collect_result("poses", {}, rows, frozen=frozen)
    assert (result.result.mean, result.result.median) == ({"x": 2.0}, {"x": 2.0})
    assert result.result.interval_95["x"][1] <= 3
    assert result.result.groups == {"pair": {"x": 50.5}}
    assert result.settings["apart"] == {"c": "it was trained on"}
    assert set(result.to_dict()["clips"]) == {"a", "b", "c"}
