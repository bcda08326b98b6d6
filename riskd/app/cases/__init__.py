"""Policy tests: what came before, the attempt, and what the policy should make of it, judged by the real engine.

`schema` is what a person writes, `load` reads it and finds every mistake, `layers` puts together what is like another,
`past` says when each attempt before was, `run` lets engine and store judge, `compare` says what came out otherwise,
`junit` tells a build server.
"""
