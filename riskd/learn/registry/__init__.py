"""Which models there are, which one is current and why: the registry, the gates of a promotion, and the way back."""
