"""Kinds of sockets by the kernel's names: known ones, ones we do not know, and the list of those it has."""

from __future__ import annotations

from sockscope.collect.families import identify, parse_protocols

PROTOCOLS = """protocol  size sockets  memory press maxhdr  slab module     cl co
AF_VSOCK  1240      3      -1   NI       0   yes  kernel      y  n
L2TP/IP   1240      0      -1   NI       0   yes  l2tp_ip      y  n
broken
TCP       2304     12      79   no     192   yes  kernel      y  y
"""


def test_known_and_unknown_names() -> None:
    assert identify("L2CAP") == ("bluetooth", "unknown", "l2cap")
    assert identify("ALG") == ("alg", "seqpacket", "alg")
    assert identify("MCTP") == ("mctp", "unknown", "mctp")


def test_what_the_kernel_has() -> None:
    assert parse_protocols(PROTOCOLS) == {"AF_VSOCK": 3, "L2TP/IP": 0, "TCP": 12}
    assert parse_protocols("") == {}
