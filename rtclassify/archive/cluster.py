"""Workers of a Dask cluster, on as many machines as it has."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable, Generator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from rtclassify.archive.units import Outcome, Unit
from rtclassify.errors import DependencyError, RtclassifyError, WorkerError

if TYPE_CHECKING:
    from distributed import Client, Future

IN_HAND = 1_000
"""Units that the scheduler knows of at once: more than it has workers, less than it minds."""

CONNECT_S = 5

log = logging.getLogger(__name__)


def outcomes(
    units: Sequence[Unit],
    work: Callable[[Unit], Outcome],
    *,
    address: str,
    say: Callable[[str], None],
) -> Generator[tuple[Unit, Outcome]]:
    """Yield each unit with its outcome as soon as it has one.

    The scheduler gives the units of a worker that is gone to others; closing the iterator takes
    back what no worker has begun.

    Args:
        units: What is to be done.
        work: Called by the workers, in any of their threads; it is pickled on the way there.
        address: The scheduler's, such as ``tcp://host:8786``.
        say: Told in a sentence what a person should know meanwhile.

    Raises:
        DependencyError: If dask.distributed is not installed.
        RtclassifyError: What the work raised.
        WorkerError: If there is no scheduler, or no more, or rtclassify is not installed there.
    """
    try:
        from distributed import CancelledError, as_completed
    except ModuleNotFoundError as error:
        raise DependencyError(
            "--cluster wants dask.distributed, which is not installed; "
            "pip install 'rtclassify[cluster]'."
        ) from error
    waiting = iter(units)
    try:
        with _connected(address) as client:
            if not client.scheduler_info()["workers"]:
                say(f"The cluster has no workers yet; `dask worker {address}` starts one.")
            call = _portable(work)
            unit_of = {_submit(client, call, unit): unit for unit in islice(waiting, IN_HAND)}
            running = as_completed(unit_of, loop=client.loop)
            for future in running:
                for unit in islice(waiting, 1):
                    another = _submit(client, call, unit)
                    unit_of[another] = unit
                    running.add(another)
                unit = unit_of.pop(future)
                yield unit, _outcome(future, unit, address)
    except (CancelledError, OSError) as error:
        raise WorkerError(
            f"The cluster at {address} is gone; start it again, and run this again to go on."
        ) from error


def _connected(address: str) -> Client:
    from distributed import Client

    for name in ("distributed", "distributed.client"):
        # They log tracebacks of what they raise as well.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        asyncio.run(_greet(address))
        client = Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise WorkerError(
            f"No Dask scheduler answers at {address}; start one with `dask scheduler`, or give "
            "--cluster its address, such as tcp://host:8786."
        ) from error
    return client


async def _greet(address: str) -> None:
    """See whether somebody is there: a `Client` that finds nobody leaves threads behind."""
    from distributed import Security
    from distributed.comm import connect

    arguments = Security().get_connection_args("client")
    comm = await connect(address, timeout=CONNECT_S, **arguments)
    await comm.close()


def _submit(client: Client, call: Callable[[bytes], Outcome], unit: Unit) -> Future:
    return client.submit(call, pickle.dumps(unit), pure=False)


def _portable(work: Callable[[Unit], Outcome]) -> Callable[[bytes], Outcome]:
    """Wrap the work so that Dask carries it to workers on which rtclassify is missing.

    There it fails with a sentence. As it is, a worker could not even unpack what it is sent, and
    Dask would try for ever. A function without a name of its own is sent as its code.
    """
    packed = pickle.dumps(partial(_guarded, work))

    def call(unit: bytes) -> Outcome:
        outcome: Outcome = pickle.loads(packed)(pickle.loads(unit))  # noqa: S301 - our own
        return outcome

    return call


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
    from distributed import KilledWorker

    try:
        outcome: Outcome = future.result()
    except KilledWorker:
        return Outcome(error=f"{unit.name} cannot be labelled: worker after worker died of it.")
    except (ImportError, AttributeError) as error:
        raise WorkerError(
            f"A worker of {address} cannot do this ({error}); install this rtclassify there."
        ) from error
    return outcome
