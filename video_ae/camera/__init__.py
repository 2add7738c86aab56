"""Frames -> extrinsics, intrinsics and how sure they are. The files in reading order:

* base, thresholds, problem, notes: the contract, the numbers that decide, the records that pass between the files
  below, and what is said about some frames of a clip;
* kernels: three loops compiled for the processor, each the twin of a function in a file below that is read instead;
* features, optical_flow, reprojection, normal_equations, bundle_adjustment: frames are matched, a scene is solved;
* covariance, frame_graph, loop_closure, iteration: how well it is determined, and rounds of matching and solving;
* working_images: the frame graphs of a clip at each size;
* direction_search, incremental, initialization: where a scene to begin with comes from;
* pose_graph, place_recognition, loop_verification, loop_detection: loops that drift hides;
* submaps, global_adjustment: long videos in parts, merged, and adjusted as a whole;
* frame_selection, registration: which frames are solved, and where the others lie between them;
* moving_objects, trajectory_subspace: what moves by itself and is left out, and how flow alone tells it;
* correction_fit, focal_bias, lens_search, zoom_search, shutter_search: what noise makes of the focal length, and
  whether the camera is a pinhole at all, keeps its focal length, and reads all rows at once;
* quality_flags, clip_solving, solver, cache: what is said about the result, the steps, and the class that takes them
  all. Its docstring is the overview: read it first.
"""
