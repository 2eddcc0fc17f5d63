"""Which methods there are on a device, by name, and what takes their steps."""

from zo_core.ascent.plan import HEAD, RECIPES
from zo_core.edge.device.head import EdgeHead
from zo_core.edge.device.network import Network
from zo_core.edge.device.optimizer import EdgeZO
from zo_core.edge.package import Package, PackageError

METHODS = (*RECIPES, HEAD)


def optimizer_for(
    package: Package,
    method: str,
    *,
    lr: float,
    eps: float = 1e-3,
    tail: str = "all",
    seed: int = 0,
    threads: int = 1,
    network: Network | None = None,
) -> EdgeZO | EdgeHead:
    """What takes the steps of a method, up the loss; on the package's own network unless one is given.

    Raises:
        PackageError: there is no such method here, or it has no such tail.
        ValueError: a setting is out of its bounds.
    """
    if method == HEAD:
        if tail not in ("all", "layer"):
            raise PackageError(f"{HEAD} moves the last layer alone: leave --tail out")
        return EdgeHead(package, lr=lr, maximize=True, threads=threads, network=network)
    if method not in RECIPES:
        raise PackageError(f"unknown method {method!r}; choose from: {', '.join(METHODS)}")
    return EdgeZO(
        package,
        lr=lr,
        eps=eps,
        tail=tail,
        seed=seed,
        threads=threads,
        method=method,
        network=network,
        maximize=True,
        **RECIPES[method],
    )
