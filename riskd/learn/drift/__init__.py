"""What the traffic of now has that the traffic a model learnt from had not: how much moved, and since which day.

measures    what is measured of a decision, and the bins it falls into
counts      how many decisions fell into each bin, by day and group of subjects
stability   what the counts say: index, noise floor, interval, change point
rates       outcomes, reports and degraded decisions, as shares
watch       reads the log and puts it together
report      for the terminal, and for Prometheus
"""
