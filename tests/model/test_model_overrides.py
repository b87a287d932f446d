"""Policies with overrides: one hash for one policy, and every policy can be restored from it."""

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.config import Config, live_keys, override, parse, parse_policy, value_of, written
from ouroboros.errors import ConfigError

SOURCE = b"""\
[governor]
max_lines = 100
[governor.limits]
freeze = ["22:00 - 06:00"]
[benchmarks.b]
command = ["true"]
"""

values = st.fixed_dictionaries(
    {},
    optional={
        "governor.max_degradation": st.floats(0.001, 0.999),
        "governor.max_lines": st.integers(1, 10**6),
        "governor.mode": st.sampled_from(["observe", "supervised", "autonomous"]),
        "governor.limits.freeze": st.sampled_from([[], ["Fri 16:00 - Mon 08:00"]]),
        "governor.autonomy.paths": st.lists(
            st.sampled_from(["**", "src/**", "a b.py", "\u00e9/*", '"q"']), min_size=1, max_size=3
        ),
        "governor.budget.cumulative": st.booleans(),
        "engine.interval": st.sampled_from(["90s", "2h", 3600]),
    },
)


@given(values)
def test_a_policy_is_restored_from_what_was_kept(changes: dict[str, Any]) -> None:
    loaded = override(parse(SOURCE), changes)
    assert hashlib.sha256(loaded.policy).hexdigest() == loaded.hash
    again = parse_policy(loaded.policy)
    assert again == loaded
    assert msgspec.json.encode(again.config, enc_hook=written) == msgspec.json.encode(
        loaded.config, enc_hook=written
    )
    for key, value in changes.items():
        if key != "engine.interval":
            assert value_of(loaded.config, key) == value


@given(values, values)
def test_the_way_does_not_matter_and_a_reset_leads_back(
    first: dict[str, Any], then: dict[str, Any]
) -> None:
    file = parse(SOURCE)
    stepwise = override(override(file, first), then)
    assert stepwise == override(file, {**first, **then})
    reset = override(stepwise, dict.fromkeys([*first, *then]))
    assert reset == file
    assert reset.policy == SOURCE


def test_without_overrides_the_hash_is_that_of_the_bytes() -> None:
    assert override(parse(SOURCE), {}).hash == hashlib.sha256(SOURCE).hexdigest()
    assert override(parse(SOURCE), {"governor.max_lines": 100}).hash != parse(SOURCE).hash


def test_what_can_be_changed_are_thresholds_of_governor_and_engine() -> None:
    keys = live_keys()
    assert {"governor.max_degradation", "governor.limits.quorum", "engine.interval"} <= set(keys)
    assert all(k.startswith(("governor.", "engine.")) for k in keys)
    assert not {"governor.protected", "governor.limits", "governor.calibration"} & set(keys)
    config = Config()
    for key in keys:
        value = value_of(config, key)
        if value is not None:
            assert override(parse(b""), {key: value}).config == config, key


@pytest.mark.parametrize(
    "policy", [b"{", b"[]", b'{"overrides": 1, "source": ""}', b"x = ", b'{"source": ""}']
)
def test_a_damaged_policy_is_refused(policy: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_policy(policy)


def test_an_override_names_its_key_and_what_was_changed() -> None:
    with pytest.raises(ConfigError) as caught:
        override(parse(SOURCE), {"governor.min_pairs": 99})
    assert "governor.max_pairs" in str(caught.value)
    assert "with governor.min_pairs changed" in str(caught.value)
