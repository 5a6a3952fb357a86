"""The fourteen rows of the paper's Table 4, and ours beyond it: their names (no other place spells them) and what each switches.

Three of the rows are the full model's own run with something left out when it renders (paper 4.4: "the output images without the
Coarse-to-Fine module's refinement", "use the deformations from General Field or Individual Field solely"); they train nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from d3talker.errors import UserError
from d3talker.learning.contract import Row
from d3talker.method.config import Config

# The paper prints "w/o FM" and "Audio Only" with equal digits, likewise "w/o SCLoss" and "NCLoss Only", and the full
# model and "Δμ, Δr, Δs": so the two of each pair are one setting.  "None" is the third of the contrast rows (the text
# counts the header as line 1: contrast is lines 11-13), so it trains with no contrastive loss.
# name -> title, and the fields of config.AblationConfig that differ from the full model's
ABLATIONS: dict[str, Row] = {
    "full": Row("D³-Talker"),
    "without-facial-motion": Row("w/o FM", {"control": "audio"}),
    "without-sc-loss": Row("w/o SCLoss", {"contrast": "negative"}),
    "without-c2f": Row("w/o C2F", {"leave_out": "refiner"}),
    "audio-only": Row("Audio Only", {"control": "audio"}),
    "motion-only": Row("Facial Motion Only", {"control": "motion"}),
    "general-only": Row("General Field Only", {"leave_out": "individual"}),
    "individual-only": Row("Individual Field Only", {"leave_out": "general"}),
    "negative-contrast-only": Row("NCLoss (InsTaG) Only", {"contrast": "negative"}),
    "similarity-contrast-only": Row("SCLoss (Ours) Only", {"contrast": "similarity"}),
    "no-contrast": Row("None", {"contrast": "none"}),
    "attributes-mu": Row("Δμ", {"attributes": "mu"}),
    "attributes-all": Row("Δμ, Δr, Δs, Δα, ΔSH", {"attributes": "all"}),
    "attributes-mu-r-s": Row("Δμ, Δr, Δs"),
}

# The two rows of one field, trained with that field alone from the start: another reading of Table 4.
RETRAINED: dict[str, Row] = {
    "general-only-retrained": Row("General Field Only, retrained", {"fields": "general"}, "asked"),
    "individual-only-retrained": Row("Individual Field Only, retrained", {"fields": "individual"}, "asked"),
}
# Ours: a row of its own in every table, never a part of the paper's model.
EXTENSIONS: dict[str, Row] = {"rig": Row("D³-Talker + rig", {"rig": "on"}, "everywhere")}
ROWS = ABLATIONS | RETRAINED | EXTENSIONS


def ablation(name: str) -> Row:
    """The row called `name`; raises UserError that lists the names."""
    try:
        return ROWS[name]
    except KeyError:
        raise UserError(f"the ablation '{name}' is unknown; choose one of {', '.join(ROWS)}") from None


def ablated(config: Config, name: str) -> Config:
    """The configuration with the switches of the row called `name`; raises UserError that lists the names."""
    switches: dict[str, Any] = dict(ablation(name).switches)
    return replace(config, ablation=replace(config.ablation, **switches))
