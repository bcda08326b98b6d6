"""A population with habits, and attackers who replace some of its attempts: real input with a known truth.

The marginals follow the published statistics of the RBA data set (Wiefling et al., ACM TOPS 2022, doi 10.1145/3546069)
where there are any; what is invented says so where it stands.

    world     countries, cities, networks and their addresses
    devices   browsers, their releases over time, their user agents
    rhythm    how many logins a person makes, how far apart, at which hours
    people    who lives there: home, phone, office, VPN, payees
    life      one person's honest year, attempt by attempt
    attackers · campaigns     who replaces which attempts
    published                 the attackers of the literature
    chosen                    attackers by name
    stream    all of it in the order of time
    run       drives a real engine with it and keeps the truth
"""
