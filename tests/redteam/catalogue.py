"""All cases, in one list."""

import attacks_behaviour
import attacks_host
import attacks_pass
import attacks_shape
import attacks_time
import attacks_worker
import controls
from redteam_case import Case

ATTACKS: tuple[Case, ...] = (
    *attacks_pass.ATTACKS,
    *attacks_time.ATTACKS,
    *attacks_behaviour.ATTACKS,
    *attacks_shape.ATTACKS,
    *attacks_worker.ATTACKS,
    *attacks_host.ATTACKS,
)
CONTROLS = controls.CONTROLS
CASES = (*CONTROLS, *ATTACKS)
