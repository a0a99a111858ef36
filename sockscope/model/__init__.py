"""Floor 0: frozen values without I/O, and the protocols between floors.

Every floor may import this one; it imports nothing of the project. Outside text is `bytes` here.
`None` always means "not known or not read", never zero; an empty tuple means "read, and none".
"""
