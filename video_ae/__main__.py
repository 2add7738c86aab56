"""`python -m video_ae` is `video-ae`."""

import sys

from video_ae.cli import main

if __name__ == "__main__":
    sys.exit(main())
