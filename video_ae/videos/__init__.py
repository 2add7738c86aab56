"""Videos: files and folders of images -> frames, and frames -> files."""

import gc
import os

# PyAV's decoders and encoders have threads and are part of reference cycles, so that garbage collection frees them at
# any time. In a forked process (a loader's worker) that would wait forever for threads which were not forked: inherited
# objects are excluded from collection there.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=gc.freeze)
