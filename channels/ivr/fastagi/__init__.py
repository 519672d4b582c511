"""A telephone switch of one's own: Asterisk by FastAGI, one connection an AGI() step."""
