"""SMPP 3.4: a connection of our own to a carrier's message centre, without a gateway between."""
