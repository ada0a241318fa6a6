"""Workers of a Dask cluster, on as many machines as it has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from rtclassify.archive.units import Outcome, Unit
from rtclassify.errors import DependencyError, RtclassifyError, WorkerError

if TYPE_CHECKING:
    from distributed import Client, Future

IN_HAND = 1_000
"""Units that the scheduler knows of at once: more than it has workers, less than it minds."""

CONNECT_S = 10

log = logging.getLogger(__name__)


def outcomes(
    units: Sequence[Unit], work: Callable[[Unit], Outcome], *, address: str
) -> Generator[tuple[Unit, Outcome]]:
    """Yield each unit with its outcome as soon as it has one.

    The scheduler gives the units of a worker that is gone to others; closing the iterator takes
    back what no worker has begun.

    Args:
        units: What is to be done.
        work: Called by the workers, in any of their threads; it is pickled on the way there.
        address: The scheduler's, such as ``tcp://host:8786``.

    Raises:
        DependencyError: If dask.distributed is not installed.
        RtclassifyError: What the work raised.
        WorkerError: If there is no scheduler, or no more, or rtclassify is not installed there.
    """
    try:
        from distributed import as_completed
    except ModuleNotFoundError as error:
        raise DependencyError(
            "--cluster wants dask.distributed, which is not installed; "
            "pip install 'rtclassify[cluster]'."
        ) from error
    waiting = iter(units)
    with _connected(address) as client:
        unit_of = {_submit(client, work, unit): unit for unit in islice(waiting, IN_HAND)}
        running = as_completed(unit_of, loop=client.loop)
        for future in running:
            for unit in islice(waiting, 1):
                another = _submit(client, work, unit)
                unit_of[another] = unit
                running.add(another)
            unit = unit_of.pop(future)
            yield unit, _outcome(future, unit, address)


def _connected(address: str) -> Client:
    from distributed import Client

    try:
        asyncio.run(_greet(address))
        client = Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise WorkerError(
            f"No Dask scheduler answers at {address}; start one with `dask scheduler`, or give "
            "--cluster its address, such as tcp://host:8786."
        ) from error
    if not client.scheduler_info()["workers"]:
        log.warning("The cluster has no workers yet; `dask worker %s` starts one.", address)
    return client


async def _greet(address: str) -> None:
    """See whether somebody is there: a `Client` that finds nobody leaves threads behind."""
    from distributed import Security
    from distributed.comm import connect

    arguments = Security().get_connection_args("client")
    comm = await connect(address, timeout=CONNECT_S, **arguments)
    await comm.close()


def _submit(client: Client, work: Callable[[Unit], Outcome], unit: Unit) -> Future:
    return client.submit(_guarded, work, unit, pure=False)


def _guarded(work: Callable[[Unit], Outcome], unit: Unit) -> Outcome:
    """Do the work, in a worker; a defect that one recording shows must not end all others."""
    try:
        return work(unit)
    except RtclassifyError:
        raise
    except Exception as error:
        log.exception("%s", unit.name)
        return Outcome(error=f"{unit.name} cannot be labelled: {error!r}, see its worker's log.")


def _outcome(future: Future, unit: Unit, address: str) -> Outcome:
    from distributed import CancelledError, KilledWorker

    try:
        outcome: Outcome = future.result()
    except KilledWorker:
        return Outcome(error=f"{unit.name} cannot be labelled: worker after worker died of it.")
    except CancelledError as error:
        raise WorkerError(
            f"The cluster at {address} is gone; start it again, and run this again to go on."
        ) from error
    except RuntimeError as error:
        raise WorkerError(
            f"The cluster at {address} cannot do this ({str(error).splitlines()[0]}); install "
            "this rtclassify where its scheduler and its workers run."
        ) from error
    return outcome
