"""The game engine as a camera that flies along a path: level wide images, and the poses that belong to them.

Measured properties of vizdoom 1.3.2's software renderer, which this file relies on:

* pixels are not square: fy = 1.2 fx at 4:3;
* looking up shifts the image instead of turning it, so the camera stays level (see `images.py`).
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import vizdoom
from vizdoom import DoomGame, GameState

from walkthroughs import wad
from walkthroughs.paths import Path as CameraPath

WIDTH, HEIGHT = 1024, 768
FIELD_OF_VIEW = 120.0  # wide, so that pitched and rolled views lie inside
FOCAL_X = WIDTH / 2 / np.tan(np.radians(FIELD_OF_VIEW / 2))
FOCAL_Y = 1.2 * FOCAL_X
THRUST = 1 / 32  # map units a tic of speed for each unit of a move button; the engine uses whole units, 50 at most
LIFT = 1 / 128
FRICTION = 0.918  # of a flying player, each tic
WARM_UP = 30  # tics to settle at the start of a path

_HIDDEN = ("hud", "weapon", "crosshair", "decals", "particles", "effects_sprites", "messages", "corpses",
           "screen_flashes")  # fmt: skip
_VARIABLES = [getattr(vizdoom.GameVariable, name) for name in (
    "CAMERA_POSITION_X", "CAMERA_POSITION_Y", "CAMERA_POSITION_Z", "CAMERA_ANGLE", "CAMERA_FOV",
    "VELOCITY_X", "VELOCITY_Y", "VELOCITY_Z", "CAMERA_PITCH", "CAMERA_ROLL")]  # fmt: skip
_BUTTONS = [getattr(vizdoom.Button, f"{name}_DELTA") for name in (
    "TURN_LEFT_RIGHT", "MOVE_FORWARD_BACKWARD", "MOVE_LEFT_RIGHT", "MOVE_UP_DOWN")]  # fmt: skip


@dataclass(frozen=True)
class LevelView:
    """One level image and the pose that was read from the same state of the game.

    Args:
        colours: (HEIGHT, WIDTH, 3) of bytes.
        eye: (3,), in map units.
        yaw: degrees counter-clockwise from east.
    """

    colours: np.ndarray
    eye: np.ndarray
    yaw: float


def game_folder() -> Path:
    """The folder with Freedoom's WADs that comes with vizdoom."""
    return Path(vizdoom.__file__).parent


@contextmanager
def open_map(game: str, name: str) -> Iterator[DoomGame]:
    """A running game in the still copy of a map (`wad.still_map`).

    Args:
        game: `freedoom1` or `freedoom2`.
        name: of the map, such as `MAP01`.
    """
    game_file = game_folder() / f"{game}.wad"
    with tempfile.TemporaryDirectory() as folder:
        patch = Path(folder) / "still.wad"
        wad.write_wad(patch, wad.still_map(wad.read_wad(game_file), name))
        engine = DoomGame()
        engine.set_doom_config_path(str(Path(folder) / "settings.ini"))  # else it leaves one in the working folder
        engine.set_doom_game_path(str(game_file))
        engine.set_doom_scenario_path(str(patch))
        engine.set_doom_map(name)
        engine.set_screen_resolution(vizdoom.ScreenResolution.RES_1024X768)
        engine.set_screen_format(vizdoom.ScreenFormat.RGB24)
        for part in _HIDDEN:
            getattr(engine, f"set_render_{part}")(False)
        engine.set_window_visible(False)
        engine.set_sound_enabled(False)
        engine.set_mode(vizdoom.Mode.PLAYER)
        engine.set_available_game_variables(_VARIABLES)
        engine.set_available_buttons(_BUTTONS)
        engine.set_episode_timeout(0)
        engine.set_seed(1)
        # r_visibility: light fades less with distance, so that a surface keeps its colour when the camera moves.
        engine.add_game_args("+sv_cheats 1 +movebob 0 -nomonsters +r_visibility 64")
        engine.init()
        try:
            for command in ("fly", "noclip", f"fov {FIELD_OF_VIEW:.0f}"):
                engine.send_game_command(command)
            yield engine
        finally:
            engine.close()


def fly(engine: DoomGame, path: CameraPath, steady: bool = False) -> Iterator[LevelView]:
    """Level views along a path, one a tic. The engine follows the path to about a map unit; poses are what it did.

    Args:
        engine: a game in the path's map (`open_map`).
        path: the cameras wanted.
        steady: whether the height is followed as closely as the rest. Else it trembles by two units from tic to tic,
            which is the bobbing of the committed walks at one tic a frame, and too much for many.
    """
    x, y = path.eye[0, :2]
    engine.send_game_command(f"warp {round(x)} {round(y)}")
    for _ in range(WARM_UP):
        _approach(engine, path.eye[0], float(path.yaw[0]), steady)
    for eye, yaw in zip(path.eye, path.yaw, strict=True):
        _approach(engine, eye, float(yaw), steady)
        state = engine.get_state()
        variables = dict(zip((v.name for v in _VARIABLES), _numbers(state), strict=True))
        # A wrong view here would silently make wrong cameras.
        assert variables["CAMERA_FOV"] == FIELD_OF_VIEW, variables
        assert variables["CAMERA_PITCH"] == variables["CAMERA_ROLL"] == 0, variables
        position = np.array([variables[f"CAMERA_POSITION_{axis}"] for axis in "XYZ"], float)
        yield LevelView(state.screen_buffer, position, float(variables["CAMERA_ANGLE"]))


def _numbers(state: GameState) -> np.ndarray:
    """The values of `_VARIABLES` in a state of the game."""
    numbers = state.game_variables
    assert numbers is not None, "the game was opened without variables"
    return numbers


def _approach(engine: DoomGame, eye: np.ndarray, yaw: float, steady: bool) -> None:
    """One tic in which the camera turns to `yaw` and moves towards `eye`, as far as the buttons go."""
    x, y, z, angle, _, speed_x, speed_y, speed_z, *_ = _numbers(engine.get_state())
    turn = (yaw - angle + 180) % 360 - 180
    ahead = np.array([np.cos(np.radians(yaw)), np.sin(np.radians(yaw))])
    right = np.array([ahead[1], -ahead[0]])
    # The speed read back has been slowed for the next tic already.
    push = (eye[:2] - np.array([x, y]) - np.array([speed_x, speed_y])) / THRUST
    lift = (eye[2] - z - steady * speed_z) / LIFT
    moves = np.clip(np.round([push @ ahead, push @ right, lift]), [-50, -50, -300], [50, 50, 300])
    engine.make_action([-turn, *moves])
