"""Brings history from elsewhere into riskd's own records, and from records back into a store.

row       one attempt as another system wrote it down, and what is counted while reading
lines     lines of a file, plain or compressed, none longer than a bound
table     CSV and JSON Lines as rows of named texts
fields    what a column may fill, and how its text is read
mapping   the small file that says which column is which field
rba       the RBA data set, and logs in the columns of Freeman's published code
sshd      authentication logs of OpenSSH
told      network, place and device facts that rows carry themselves
order     rows in the order of time, on disk
play      judges the rows with the real engine and reports what became of them
subjects  which token is whose: the map that a store keeps and records do not
glean     what a line of a log has to teach, without any key
plan      what a log has to teach, by subject and time, on disk
backfill  teaches it to a store
"""
