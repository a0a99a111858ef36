"""All rules, and find(): run them, fold what belongs to one fault into one finding, worst first.

A new rule is a new file beside this one and a line in RULES. Conditions: findings.md of the design; a finding on a
healthy machine is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sockscope.analysis.findings import (
    accept,
    close_wait_leak,
    connect_unanswered,
    dns_waiting,
    kernel_limits,
    loop_blocked,
    open_files,
    port_exhaustion,
    receive_stalled,
    retransmitting,
    send_stalled,
    syn_cookies,
    thundering_herd,
    udp_drops,
)
from sockscope.analysis.findings.fold import fold
from sockscope.analysis.findings.scene import SEVERITIES, Scene
from sockscope.analysis.memory import Memory
from sockscope.model.finding import Finding
from sockscope.model.observation import Observation

RULES: dict[str, Callable[[Scene], Iterator[Finding]]] = {
    "accept-stalled": accept.find_stalled,
    "accept-overflow": accept.find_overflow,
    "syn-cookies": syn_cookies.find,
    "loop-blocked": loop_blocked.find,
    "both-full": send_stalled.find_both_full,
    "receive-stalled": receive_stalled.find,
    "send-stalled": send_stalled.find,
    "retransmitting": retransmitting.find,
    "connect-unanswered": connect_unanswered.find,
    "peer-vanished": send_stalled.find_vanished,
    "close-wait-leak": close_wait_leak.find,
    "fd-limit": open_files.find_limit,
    "fd-leak": open_files.find_leak,
    "udp-drops": udp_drops.find,
    "port-exhaustion": port_exhaustion.find,
    "dns-waiting": dns_waiting.find,
    "thundering-herd": thundering_herd.find,
    "tcp-memory": kernel_limits.find_tcp_memory,
    "orphans": kernel_limits.find_orphans,
    "conntrack-full": kernel_limits.find_conntrack,
    "softnet-drops": kernel_limits.find_softnet,
    "tw-overflow": kernel_limits.find_tw_overflow,
}


def find(memory: Memory, observation: Observation) -> tuple[Finding, ...]:
    """Return what is wrong, one finding a fault, severe first, then the longest. Pure; empty on a healthy machine."""
    scene = Scene(memory, observation)
    found = fold(scene, [finding for rule in RULES.values() for finding in rule(scene)])
    return tuple(sorted(found, key=lambda one: (SEVERITIES.index(one.severity), -(one.for_s or 0.0), one.rule)))
