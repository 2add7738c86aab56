"""Videos: files, folders of pictures and shards -> frames, and frames -> files."""

import gc
import os

# PyAV's decoders and encoders have threads, and lie in reference cycles, so that a collection frees them at any time.
# In a forked process (a loader's worker) that would wait forever for threads which were not forked: it must leave
# alone what it inherits.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=gc.freeze)
