"""Models that a crew names twice: `p1: default` makes `p1` the same model as `default`, until somebody says otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from crewmix.definitions.check_models import is_model_string
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import ModelSetupError
from crewmix.models.types import Model


def meant(name: str, specs: Mapping[str, ModelSpec | str | Model]) -> tuple[ModelSpec | str | Model, str]:
    """The spec that `name` stands for, and the name of the model that it is the same as; empty = it is one itself.

    Raises:
        ModelSetupError: It leads back to itself.
    """
    spec, seen = specs[name], [name]
    while isinstance(spec, str | ModelSpec):
        target = spec if isinstance(spec, str) else spec.model
        if target == "auto" or target not in specs or (target == seen[-1] and is_model_string(target)):
            break
        if target in seen:
            raise ModelSetupError(f"it leads back to itself: {' -> '.join([*seen, target])}")
        own = {} if isinstance(spec, str) else {f: getattr(spec, f) for f in spec.model_fields_set - {"model"}}
        seen.append(target)
        base = specs[target]
        if isinstance(base, str):
            base = ModelSpec(model=base)
        spec = base.model_copy(update=own) if isinstance(base, ModelSpec) else base
    return spec, seen[1] if len(seen) > 1 else ""
