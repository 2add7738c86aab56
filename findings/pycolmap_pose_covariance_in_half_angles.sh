#!/bin/sh
# pycolmap 4.2.1.
#
# Guess: the upper left block of `BACovariance.get_cam_cov_from_world` is the covariance of a rotation vector in
# radians, as the lower right one is that of the translation.
# In fact it is in the tangent space of Ceres' quaternions, whose unit is half an angle: variances are a quarter,
# standard deviations half of those of the rotation. Below, one pose and all points are free; the same covariance is
# computed from the numerical derivatives of the reprojection by rotation vector, translation and points.
#
# So the block is multiplied by 4 (and the two mixed ones by 2) before it is compared with a rotation error.
#
# Output seen:
#   variance of the rotation, pycolmap's over that of the rotation vector's covariance: 0.250
#   variance of the translation, pycolmap's over that of the rotation vector's covariance: 1.000
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycolmap==4.2.1 numpy==2.4.6

"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import numpy as np
import pycolmap

pycolmap.logging.minloglevel = 3
pycolmap.set_random_seed(0)
options = pycolmap.SyntheticDatasetOptions()
options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig, options.num_points3D = 3, 1, 2, 60
scene = pycolmap.synthesize_dataset(options)
free = scene.images[scene.reg_image_ids()[0]]

config = pycolmap.BundleAdjustmentConfig()
for image_id in scene.reg_image_ids():
    config.add_image(image_id)
    config.set_constant_cam_intrinsics(scene.images[image_id].camera_id)
    if image_id != free.image_id:
        config.set_constant_rig_from_world_pose(scene.images[image_id].frame_id)
adjuster = pycolmap.create_default_ceres_bundle_adjuster(pycolmap.BundleAdjustmentOptions(), config, scene)
adjuster.solve()
wanted = pycolmap.BACovarianceOptions()
wanted.params = pycolmap.BACovarianceOptionsParams.POSES
theirs = pycolmap.estimate_ba_covariance(wanted, scene, adjuster).get_cam_cov_from_world(free.image_id)

STEP = 1e-6


def turned(image, rotation, shift):
    angle = np.linalg.norm(rotation)
    quaternion = [*(np.sin(angle / 2) * rotation / max(angle, 1e-30)), np.cos(angle / 2)]
    pose = image.cam_from_world()
    return pycolmap.Rigid3d(pycolmap.Rotation3d(quaternion) * pose.rotation, pose.translation + shift)


def pixel(image, pose, xyz):
    return np.array(scene.cameras[image.camera_id].img_from_cam(pose * xyz))


pose_part, cross_part, point_parts = np.zeros((6, 6)), {}, {}
for image_id in scene.reg_image_ids():
    image = scene.images[image_id]
    for observation in image.points2D:
        if not observation.has_point3D():
            continue
        number = observation.point3D_id
        xyz, pose = scene.points3D[number].xyz, image.cam_from_world()
        by_point = np.stack([(pixel(image, pose, xyz + d) - pixel(image, pose, xyz - d)) / (2 * STEP)
                             for d in STEP * np.eye(3)], 1)
        point_parts[number] = point_parts.get(number, 0) + by_point.T @ by_point
        if image_id == free.image_id:
            by_pose = np.stack([(pixel(image, turned(image, d[:3], d[3:]), xyz)
                                 - pixel(image, turned(image, -d[:3], -d[3:]), xyz)) / (2 * STEP)
                                for d in STEP * np.eye(6)], 1)
            pose_part += by_pose.T @ by_pose
            cross_part[number] = by_pose.T @ by_point
for number, cross in cross_part.items():
    pose_part -= cross @ np.linalg.inv(point_parts[number]) @ cross.T
ours = np.linalg.inv(pose_part)
for name, part in (("rotation", slice(0, 3)), ("translation", slice(3, 6))):
    ratio = np.trace(theirs[part, part]) / np.trace(ours[part, part])
    print(f"variance of the {name}, pycolmap's over that of the rotation vector's covariance: {ratio:.3f}")
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
variance of the rotation, pycolmap's over that of the rotation vector's covariance: 0.250
variance of the translation, pycolmap's over that of the rotation vector's covariance: 1.000
SEEN
echo "as described"
