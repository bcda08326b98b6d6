"""The likelihood core: how much better an attacker explains an attempt than the subject's own history does."""
