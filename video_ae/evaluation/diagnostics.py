"""All signs of collapse that apply to a method's cameras of one clip with true cameras."""

from dataclasses import asdict
from typing import Any

from video_ae.evaluation.metrics import collapse
from video_ae.evaluation.metrics.pose_errors import rms_extent
from video_ae.evaluation.protocols.base import PoseEstimate
from video_ae.types import Cameras, VideoClip


def diagnose_poses(
    cameras: Cameras, estimate: PoseEstimate, clip: VideoClip, back: PoseEstimate | None = None
) -> list[dict[str, Any]]:
    """All findings that apply to one clip, as plain values.

    Args:
        cameras: the estimate's, with gaps filled.
        estimate: the method's.
        clip: with its true cameras.
        back: the method's estimate of a `there_and_back` clip, if it was run on one.
    """
    assert clip.cameras is not None, "diagnoses compare with the true cameras"
    found, true = cameras.world_from_camera, clip.cameras.world_from_camera.double()
    extent = rms_extent(found[:, :3, 3])
    depth = 1.0 if estimate.inverse_depth is not None or extent == 0 else extent
    findings = [
        collapse.poses_alike(found, true, depth),
        collapse.wrong_sign(found, true),
        collapse.scale_drift(found, true),
    ]
    findings.append(collapse.runaway_focal(cameras.intrinsics, clip.image_size))
    if estimate.inverse_depth is not None:
        findings.append(collapse.flat_structure(estimate.inverse_depth))
    if back is not None:
        findings.append(collapse.poses_encode_time(back.cameras.world_from_camera))
    return [asdict(finding) for finding in findings if finding is not None]
