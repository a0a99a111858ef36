"""One file a rule: each a pure function of memory and observation."""
