"""What one client of the page sees and can do. Clients do not disturb each other."""

import threading
import time

import numpy as np
import viser

from video_ae.errors import UserError
from video_ae.geometry.trajectories import frustum_scale, spread_frames
from video_ae.viewer.contents import DOWNLOADS, Contents, describe_contents, download, shown_points
from video_ae.viewer.drawing import POINT_SIZE, draw_cameras, draw_points
from video_ae.viewer.first_image import REMOVAL
from video_ae.viewer.render_timing import RenderRequest
from video_ae.viewer.render_worker import RenderWorker
from video_ae.viewer.views import CameraFollow, View, as_array, frame_at, view_of_camera
from video_ae.viewer.viser_splats import draw_splats

MOST_FRUSTA = 60
MOST_ASPECT = 20  # nothing is rendered for pages that are wider, or higher
LONGEST_WAIT = 2.0  # seconds that cameras wait for the first images, for instance while many others are rendered


class ClientSession:
    """The controls, the scene and the camera of one browser tab.

    Args:
        client: viser's handle of the tab.
        worker: renders what the client looks at.
    """

    def __init__(self, client: viser.ClientHandle, worker: RenderWorker) -> None:
        self._client, self._worker = client, worker
        self._lock = threading.RLock()
        self._follow: CameraFollow | None = None
        self._playing: tuple[int, float] | None = None  # frame and time at which playback started
        self._view: View | None = None
        self._splats_handle: viser.GaussianSplatHandle | None = None
        self._points_handle: viser.PointCloudHandle | None = None
        self._path: viser.FrameHandle | None = None
        self._rendered = threading.Event()  # whether a fine rendering was sent
        self._gone = False

    def start(self, contents: Contents) -> None:
        """Shows the page for the first time, and follows the client's camera from then on.

        Renderings come first: a browser without a graphics card takes a second for the cameras.

        Args:
            contents: what is shown.
        """
        self._add_page(contents)
        self._client.camera.on_update(lambda _: self._moved())
        self._moved()
        self._rendered.wait(LONGEST_WAIT)
        if not self._gone:
            self._client.gui.add_html(REMOVAL)
            self._add_cameras()

    def leave(self) -> None:
        """The client is gone: nothing more is sent."""
        self._gone = True
        self._rendered.set()

    def show(self, contents: Contents) -> None:
        """Builds the page anew, after the reconstruction was replaced.

        Args:
            contents: what is shown.
        """
        self._add_page(contents)
        self._add_cameras()

    def _add_page(self, contents: Contents) -> None:
        with self._lock, self._client.atomic():
            self._contents, self._playing, self._splats_handle = contents, None, None
            self._points_handle = self._path = None
            self._client.scene.reset()
            self._client.gui.reset()
            self._scale = frustum_scale(contents.reconstruction.cameras, contents.reconstruction.scene_depth)
            self._add_controls()
        self._worker.remove(self._client.client_id)  # so that the same view of another scene is rendered anew
        self._moved()

    def _add_cameras(self) -> None:
        with self._lock, self._client.atomic():
            contents = self._contents
            numbers, cameras = spread_frames(len(contents), MOST_FRUSTA), contents.reconstruction.cameras
            self._path = draw_cameras(self._client.scene, cameras, contents.frames, numbers, self._scale, self.go_to)
            self._update_cameras()

    def notify(self, title: str, text: str) -> None:
        """Shows a note for ten seconds.

        Args:
            title: of the note.
            text: below it.
        """
        self._client.add_notification(title, text, auto_close_seconds=10)

    def go_to(self, frame: int) -> None:
        """Looks through the camera of a frame and shows the frame.

        Args:
            frame: position in the clip.
        """
        with self._lock, self._client.atomic():
            self._frame = frame
            view = view_of_camera(self._contents.reconstruction.cameras, frame, self._client.camera.aspect)
            self._follow = CameraFollow(view.position)
            self._client.camera.position = view.position
            self._client.camera.wxyz = view.wxyz
            self._client.camera.fov = view.fov
            self._image.image = as_array(self._contents.frames[frame])
            self._image.label = self._label(frame)
            self._slider.value = frame  # type: ignore[misc]
            self._update_cameras()  # the client reports its camera by then, which asks for a new rendering

    def advance_playback(self, now: float) -> None:
        """Shows the frame whose time has come; called many times a second.

        Args:
            now: time of `time.monotonic`.
        """
        with self._lock:
            if self._playing is None:
                return
            start, since = self._playing
            frame = frame_at(start, now - since, self._contents.reconstruction.frame_rate, len(self._contents))
            if frame != self._frame:
                self.go_to(frame)

    def show_rendering(self, request: RenderRequest, image: np.ndarray) -> None:
        """Shows the model's image of what this client looks at, behind everything else.

        Where Gaussians are shown, it takes their place once the view stands still.

        Args:
            request: which view the image shows.
            image: [height, width, 3] in 0 .. 255.
        """
        with self._lock, self._client.atomic():
            if not self._rendering.value:
                return
            if self._splats_handle is not None and self._splats.value:
                if not request.fine or request.view != self._view:
                    return
                self._splats_handle.visible = False
            self._client.scene.set_background_image(image, format="jpeg", jpeg_quality=90)
        if request.fine:
            self._rendered.set()

    def _add_controls(self) -> None:
        gui, contents = self._client.gui, self._contents
        gui.add_markdown(describe_contents(contents))
        self._frame = 0
        self._image = gui.add_image(as_array(contents.frames[0]), label=self._label(0))
        self._slider = gui.add_slider("Frame", 0, len(contents) - 1, 1, 0)
        self._play = gui.add_button("Play", icon=viser.Icon.PLAYER_PLAY)
        with gui.add_folder("Show"):
            self._rendering = gui.add_checkbox("Rendering", True, hint="the model's image of what you look at")
            self._splats = gui.add_checkbox(
                "Splats", False, disabled=not contents.reconstruction.scene.volumes,
                hint="Gaussians, drawn by your browser: the view moves without waiting for this machine",
            )  # fmt: skip
            self._points = gui.add_checkbox("Points", False)
            self._cameras = gui.add_checkbox("Cameras", True, hint="click one to look through it")
            self._colouring = gui.add_dropdown("Colours", ("image", "confidence"))
            self._size = gui.add_slider("Point size", 0.2, 5.0, 0.1, 1.0)
            self._least = gui.add_slider("Confidence", 0.0, 1.0, 0.05, 0.0, hint="hide points below this")
        self._slider.on_update(lambda _: self._slid())
        self._play.on_click(lambda _: self._set_playing(self._playing is None))
        self._rendering.on_update(lambda _: self._toggle_rendering())
        self._splats.on_update(lambda _: self._toggle_splats())
        self._cameras.on_update(lambda _: self._update_cameras())
        self._points.on_update(lambda _: self._restyle_points())
        self._size.on_update(lambda _: self._restyle_points())
        self._colouring.on_update(lambda _: self._draw_points())
        self._least.on_update(lambda _: self._draw_points())
        with gui.add_folder("Download"):
            for name in DOWNLOADS:
                gui.add_button(name, icon=viser.Icon.DOWNLOAD).on_click(self._download)

    def _download(self, event: viser.GuiEvent[viser.GuiButtonHandle]) -> None:
        name = event.target.label
        try:
            content = download(name, self._contents)
        except UserError as error:
            self.notify(f"No {name}", str(error))
        else:
            self._client.send_file_download(name, content, save_immediately=True)

    def _label(self, frame: int) -> str:
        path = self._contents.reconstruction.trajectory
        return f"frame {int(path.indices[frame])}, confidence {path.confidence[frame].item():.2f}"

    def _slid(self) -> None:
        if self._slider.value != self._frame:
            self._set_playing(False)
            self.go_to(self._slider.value)

    def _set_playing(self, playing: bool) -> None:
        with self._lock:
            self._playing = (self._frame, time.monotonic()) if playing else None
            self._play.label = "Pause" if playing else "Play"
            self._play.icon = viser.Icon.PLAYER_PAUSE if playing else viser.Icon.PLAYER_PLAY

    def _toggle_rendering(self) -> None:
        if self._rendering.value:
            self._moved()
        else:
            self._worker.remove(self._client.client_id)
            self._client.scene.set_background_image(None)
            if self._splats_handle is not None:
                self._splats_handle.visible = self._splats.value

    def _toggle_splats(self) -> None:
        if self._splats.value and self._splats_handle is None:
            self._splats_handle = draw_splats(self._client.scene, self._contents.reconstruction.gaussians())
        if self._splats_handle is not None:
            self._splats_handle.visible = self._splats.value
        self._worker.remove(self._client.client_id)  # so that this view is rendered once more
        self._moved()

    def _show_splats(self) -> None:
        """While the view moves; the image of an earlier view would stand still behind them."""
        if self._splats_handle is not None and self._splats.value and not self._splats_handle.visible:
            self._client.scene.set_background_image(None)
            self._splats_handle.visible = True

    def _moved(self) -> None:
        """The client looks elsewhere, or the page has changed its size."""
        camera = self._client.camera
        width, height = camera.image_width, camera.image_height
        if not 0 < width <= MOST_ASPECT * height or height > MOST_ASPECT * width:  # a tab in the background has no size
            return
        with self._lock:
            w, qx, qy, qz = map(float, camera.wxyz)
            x, y, z = map(float, camera.position)
            view = View((w, qx, qy, qz), (x, y, z), float(camera.fov), width / height)
            if view != self._view:
                self._show_splats()
            self._view = view
            if self._follow is not None:
                self._follow = self._follow.update(view.position, self._scale)
                self._update_cameras()
        if self._rendering.value:
            splats = self._splats_handle is not None and self._splats.value
            self._worker.set_view(self._client.client_id, view, at_rest=splats)

    def _update_cameras(self) -> None:
        """Hides them while the client follows one: each stands right in front of the one behind it."""
        if self._path is not None:
            self._path.visible = self._cameras.value and self._follow is None

    def _draw_points(self) -> None:
        """Points are sent when they are first asked for: there are megabytes of them."""
        if self._points_handle is None and not self._points.value:
            return
        points, colours = shown_points(self._contents.points, self._colouring.value, self._least.value)
        self._points_handle = draw_points(self._client.scene, points, colours, self._point_size(), self._points.value)

    def _restyle_points(self) -> None:
        if self._points_handle is None:
            self._draw_points()
        else:
            self._points_handle.visible = self._points.value
            self._points_handle.point_size = self._point_size()

    def _point_size(self) -> float:
        return POINT_SIZE * self._contents.reconstruction.scene_depth * self._size.value
