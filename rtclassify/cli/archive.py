"""Label a folder of recordings into a folder of labels, with workers here or in a cluster."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from rtclassify.archive import units
from rtclassify.archive.manifest import Manifest
from rtclassify.archive.units import Outcome, Unit
from rtclassify.cli.headway import Headway
from rtclassify.cli.labeller import UNFINISHED, Job, Labeller, work
from rtclassify.cli.output import delivering
from rtclassify.clock import SystemClock
from rtclassify.config import Device, Runtime
from rtclassify.description import describe, find
from rtclassify.errors import SourceError


def job_of(
    folder: Path,
    output: Path,
    *,
    form: str,
    model: str,
    hop_s: float | None,
    device: Device,
    runtime: Runtime,
) -> Job:
    """Say what is to be done to all recordings of `folder`.

    Raises:
        BundleError: If the model is not one, or `hop_s` does not fit it.
    """
    bundle = describe(find(model))
    return Job(
        folder=folder.absolute(),
        output=output.absolute(),
        form=form,
        model=str(bundle.path.absolute()),
        tag=bundle.tag,
        hop_s=bundle.hop_samples(hop_s) / bundle.rate,
        device=device,
        runtime=runtime,
    )


def label_archive(job: Job, *, jobs: int, cluster: str | None, terminal: Console) -> bool:
    """Label what has no labels yet, or has changed since; return whether all went well.

    Args:
        job: What is to be done.
        jobs: Workers of this machine.
        cluster: Address of a Dask scheduler whose workers take their place.
        terminal: Where to tell how far it is.

    Raises:
        SourceError: If there are no recordings.
        SinkError: If labels cannot be written.
        UsageError: If the output belongs to another run or holds other labels.
        WorkerError: If there are no workers.
    """
    found, refused = units.find(job.folder)
    if not found and not refused:
        raise SourceError(f"{job.folder} holds no recordings; name a folder that does.")
    with _output(job) as manifest:
        todo = [unit for unit in found if not manifest.is_done(unit)]
        done = len(found) - len(todo)
        with Headway(terminal, todo, done=done, clock=SystemClock()) as headway:
            for error in refused:
                headway.say(f"{error.filename} cannot be read: {error.strerror}.")
            with closing(_outcomes(job, todo, jobs, cluster, headway)) as outcomes:
                for unit, outcome in outcomes:
                    with delivering(str(job.output)):
                        manifest.add(unit, outcome)
                    headway.count(unit, outcome)
    return not refused and not headway.failed


def _outcomes(
    job: Job, todo: Sequence[Unit], jobs: int, cluster: str | None, headway: Headway
) -> Generator[tuple[Unit, Outcome]]:
    if cluster:
        from rtclassify.archive.cluster import outcomes as by_cluster

        return by_cluster(todo, partial(work, job), address=cluster, say=headway.say)
    from rtclassify.archive.workers import outcomes

    return outcomes(todo, partial(Labeller, job), jobs=jobs)


@contextmanager
def _output(job: Job) -> Iterator[Manifest]:
    """Keep the output from other runs; what one that was killed left unfinished is removed."""
    manifest = Manifest(job.output, job.made, job.suffix)
    unfinished = job.output / UNFINISHED
    with ExitStack() as opened:
        with delivering(str(job.output)):
            job.output.mkdir(parents=True, exist_ok=True)
            opened.enter_context(manifest)
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(exist_ok=True)
        opened.callback(shutil.rmtree, unfinished, ignore_errors=True)
        yield manifest
