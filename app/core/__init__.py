"""The pure heart: values, ports, rules and the one engine. Standard library only."""
