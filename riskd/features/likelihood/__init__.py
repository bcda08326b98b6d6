"""The likelihood core: does an attacker explain this attempt better than the subject's own history does?"""
