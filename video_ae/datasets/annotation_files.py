"""What `video-ae annotate` calls its files, and their version; imports nothing heavy."""

TABLE = "annotations.parquet"
SCENE = "scene"  # the folder of a shot's cameras, which training reads
CAMERAS_VERSION = 1  # of what is stored and how cameras are found: those of another one are found anew
