"""Networks by name: what there is, how one is made of a name, and what is held against what it gives."""

import bench.workloads.models.networks
import bench.workloads.models.providers  # noqa: F401  (they register theirs)
from bench.workloads.models.build import build_model, check_model, check_seeded, model_bytes
from bench.workloads.models.registry import Builder, ImageSpec, models

__all__ = ["Builder", "ImageSpec", "build_model", "check_model", "check_seeded", "model_bytes", "models"]
