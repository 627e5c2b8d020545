"""What a command or a flow does once: verify, replay, build Gold, export, maintain."""
