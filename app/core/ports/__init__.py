"""What the core needs from outside, one Protocol a module, each with its contract in prose."""
