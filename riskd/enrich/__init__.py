"""Asks the outside world: from a request to the facts about its network, place, device and path; reads only."""
