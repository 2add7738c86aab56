"""A web page that shows a reconstruction (viser). Needs the extra `viewer`: pip install 'video-ae[viewer]'."""
