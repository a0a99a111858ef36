"""From a look and what is remembered to an Observation: moves, servers, findings. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from sockscope.analysis.findings.rules import find
from sockscope.analysis.io_model import servers
from sockscope.analysis.memory import Memory, merge_process
from sockscope.analysis.move import moves
from sockscope.analysis.progress import merge
from sockscope.model.detail import ProcessDetail, SocketDetail
from sockscope.model.gap import Gap
from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.snapshot import Snapshot


def conclude(memory: Memory, snapshot: Snapshot, names: Names, gaps: tuple[Gap, ...] = ()) -> Observation:
    """Work out everything about this look; `gaps` are those of the detail lane."""
    if gaps:
        snapshot = structs.replace(snapshot, gaps=(*snapshot.gaps, *gaps))
    observation = Observation(
        snapshot=snapshot, details=memory.details,
        process_details={key[0]: detail for key, detail in memory.process_details.items()},
        moves=moves(memory, snapshot), names=names,
    )
    observation = structs.replace(observation, servers=servers(observation))
    return structs.replace(observation, findings=find(memory, observation))


def with_details(observation: Observation, details: Iterable[SocketDetail | ProcessDetail]) -> Observation:
    """Add details that came after the look, for showing at once; memory folds them in with the next look."""
    sockets, processes = dict(observation.details), dict(observation.process_details)
    for detail in details:
        if isinstance(detail, SocketDetail):
            sockets[detail.key] = merge(sockets.get(detail.key), detail)
        else:
            processes[detail.key[0]] = merge_process(processes.get(detail.key[0]), detail)
    return structs.replace(observation, details=sockets, process_details=processes)
