"""The package build's hook: the web app and the web SDK are built before they are packed, also for an editable install."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))


class WebApp(BuildHookInterface):
    """See tools/ui.py and tools/sdk.py."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before files are collected."""
        if self.target_name != "wheel":
            return
        from tools import sdk, ui

        ui.build()
        sdk.build()
