"""Many videos annotated with cameras, on one machine or many: `video-ae annotate`.

* video_listing: a folder, a list or an address -> jobs
* annotation_row, shots, solving: one video -> its shots -> cameras and one row each
* limited_process: a process that is ended from outside when it takes too long or too much memory
* destination: where the results go; whole or not at all
* ray_engine: which machine does which video; the only file that knows Ray
* annotate: the command
"""
